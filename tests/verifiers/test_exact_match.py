"""The options of Hugging Face's exact_match, in its order."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import InvalidInput
from evalsuite.verifiers import load_verifier
from evalsuite.verifiers.exact_match import ExactMatch

GSM8K_OPTIONS = {"ignore_case": True, "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]}


@pytest.mark.parametrize(
    ("params", "completion", "reference", "score"),
    [
        ({}, "yes", "yes", 1),
        ({}, " yes\n", "yes", 1),
        ({"strip": False}, " yes", "yes", 0),
        ({}, "Yes", "yes", 0),
        ({"ignore_case": True}, "Yes", "yEs", 1),
        ({"ignore_punctuation": True}, "y.e-s!", "(yes)", 1),
        ({"ignore_numbers": True}, "yes1", "2yes", 1),
        (GSM8K_OPTIONS, "so\n#### $1,234.", "1234", 1),
        (GSM8K_OPTIONS, "18.0", "18", 0),
        ({}, "b", ["a", "b"], 1),
        ({}, "5", 5, 1),
        ({}, "<think>no</think>yes", "yes", 1),
        ({}, "<think>yes", "yes", 0),
        ({}, "", "", 1),
    ],
)
def test_options(params: dict, completion: str, reference: object, score: int) -> None:
    assert load_verifier("exact_match", **params).verify(completion, reference).score == score


def _hugging_face(left: str, right: str, ignore_case: bool, ignore_punctuation: bool, regexes: list[str]) -> bool:
    """The metric's definition, §2.5, written down independently."""
    for regex in regexes:
        left, right = re.sub(regex, "", left), re.sub(regex, "", right)
    if ignore_case:
        left, right = left.lower(), right.lower()
    if ignore_punctuation:
        left, right = ("".join(c for c in side if c not in string.punctuation) for side in (left, right))
    return left == right


@given(
    st.text("aAbB.,! 1", max_size=6),
    st.text("aAbB.,! 1", max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([[], ["a"], ["b$", "^A"]]),
)
def test_equals_the_definition(left: str, right: str, case: bool, punctuation: bool, regexes: list[str]) -> None:
    verifier = ExactMatch(
        ignore_case=case, ignore_punctuation=punctuation, regexes_to_ignore=tuple(regexes), strip=False
    )
    expected = _hugging_face(left, right, case, punctuation, regexes)
    assert (verifier.verify(left, right).score == 1) == expected


@given(st.text(min_size=1).filter(lambda text: "<think>" not in text))
def test_gold_and_corrupted_gold(reference: str) -> None:
    verifier = ExactMatch()
    gold = verifier.gold(reference)
    assert verifier.verify(gold, reference).score == 1
    assert verifier.verify(verifier.corrupted(gold, reference), reference).score == 0


def test_a_broken_expression_is_a_users_mistake() -> None:
    with pytest.raises(InvalidInput, match="not a regular expression"):
        load_verifier("exact_match", regexes_to_ignore=["("])

"""all_of, any_of and weighted."""

from __future__ import annotations

import pickle

import pytest

from evalsuite.errors import InvalidInput
from evalsuite.verifiers import Outcome, load_verifier

MATH = {"name": "math", "params": {"mode": "reward"}}
THOUGHT = {"name": "format", "params": {"tags": ["think"], "tail": True}}
SHORT = {"name": "length", "params": {"maximum": 3, "margin": 3}}

BOTH = "<think>a</think> \\boxed{5}"


@pytest.mark.parametrize(
    ("name", "parts", "completion", "score"),
    [
        ("all_of", [MATH, THOUGHT], BOTH, 1),
        ("all_of", [MATH, THOUGHT], "\\boxed{5}", 0),
        ("all_of", [MATH, SHORT], "so \\boxed{5} and more", 0),  # partial is not all
        ("any_of", [MATH, THOUGHT], "\\boxed{5}", 1),
        ("any_of", [MATH, THOUGHT], "7", 0),
        ("any_of", [MATH, SHORT], "a b c d", 0.75),
        ("weighted", [{**MATH, "weight": 3}, THOUGHT], BOTH, 1),
        ("weighted", [{**MATH, "weight": 3}, THOUGHT], "\\boxed{5}", 0.75),
        ("weighted", [{**MATH, "weight": 3}, THOUGHT], "<think>a</think> 7", 0.25),
        ("weighted", [{**MATH, "weight": 0.1}] * 3, BOTH, 1),
    ],
)
def test_scores(name: str, parts: list[dict], completion: str, score: float) -> None:
    verdict = load_verifier(name, verifiers=parts).verify(completion, "5")
    assert verdict.score == pytest.approx(score)
    assert (verdict.reason == "") == (score == 1)


def test_the_reason_names_the_part() -> None:
    verdict = load_verifier("all_of", verifiers=[MATH, THOUGHT]).verify("\\boxed{5}", "5")
    assert verdict.reason == "format: think_not_once"
    assert verdict.extracted == "5"


def test_parts_may_have_their_own_references() -> None:
    verifier = load_verifier(
        "all_of", verifiers=[{**MATH, "reference": "answer"}, {"name": "aliases", "reference": "words"}]
    )
    reference = {"answer": "5", "words": ["because"]}
    assert verifier.verify("because \\boxed{5}", reference).score == 1
    assert verifier.verify("because \\boxed{5}", {"answer": "5"}).outcome is Outcome.ERROR
    assert verifier.verify("because \\boxed{5}", "5").outcome is Outcome.ERROR


def test_an_error_of_a_part_is_an_error_of_the_whole() -> None:
    verdict = load_verifier("any_of", verifiers=[MATH, {"name": "most_likely_letter"} | {"name": "choice"}])
    assert verdict.verify("\\boxed{5}", "5").outcome is Outcome.ERROR


@pytest.mark.parametrize("name", ["all_of", "any_of", "weighted"])
def test_gold_and_corrupted_gold(name: str) -> None:
    verifier = load_verifier(name, verifiers=[MATH, {"name": "length", "params": {"minimum": 1, "maximum": 50}}])
    gold = verifier.gold("5")
    assert verifier.verify(gold, "5").score == 1
    if name == "all_of":
        assert verifier.verify(verifier.corrupted(gold, "5"), "5").score == 0


def test_survives_pickling() -> None:
    verifier = load_verifier("weighted", verifiers=[MATH, THOUGHT])
    assert pickle.loads(pickle.dumps(verifier)).verify(BOTH, "5").score == 1


@pytest.mark.parametrize(
    "parts",
    [
        [],
        ["math"],
        [{"params": {}}],
        [{"name": "math", "other": 1}],
        [{"name": "math", "weight": 0}],
        [{"name": "math", "weight": float("nan")}],
        [{"name": "mc2"}],
    ],
)
def test_impossible_parts_are_users_mistakes(parts: list) -> None:
    with pytest.raises(InvalidInput):
        load_verifier("weighted", verifiers=parts)

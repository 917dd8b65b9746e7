"""Every verifier survives every string: a verdict, never an exception, never an error of the string's doing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.verifiers import Outcome, Verdict, load_verifier

CONSTRAINTS = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}], "prompt": "p"}
GSM8K = {"name": "gsm8k"}

#: name, parameters, reference
VERIFIERS = [
    ("aliases", {}, ["Paris", "paris, France"]),
    ("bbh", {"lone_letter": "missed", "word_marks": "cut"}, {"answer": "a b", "form": "words"}),
    ("bbh", {"version": "v0"}, {"answer": "(B)", "form": "letter"}),
    ("bbh", {}, {"answer": "(B)", "form": "letter"}),
    ("choice", {}, "B"),
    ("exact_match", {"ignore_case": True, "ignore_punctuation": True}, "yes"),
    ("f1", {}, ["12 May", "1,000"]),
    ("gsm8k", {"integer_sign": "dropped"}, "18"),
    ("instructions", {"mode": "loose"}, CONSTRAINTS),
    ("instructions", {"compat": False}, CONSTRAINTS),
    ("json_schema", {}, {"type": "object"}),
    ("math", {"mode": "reward"}, "5"),
    ("math", {"mode": "eval"}, "\\frac{1}{2}"),
    ("math", {"mode": "flex"}, "(1,2)"),
    ("deepmind_math", {}, "3*x"),
    ("regex", {"patterns": ["answer is (.*)", "([0-9]+)"]}, "5"),
    ("format", {}, None),
    ("length", {"minimum": 2, "maximum": 5}, None),
    ("weighted", {"verifiers": [GSM8K, {"name": "format", "weight": 0.5}]}, "18"),
    ("all_of", {"verifiers": [GSM8K, GSM8K]}, "18"),
    ("any_of", {"verifiers": [GSM8K, GSM8K]}, "18"),
]

# What trips parsers: brackets, escapes, signs, boxes, thinking, digits of other scripts, lone surrogates, long runs.
PIECES = st.sampled_from(
    [
        *"{}[]()<>\\$%^_-+*/=,.:;!?\"'`~|&#@\n\t 0159",
        *("\\boxed{", "\\frac", "<think>", "</think>", "٥", "５", "\ud83d", "answer is", "####", "```"),
        *("9" * 400, "(" * 300, "null", "true", "é", "\u2028", "\x00"),
    ]
)
TEXT = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join))


@pytest.mark.parametrize(("name", "params", "reference"), VERIFIERS, ids=[f"{row[0]}-{row[1]}" for row in VERIFIERS])
@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_any_text_gets_a_verdict(name, params, reference, text):
    verdict = load_verifier(name, **params).verify(text, reference)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome is not Outcome.ERROR, verdict.reason


@pytest.mark.parametrize(("name", "params", "reference"), VERIFIERS, ids=[f"{row[0]}-{row[1]}" for row in VERIFIERS])
def test_what_is_no_text_is_an_error_and_leaves_the_others_alone(name, params, reference):
    verifier = load_verifier(name, **params)
    given = [None, "", 5, b"18", ["18"], float("nan"), {}]
    verdicts = verifier.verify_batch(given, [reference] * len(given))
    assert verdicts[1] == verifier.verify("", reference)
    for completion, verdict in zip(given, verdicts, strict=True):
        if not isinstance(completion, str):
            assert verdict.reason == f"bad_completion: a text is needed, not {type(completion).__name__}"
            assert verdict.score is None

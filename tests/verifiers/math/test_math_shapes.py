"""Right answers in the many shapes that people give them, and traps: hand-labelled corpora for both directions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from evalsuite.verifiers.math import Math
from evalsuite.verifiers.math.equivalence import decide

CORPORA = Path(__file__).parent.parent / "corpora"
EVAL, REWARD = Math("eval"), Math("reward")


def test_right_answers_are_right_in_every_shape():
    shapes = [line.split("\t") for line in (CORPORA / "math_shapes.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(shapes) > 500
    completions = [f"The answer is $\\boxed{{{answer}}}$." for _, answer in shapes]
    golds = [gold for gold, _ in shapes]
    for verifier in (EVAL, REWARD):
        verdicts = verifier.verify_batch(completions, golds)
        refused = [
            (*shape, verdict.reason) for shape, verdict in zip(shapes, verdicts, strict=True) if not verdict.score
        ]
        assert not refused


def test_right_answers_are_right_in_every_sentence():
    styles = [json.loads(line) for line in (CORPORA / "math_honest_styles.jsonl").read_text("utf-8").splitlines()]
    assert len(styles) > 80
    for verifier in (EVAL, REWARD):
        verdicts = verifier.verify_batch([row["completion"] for row in styles], [row["gold"] for row in styles])
        assert [row for row, verdict in zip(styles, verdicts, strict=True) if verdict.score != 1] == []


def test_no_trap_is_rewarded():
    traps = [json.loads(line) for line in (CORPORA / "math_traps.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(traps) > 400
    verdicts = REWARD.verify_batch([trap["completion"] for trap in traps], [trap["gold"] for trap in traps])
    assert [trap for trap, verdict in zip(traps, verdicts, strict=True) if verdict.score != 0] == []


@pytest.mark.parametrize(
    "completion",
    [
        "so $x = \\boxed{5}$",
        "$\\angle A = \\boxed{5}^\\circ$",
        "$\\angle A = \\boxed{5}^{\\circ}$",
        "- \\boxed{5}",
        "1. \\boxed{5}",
        "**\\boxed{5}**!",
        "\\boxed{5}, which was to be shown.",
        "\\boxed{5}\\text{ cm}",
        "$\\$\\boxed{5}$",
        "$10 - \\boxed{5} = 5$",
        "\\boxed{5} or $5.0$",
        "(\\boxed{5})",
        "\\boxed{5} cannot be simplified.",
    ],
)
def test_a_box_may_stand_in_a_sentence_or_an_equation(completion):
    assert REWARD.verify(completion, "5").score == 1


@pytest.mark.parametrize("answer", ["0", "e^{-51}", "2e^{-50}", "-e^{-50}"])
@pytest.mark.parametrize("strictness", ["eval", "reward"])
def test_small_numbers_are_no_zeros(answer, strictness):
    assert decide("e^{-50}", answer, strictness) != "same"


def test_what_cancels_is_zero():
    assert decide("0", "\\sqrt{2}\\cdot\\sqrt{3}-\\sqrt{6}", "eval") == "same"


def test_ten_thousand_boxes_that_agree_are_refused_at_once():
    boxes = "".join(f"\\boxed{{5+{number}-{number}}}" for number in range(10_000))
    began = time.monotonic()
    assert REWARD.verify(boxes, "5").reason == "ambiguous"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", ["\\infty\\infty", "2\\infty", "\\infty-\\infty", "\\infty\\cdot 0", "5+\\infty"])
@pytest.mark.parametrize("gold", ["5", "0", "\\sqrt{2}", "x^2+1", "\\infty", "-\\infty"])
def test_a_calculation_with_infinities_is_no_answer(answer, gold):
    assert decide(gold, answer, "eval") != "same"


@pytest.mark.parametrize(
    ("gold", "answer"), [("x-y", "y-z"), ("(x-y)^2", "(y-z)^2"), ("x+z", "2y"), ("a+c", "2b"), ("xz", "y^2")]
)
def test_variables_are_told_apart(gold, answer):
    assert decide(gold, answer, "eval") != "same"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("concave up when $x<0$, concave down when $x>0$", "concave up when $x>0$, concave down when $x>0$"),
        ("$48$, $384$", "$48$, $384$, $99$"),
        ("A=x(500-2x),\\{x\\mid 0\\le x\\le 250\\}", "A=x(500-2x),\\{x\\mid 0\\ge x\\ge 250\\}"),
        (
            "C(p)=\\begin{cases}6p & 1\\le p\\le 5\\\\5p & p\\ge 6\\end{cases}",
            "C(p)=\\begin{cases}6p & 1<p<5\\\\5p & p\\ge 6\\end{cases}",
        ),
    ],
)
def test_every_part_of_a_reference_counts(gold, answer):
    assert decide(gold, answer, "eval") != "same"
    assert decide(gold, gold.replace(" ", "  "), "eval") == "same"


def test_an_equation_of_a_curve_is_not_its_right_side():
    assert decide("x^2+y^2=25", "25", "eval") != "same"
    assert decide("25", "x^2+y^2=25", "eval") == "same"

"""DROP's F1 against lm-eval's implementation of the official scorer, on real golds."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.verifiers import Outcome
from evalsuite.verifiers.f1 import F1

drop = pytest.importorskip("lm_eval.tasks.drop.utils")


@pytest.fixture(scope="module")
def rows(mirror: Path) -> list[dict]:
    with gzip.open(mirror / "EleutherAI" / "drop" / "validation.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _reference_f1(prediction: str, golds: list[tuple[str, ...]]) -> float:
    scores = [drop.get_metrics(prediction, gold)[1] for gold in golds if gold[0].strip()]
    return max(scores, default=0.0)


@pytest.mark.parametrize(
    ("completion", "reference", "score"),
    [
        ("1,000", "1000", 1),
        ("1000.0", "1000", 1),
        ("The Cat", "cat", 1),
        ("cat dog", "cat", 0.67),
        ("5 dogs", "7 dogs", 0),  # numbers must agree
        ("dogs", "7 dogs", 0),
        ("7", "7 dogs", 0.67),
        ("25 to 44", [["under the age of 18", "25 to 44"]], 0.5),
        ("b", ["a", "b"], 1),
        ("well-known", "well known", 1),
        ("", "cat", 0),
    ],
)
def test_rules(completion: str, reference: object, score: float) -> None:
    assert F1().verify(completion, reference).score == score


def test_agrees_with_the_official_scorer_on_real_rows(rows: list[dict]) -> None:
    draw = random.Random(5)
    for row in draw.sample(rows, 400):
        golds = drop.get_answers(row)
        own, other = draw.choice(golds), draw.choice(drop.get_answers(draw.choice(rows)))
        for prediction in (own[0], " ".join(own), f"about {own[0]} yards", other[0], row["question"]):
            if prediction.strip():
                expected = _reference_f1(prediction, golds)
                assert F1().verify(prediction, row).score == pytest.approx(expected), (prediction, golds)


@given(st.text("ab1-,.0 %", max_size=12), st.text("ab1-,.0 %", min_size=1, max_size=12))
def test_agrees_on_made_up_spans(prediction: str, gold: str) -> None:
    verdict = F1().verify(prediction, [[gold]])
    if verdict.outcome in (Outcome.CORRECT, Outcome.PARTIAL, Outcome.INCORRECT):
        assert verdict.score == pytest.approx(_reference_f1(prediction, [(gold,)]))


def test_gold_and_corrupted_gold(rows: list[dict]) -> None:
    verifier = F1()
    for row in rows[:500]:
        if all(len(gold) > 1 for gold in drop.get_answers(row) if gold[0].strip()):
            continue
        gold = verifier.gold(row)
        assert verifier.verify(gold, row).score == 1
        assert verifier.verify(verifier.corrupted(gold, row), row).score == 0


@pytest.mark.parametrize("reference", [None, [], [[]], [""], 5, {"spans": []}, [["a", 5]]])
def test_unusable_references_are_errors(reference: object) -> None:
    assert F1().verify("cat", reference).outcome is Outcome.ERROR

"""GSM8K's extractor (D7), the published golds, and OLMES's sign quirk."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import InvalidInput
from evalsuite.verifiers import Outcome, gsm8k, load_verifier
from evalsuite.verifiers.gsm8k import Gsm8k

KEPT, OLMES = Gsm8k(), Gsm8k(integer_sign="dropped")


@pytest.mark.parametrize(
    ("completion", "reference", "kept", "olmes"),
    [
        ("The answer is 18.", "18", 1, 1),
        ("It costs $1,234.", "1234", 1, 1),
        ("1,234,567", "1234567", 1, 1),
        ("... #### 18", "She sells 16 - 3 = 13.\n#### 18", 1, 1),
        ("18.0", "18", 0, 0),  # strings are compared
        ("18.50", "18.5", 0, 0),
        ("-5", "-5", 1, 1),
        ("5", "-5", 0, 1),  # the quirk
        ("-5", "5", 0, 1),
        ("-0.5", "-0.5", 1, 1),
        ("0.5", "-0.5", 0, 0),
        ("10-5", "5", 1, 1),
        ("(3)-5", "5", 1, 1),
        ("first 18, then 7", "18", 0, 0),
        ("18 eggs in 2 days", "18", 0, 0),
        (".5", ".5", 1, 1),
        ("٥", "5", 0, 0),
        ("<think>18", "18", 0, 0),
        ("<think>7</think> 18", "18", 1, 1),
        ("18 <think>7</think>", "18", 0, 0),
        ("none", "18", 0, 0),
        ("", "18", 0, 0),
    ],
)
def test_last_number_decides(completion: str, reference: str, kept: int, olmes: int) -> None:
    assert KEPT.verify(completion, reference).score == kept
    assert OLMES.verify(completion, reference).score == olmes


def test_no_number_is_no_answer() -> None:
    assert KEPT.verify("none", "18").outcome is Outcome.NO_ANSWER


def test_a_list_has_several_right_answers() -> None:
    assert KEPT.verify("so 7", ["5", 7]).score == 1


@pytest.mark.parametrize("reference", [None, "no number", [], {"answer": 5}, True])
def test_unusable_references_are_errors(reference: object) -> None:
    assert KEPT.verify("18", reference).outcome is Outcome.ERROR


def test_every_published_gold_is_right_and_its_corruption_wrong(mirror: Path) -> None:
    rows = [
        json.loads(line)["answer"]
        for name in ("test", "train")
        for line in (mirror / "openai" / "gsm8k" / "main" / f"{name}.jsonl").open(encoding="utf-8")
    ]
    assert len(rows) == 1319 + 7473
    for verifier in (KEPT, OLMES):
        for reference in rows:
            gold = verifier.gold(reference)
            assert verifier.verify(reference, reference).score == 1
            assert verifier.verify(gold, reference).score == 1
            assert verifier.verify(verifier.corrupted(gold, reference), reference).score == 0


@pytest.mark.parametrize("name", ["gsm8k", "math"])
def test_openais_labels_of_model_solutions(gsm8k_solutions: list[tuple[str, str, bool]], name: str) -> None:
    """Solutions by four models of 6 and 175 billion parameters to the test questions, and whether they are right."""
    assert len(gsm8k_solutions) == 4 * 1319
    solutions, golds, labels = zip(*gsm8k_solutions, strict=True)
    assert set(labels) == {True, False}
    verdicts = load_verifier(name).verify_batch(solutions, golds)
    assert [verdict.score for verdict in verdicts] == [float(label) for label in labels]


def test_the_switch_has_two_positions() -> None:
    with pytest.raises(InvalidInput, match="'kept' or 'dropped'"):
        load_verifier("gsm8k", integer_sign=True)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert KEPT.verify(text, "5").outcome is not Outcome.ERROR


@given(st.text("0159,.-+ ab)$\n", max_size=30))
@pytest.mark.parametrize(("verifier", "number"), [(KEPT, gsm8k._SIGNED), (OLMES, gsm8k._OLMES)])
def test_the_last_number_is_that_of_the_whole_text(verifier: Gsm8k, number: re.Pattern[str], text: str) -> None:
    numbers = number.findall(re.sub(r"([0-9]),([0-9])", r"\1\2", text))
    assert verifier.verify(text, "5").extracted == (numbers[-1] if numbers else None)


@given(st.integers(), st.integers())
def test_numbers_are_told_apart(left: int, right: int) -> None:
    assert (KEPT.verify(f"It is {left}", f"#### {right}").score == 1) == (left == right)

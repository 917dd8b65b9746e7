"""The verifier as a whole: modes, levels, references, and right answers for every real row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalsuite.verifiers import Outcome, load_verifier
from evalsuite.verifiers.instructions import Instructions

#: Rows of IFEval whose request itself breaks a constraint and must be repeated: no answer can satisfy them strictly.
CONTRADICTORY = {374, 1627, 3369, 3371, 3718}


def reference(*constraints: tuple[str, dict]) -> dict:
    return {"instruction_id_list": [name for name, _ in constraints], "kwargs": [given for _, given in constraints]}


NO_COMMA = ("punctuation:no_comma", {})
THREE_WORDS = ("length_constraints:number_words", {"num_words": 3, "relation": "at least"})


@pytest.fixture(scope="module")
def rows(mirror: Path) -> list[dict]:
    lines = (mirror / "google" / "IFEval" / "ifeval_input_data.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_gold_scores_one_and_corrupted_gold_zero_on_every_row(rows, mode, compat):
    verifier = Instructions(mode=mode, compat=compat)
    assert len(rows) == 541
    for row in rows:
        if row["key"] in CONTRADICTORY and mode == "strict":
            continue
        gold = verifier.gold(row)
        assert verifier.verify(gold, row).score == 1, row["key"]
        assert verifier.verify(verifier.corrupted(gold, row), row).score == 0, row["key"]


def test_levels_share_the_same_judgement():
    both = reference(NO_COMMA, THREE_WORDS)
    assert Instructions(level="prompt").verify("two words", both).score == 0
    verdict = Instructions(level="instruction").verify("two words", both)
    assert (verdict.score, verdict.outcome) == (0.5, Outcome.PARTIAL)
    assert verdict.reason == "failed: length_constraints:number_words"
    assert Instructions(level="instruction").verify("three short words", both).score == 1


@pytest.mark.parametrize(
    "completion", ["Sure, here:\nno comma", "no comma\nBye, then", "Well, yes:\nno comma\nBye, then"]
)
def test_loose_forgives_a_first_and_a_last_line(completion):
    assert Instructions(mode="loose").verify(completion, reference(NO_COMMA)).score == 1
    assert Instructions(mode="strict").verify(completion, reference(NO_COMMA)).score == 0


def test_loose_forgives_asterisks():
    ends = reference(("startend:end_checker", {"end_phrase": "the end"}))
    assert Instructions(mode="loose").verify("This is **the end**", ends).score == 1
    assert Instructions(mode="strict").verify("This is **the end**", ends).score == 0


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_a_blank_completion_is_no_answer(blank):
    verdict = Instructions().verify(blank, reference(NO_COMMA))
    assert (verdict.outcome, verdict.score) == (Outcome.NO_ANSWER, 0)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (reference(("punctuation:no_coma", {})), "did you mean 'punctuation:no_comma'"),
        (reference(("keywords:frequency", {"keyword": "a", "relation": "at least"})), "'frequency'"),
        (reference(("keywords:frequency", {"keyword": "a", "relation": "most", "frequency": 1})), "'less than'"),
        (reference(("keywords:frequency", {"keyword": " ", "relation": "at least", "frequency": 1})), "not blank"),
        (reference(("keywords:existence", {"keywords": ["(unclosed"]})), "not a regular expression"),
        (reference(("punctuation:no_comma", {"num_words": 3})), "unknown argument 'num_words'"),
        (reference(("length_constraints:number_words", {"num_words": 2.5, "relation": "at least"})), "whole number"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}, "one mapping for each"),
        ({"instruction_id_list": [], "kwargs": []}, "list of constraint names"),
        ("punctuation:no_comma", "mapping"),
    ],
)
def test_a_bad_reference_is_an_error_and_never_a_score(bad, says):
    verdict = Instructions().verify("some answer", bad)
    assert verdict.outcome is Outcome.ERROR
    assert verdict.score is None
    assert says in verdict.reason


def test_arguments_come_as_arrow_and_json_give_them():
    padded = {"num_words": 3.0, "relation": "at least", "keyword": None, "language": None}
    assert Instructions().verify("three short words", reference((THREE_WORDS[0], padded))).score == 1


def test_rewards_judge_the_text_after_the_thinking():
    reward = Instructions(compat=False)
    assert reward.verify("<think>well, hm</think>no comma", reference(NO_COMMA)).score == 1
    assert reward.verify("<think>well hm", reference(NO_COMMA)).reason == "unclosed_think"


@pytest.mark.parametrize("params", [{"mode": "lose"}, {"level": "row"}, {"compat": "false"}])
def test_impossible_parameters_are_refused(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        Instructions(**params)


def test_the_registry_loads_it_by_name():
    assert load_verifier("instructions", mode="loose") == Instructions(mode="loose")

"""All rows of IFEval against real answers of a chat model, ours against lm-eval's own checkers, in one run."""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.verifiers.instructions import Instructions
from evalsuite.verifiers.instructions.punkt_tables import installed_tables

ROUNDS = 5
TARGET = 10.0


@pytest.fixture
def reference(monkeypatch):
    """lm-eval's IFEval with seeded languages, and with our sentence tables where NLTK's are not installed."""
    pytest.importorskip("immutabledict")
    nltk = pytest.importorskip("nltk")
    pytest.importorskip("lm_eval")
    from langdetect import DetectorFactory
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    monkeypatch.setattr(nltk, "download", lambda *args, **kwargs: False)
    from lm_eval.tasks.ifeval import instructions_util, utils

    tables, parameters = installed_tables(), PunktParameters()
    parameters.abbrev_types = set(tables.abbreviations)
    parameters.collocations = set(tables.collocations)
    parameters.sent_starters = set(tables.sentence_starters)
    parameters.ortho_context = defaultdict(int, tables.orthography)
    tokenizer = PunktSentenceTokenizer(parameters)
    monkeypatch.setattr(instructions_util, "_get_sentence_tokenizer", lambda: tokenizer)
    monkeypatch.setattr(nltk.tokenize, "_get_punkt_tokenizer", lambda language="english": tokenizer)
    monkeypatch.setattr(DetectorFactory, "seed", 0)
    return utils


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


@pytest.mark.benchmark
def test_rows_per_second(mirror: Path, reference) -> None:
    """A row is judged as lm-eval reports it, strictly and loosely."""
    rows = _lines(mirror / "google" / "IFEval" / "ifeval_input_data.jsonl")
    answers = _lines(mirror / "tatsu-lab" / "alpaca_eval" / "alpaca_eval_gpt4_baseline.jsonl")
    texts = [answer["output"] for answer in answers[: len(rows)]]
    examples = [
        reference.InputExample(row["key"], row["instruction_id_list"], row["prompt"], row["kwargs"]) for row in rows
    ]
    verifiers = Instructions(mode="strict"), Instructions(mode="loose")
    checks = reference.test_instruction_following_strict, reference.test_instruction_following_loose

    def ours() -> list[tuple[bool, ...]]:
        return [
            tuple(verifier.verify(text, row).score == 1 for verifier in verifiers)
            for text, row in zip(texts, rows, strict=True)
        ]

    def theirs() -> list[tuple[bool, ...]]:
        return [
            tuple(check(example, text).follow_all_instructions for check in checks)
            for text, example in zip(texts, examples, strict=True)
        ]

    drawn = [any(given.get("letter") in {"!", "#"} for given in row["kwargs"]) for row in rows]
    verdicts = zip(rows, ours(), theirs(), drawn, strict=True)
    assert [row["key"] for row, our, their, random_letter in verdicts if our != their and not random_letter] == []
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(ROUNDS)]
    ratio = statistics.median(their / our for our, their in pairs)
    rate = len(rows) / statistics.median(our for our, _ in pairs)
    print(f"\n{rate:.0f} rows/s, {ratio:.1f} times lm-eval's checkers (sentences: {installed_tables().source})")
    assert ratio >= TARGET

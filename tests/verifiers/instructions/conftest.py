"""The reference implementations that are installed here, made to work without NLTK's downloads."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from evalsuite.verifiers.instructions.punkt_tables import Tables, installed_tables


def _punkt(tables: Tables):
    """NLTK's own sentence tokenizer with our tables as its parameters."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    parameters = PunktParameters()
    parameters.abbrev_types = set(tables.abbreviations)
    parameters.collocations = set(tables.collocations)
    parameters.sent_starters = set(tables.sentence_starters)
    parameters.ortho_context = defaultdict(int, tables.orthography)
    return PunktSentenceTokenizer(parameters)


@pytest.fixture(scope="session")
def punkt(nltk):
    """A function that makes NLTK's sentence tokenizer with given tables."""
    return _punkt


@pytest.fixture(scope="session")
def nltk():
    """NLTK with the tables that our verifier uses, so that both split sentences by the same knowledge."""
    nltk = pytest.importorskip("nltk")
    import nltk.tokenize as tokenize

    patch = pytest.MonkeyPatch()
    tokenizer = _punkt(installed_tables())
    patch.setattr(tokenize, "_get_punkt_tokenizer", lambda language="english": tokenizer)
    patch.setattr(nltk, "download", lambda *args, **kwargs: False)
    yield nltk
    patch.undo()


@pytest.fixture(scope="session")
def lm_eval_ifeval(nltk):
    """lm-eval's IFEval, seeded: ``registry``, ``strict`` and ``loose``, the last two (row, text) -> list of bools."""
    pytest.importorskip("immutabledict")
    pytest.importorskip("lm_eval")
    from langdetect import DetectorFactory
    from lm_eval.tasks.ifeval import instructions_registry, instructions_util, utils

    patch = pytest.MonkeyPatch()
    tokenizer = _punkt(installed_tables())
    patch.setattr(instructions_util, "_get_sentence_tokenizer", lambda: tokenizer)
    patch.setattr(DetectorFactory, "seed", 0)

    def judged_by(check):
        def judge(row, text):
            example = utils.InputExample(0, row["instruction_id_list"], row.get("prompt", ""), row["kwargs"])
            return [bool(followed) for followed in check(example, text).follow_instruction_list]

        return judge

    yield SimpleNamespace(
        registry=instructions_registry.INSTRUCTION_DICT,
        strict=judged_by(utils.test_instruction_following_strict),
        loose=judged_by(utils.test_instruction_following_loose),
    )
    patch.undo()


@pytest.fixture(scope="session")
def ifeval_rows(mirror: Path) -> list[dict]:
    """All 541 rows of IFEval."""
    return _lines(mirror / "google" / "IFEval" / "ifeval_input_data.jsonl")


@pytest.fixture(scope="session")
def ifbench_rows(mirror: Path) -> list[dict]:
    """All 300 rows of IFBench."""
    return _lines(mirror / "allenai" / "IFBench_test" / "IFBench_test.jsonl")


@pytest.fixture(scope="session")
def responses(mirror: Path) -> list[str]:
    """Real answers of a chat model to real requests."""
    rows = _lines(mirror / "tatsu-lab" / "alpaca_eval" / "alpaca_eval_gpt4_baseline.jsonl")
    return [row["output"] for row in rows]


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]

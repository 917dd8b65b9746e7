"""What tests share: the data mirror, and no network by default."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

#: Of rows read by tests, not the user's.
_DATASETS = tempfile.TemporaryDirectory(prefix="evalsuite-datasets-")

os.environ.setdefault("HF_DATASETS_CACHE", _DATASETS.name)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GB: several engines live side by side

ROOT = Path(__file__).resolve().parent.parent
_BESIDE = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The mirror of real benchmark data; tests that need it are skipped where there is none."""
    path = Path(os.environ.get("EVALSUITE_DATA") or _BESIDE)
    if not path.is_dir():
        pytest.skip("no data mirror: set EVALSUITE_DATA to a directory with the Hub's layout")
    return path


@pytest.fixture(scope="session")
def gsm8k_solutions() -> list[tuple[str, str, bool]]:
    """Solution, gold and label of every answer in OpenAI's ``example_model_solutions.jsonl``."""
    path = os.environ.get("EVALSUITE_GSM8K_SOLUTIONS")
    if not path:
        pytest.skip("EVALSUITE_GSM8K_SOLUTIONS does not name example_model_solutions.jsonl of openai/grade-school-math")
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [
        (answer["solution"], row["ground_truth"].rpartition("A: ")[2], answer["is_correct"])
        for row in rows
        for answer in row.values()
        if isinstance(answer, dict)
    ]


@pytest.fixture
def write_task(tmp_path: Path):
    """Write a small task file and return its path; ``changes`` replaces or adds lines of its top level."""

    def write(text: str = "", *, name: str = "mine", head: str = "") -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(head + (text or SMALL_TASK), encoding="utf-8")
        return path

    return write


SMALL_TASK = """
title = "Mine"
skill = "math"
prompt = "Q: {{ question }}\\nA:"
target = "{{ answer }}"

[data]
hub = "me/mine"
split = "test"
rows = 3

[verifier]
name = "exact_match"
"""


@pytest.fixture
def small_mirror(tmp_path: Path) -> Path:
    """A mirror with one tiny dataset, ``me/mine``: columns question, answer, kind; three rows."""
    folder = tmp_path / "mirror" / "me" / "mine"
    folder.mkdir(parents=True)
    rows = [("1+1", "2", "a"), ("2+2", "4", "b"), ("3+3", "6", "a")]
    lines = [f'{{"question": "{q}", "answer": "{a}", "kind": "{k}"}}\n' for q, a, k in rows]
    (folder / "test.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path / "mirror"

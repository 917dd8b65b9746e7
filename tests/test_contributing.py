"""What CONTRIBUTING.md tells people to type works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from evalsuite.tasks.registry import load_task
from evalsuite.verifiers.registry import load_verifier

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)]


def test_the_task_of_the_example_loads(tmp_path: Path) -> None:
    task_file, golden = blocks("toml")
    path = tmp_path / "gsm8k_zeroshot.toml"
    path.write_text(f"{task_file}\n{golden}")
    task = load_task(str(path))
    assert (task.name, task.data.rows, task.check.prompts) == ("gsm8k_zeroshot", 1319, "0123456789abcdef")
    load_verifier(task.verifier.name, **task.verifier.params)


@pytest.mark.parametrize(
    ("completion", "reference", "outcome"),
    [
        ("Hm. No, wait: yes", "yes", "correct"),
        ("Yes! No.", "yes", "incorrect"),
        ("nobody knows", "no", "no_answer"),
        ("yes", "maybe", "error"),
    ],
)
def test_the_verifier_of_the_example_works(tmp_path: Path, completion: str, reference: str, outcome: str) -> None:
    (source,) = blocks("python")
    (tmp_path / "grade.py").write_text(source)
    line = json.dumps({"completion": completion, "reference": reference})
    command = [sys.executable, "-m", "evalsuite", "verify", "--verifier", "grade:YesNo", "-"]
    done = subprocess.run(command, input=line, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout)["outcome"] == outcome


def test_the_verifier_of_the_example_keeps_the_house_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = blocks("python")
    (tmp_path / "house_rules_grade.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    verifier = load_verifier("house_rules_grade:YesNo")
    for reference in ("yes", "no"):
        gold = verifier.gold(reference)
        assert verifier.verify(gold, reference).score == 1
        assert verifier.verify(verifier.corrupted(gold, reference), reference).score == 0


def test_every_make_target_named_exists() -> None:
    named = set(re.findall(r"make ([a-z-]+(?: [a-z-]+)*)", TEXT))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert named
    assert {target for words in named for target in words.split()} <= targets

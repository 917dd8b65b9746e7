"""CPU seconds until the command line has answered, least of several runs, beside lm-eval's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark

#: Command -> most CPU seconds (user and system) it may take.
LIMITS = {"--help": 0.25, "list": 0.35}
RUNS = 7
BIN = Path(sys.executable).parent


def cpu_seconds(command: list[str], runs: int) -> float:
    """Least CPU time of a whole process, over ``runs`` runs after one that warms the file cache."""
    return min(_cpu_seconds_once(command) for _ in range(runs + 1))


def _cpu_seconds_once(command: list[str]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize(("arguments", "limit"), LIMITS.items())
def test_answers_at_once(arguments: str, limit: float) -> None:
    seconds = cpu_seconds([str(BIN / "evalsuite"), *arguments.split()], RUNS)
    print(f"\nevalsuite {arguments}: {seconds:.3f} s of CPU (limit {limit} s)")
    assert seconds <= limit


@pytest.mark.skipif(shutil.which("lm-eval", path=BIN) is None, reason="lm-eval is not installed")
def test_lists_tasks_faster_than_lm_eval() -> None:
    ours = cpu_seconds([str(BIN / "evalsuite"), "list"], RUNS)
    theirs = cpu_seconds([str(BIN / "lm-eval"), "ls", "tasks"], 0)
    print(f"\nlisting tasks: evalsuite {ours:.3f} s of CPU, lm-eval {theirs:.1f} s")
    assert ours < theirs / 10

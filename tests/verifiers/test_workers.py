"""Worker processes: limits, crashes, threads, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evalsuite.verifiers.workers import JobStatus, WorkerPool


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(size=2, memory_bytes=1 << 30)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("function", "arguments", "status"),
    [
        ("math:factorial", (5,), JobStatus.DONE),
        ("json:loads", ("{",), JobStatus.RAISED),
        ("no_such_module:thing", (), JobStatus.RAISED),
        ("time:sleep", (60,), JobStatus.TIMEOUT),
        ("math:factorial", (10**9,), JobStatus.TIMEOUT),  # holds the interpreter lock: no thread could stop it
        ("builtins:bytearray", (1 << 33,), JobStatus.MEMORY),
        ("os:_exit", (0,), JobStatus.CRASHED),
        ("os:abort", (), JobStatus.CRASHED),
        ("builtins:print", ("this must not reach the pipe",), JobStatus.DONE),
        ("builtins:input", (), JobStatus.RAISED),
        ("threading:Lock", (), JobStatus.RAISED),  # cannot be pickled
    ],
)
def test_every_ending_is_told_apart(pool: WorkerPool, function: str, arguments: tuple, status: JobStatus) -> None:
    started = time.monotonic()
    assert pool.run(function, *arguments, seconds=1.0).status is status
    assert time.monotonic() - started < 10
    assert pool.run("math:factorial", 3, seconds=5).value == 6


def test_large_arguments_and_results_pass(pool: WorkerPool) -> None:
    text = "x" * 3_000_000
    assert pool.run("builtins:str", text, seconds=10).value == text


def test_many_threads_share_few_workers(pool: WorkerPool) -> None:
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda number: pool.run("math:factorial", number, seconds=10).value, range(100)))
    assert results[:5] == [1, 1, 2, 6, 24]
    assert len(results) == 100


def test_a_deadline_starts_when_the_work_starts() -> None:
    pool = WorkerPool(size=1)
    try:
        pool.run("math:factorial", 1, seconds=5)
        with ThreadPoolExecutor(4) as threads:
            results = list(threads.map(lambda _: pool.run("time:sleep", 0.4, seconds=1.0).status, range(4)))
        assert results == [JobStatus.DONE] * 4
    finally:
        pool.close()


def test_a_worker_outlives_the_thread_that_first_used_it(pool: WorkerPool) -> None:
    pids: list[int] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: pids.append(pool.run("os:getpid", seconds=5).value))
        thread.start()
        thread.join()
        time.sleep(0.05)
    assert len(set(pids)) == 1


def test_a_dead_idle_worker_is_replaced(pool: WorkerPool) -> None:
    os.kill(pool.run("os:getpid", seconds=5).value, signal.SIGKILL)
    time.sleep(0.1)
    assert pool.run("math:factorial", 4, seconds=5).value == 24


_SCRIPT = """
import os, pathlib, sys, threading, time
from evalsuite.verifiers.workers import WorkerPool
pool = WorkerPool(size=2)
busy = {"args": ("math:factorial", 10**9), "kwargs": {"seconds": 600}, "daemon": True}
threading.Thread(target=pool.run, **busy).start()
time.sleep(0.5)
idle = pool.run("os:getpid", seconds=30).value
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    try:
        parent = stat.read_text().rsplit(")", 1)[1].split()[1]
    except OSError:
        continue
    if parent == str(os.getpid()):
        print(stat.parent.name, flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), 9)", "raise SystemExit(3)", "os._exit(1)"])
def test_no_process_survives_the_parent(ending: str) -> None:
    """Neither the idle worker nor the one in the middle of a long multiplication."""
    script = subprocess.run(
        [sys.executable, "-c", _SCRIPT + ending], capture_output=True, text=True, timeout=60, check=False
    )
    workers = [int(pid) for pid in script.stdout.split()]
    assert len(workers) == 2, script.stderr
    deadline = time.monotonic() + 10
    while any(map(_is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_is_alive, workers))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_pool_needs_a_worker() -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        WorkerPool(size=0)

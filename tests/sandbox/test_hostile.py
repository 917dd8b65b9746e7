"""No hostile program passes, lives on, leaves anything or touches anything, and the next honest program is not hurt."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evalsuite.sandbox import Bubblewrap, FunctionJob, Level, Limits, Report, Service, probe
from tests.sandbox import hostile

QUICK_KINDS = ("escape", "kill", "persistence")
LIMITS = Limits(cpu_s=0.5, wall_s=1.5, memory_mb=512)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[hostile.Outside]:
    folder = tmp_path / "folder"
    folder.mkdir()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mailbox,
    ):
        mailbox.bind(str(tmp_path / "mailbox"))
        place = hostile.Outside(folder, server, mailbox)
        place.canary.write_text("untouched")
        yield place


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    os.environ["EVALSUITE_TEST_SECRET"] = "the secret"
    service = Service(probe())
    yield service
    service.close()
    del os.environ["EVALSUITE_TEST_SECRET"]


def judge_all(service: Service, outside: hostile.Outside, kind: str, limits: Limits = LIMITS) -> dict[str, Report]:
    """Judge every program of a kind, an honest one after each."""

    def judge(program: str) -> Report:
        report = service.run(FunctionJob(outside.fill_in(program), hostile.TESTS, "solve", limits=limits))
        honest = service.run(FunctionJob(hostile.HONEST, hostile.TESTS, "solve"))
        assert honest.reason == "", f"an honest program failed after a hostile one: {honest}"
        return report

    found = hostile.programs(kind)
    with ThreadPoolExecutor(4) as threads:
        return dict(zip(found, threads.map(judge, found.values()), strict=True))


def assert_harmless(
    reports: dict[str, Report], outside: hostile.Outside, granted: frozenset[str] = frozenset()
) -> None:
    assert [name for name, report in reports.items() if not report.reason] == []
    assert [name for name, report in reports.items() if "ESCAPED" in report.detail and name not in granted] == []
    assert hostile.workers() == []
    assert hostile.leftovers() == set()
    assert outside.canary.read_text() == "untouched"
    assert [path.name for path in outside.folder.iterdir()] == ["canary"]
    assert not outside.was_called()


def test_the_corpus_is_large_enough() -> None:
    names = [f"{kind}/{name}" for kind in hostile.KINDS for name in hostile.programs(kind)]
    assert len(hostile.KINDS) == 13
    assert len(names) == len(set(names)) >= 150


def test_a_survivor_would_be_seen(service: Service) -> None:
    sleeping = FunctionJob("import time\ntime.sleep(30)", "", limits=LIMITS)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(service.run, sleeping)
        while not running.done() and not hostile.workers():
            time.sleep(0.02)
        assert hostile.workers() != []
        assert running.result().reason == "timeout"
    assert hostile.workers() == []


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_at_full_isolation(kind: str, service: Service, outside: hostile.Outside) -> None:
    assert_harmless(judge_all(service, outside, kind), outside)


@pytest.fixture(scope="module")
def wrapped() -> Iterator[Service]:
    found = probe(Bubblewrap())
    if found.level < Level.NAMESPACED:
        pytest.skip(f"inside bubblewrap: {'; '.join(map(str, found.missing))}")
    service = Service(found, Bubblewrap())
    yield service
    service.close()


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK_KINDS else pytest.mark.slow) for kind in hostile.KINDS]
)
def test_at_full_isolation_inside_bubblewrap(kind: str, wrapped: Service, outside: hostile.Outside) -> None:
    assert_harmless(judge_all(wrapped, outside, kind), outside)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "network" else pytest.mark.slow) for kind in hostile.KINDS]
)
def test_without_namespaces(kind: str, outside: hostile.Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    if probe().level < Level.CONFINED:
        pytest.skip("neither seccomp nor Landlock here")
    monkeypatch.setenv("EVALSUITE_TEST_SECRET", "the secret")
    service = Service(probe().at_most(Level.CONFINED))
    try:
        assert_harmless(judge_all(service, outside, kind), outside)
    finally:
        service.close()


@pytest.mark.parametrize("kind", ["always_equal", "exit", "forge"])  # the other kinds would do real harm here
def test_nothing_passes_even_where_only_the_split_protects(kind: str, outside: hostile.Outside) -> None:
    isolation = probe().at_most(Level.BASIC)
    if not isolation.is_usable:
        pytest.skip("root, and no other user can read this Python installation")
    service = Service(isolation)
    try:
        reports = judge_all(service, outside, kind)
    finally:
        service.close()
    assert [name for name, report in reports.items() if not report.reason] == []


def test_deleted_files_fill_the_disk_too(outside: hostile.Outside) -> None:
    if probe().level < Level.CONFINED:
        pytest.skip("neither seccomp nor Landlock here")
    service = Service(probe().at_most(Level.CONFINED))
    hoard = """
import mmap, os
kept = []
while True:
    file = os.open("x", os.O_RDWR | os.O_CREAT)
    os.unlink("x")
    for _ in range(15):
        os.write(file, bytes(1 << 20))
    {keep}
"""
    try:
        for keep in ("kept.append(file)", "kept.append(mmap.mmap(file, 4096)); os.close(file)"):
            job = FunctionJob(hoard.format(keep=keep), hostile.TESTS, "solve", limits=Limits(cpu_s=2))
            assert service.run(job).reason == "forbidden"
        honest = "import tempfile, time\nwith tempfile.TemporaryFile() as file:\n    file.write(bytes(9 << 20))\n"
        job = FunctionJob(f"{honest}    time.sleep(0.2)\n{hostile.HONEST}", hostile.TESTS, "solve")
        assert service.run(job).reason == ""
    finally:
        service.close()


def test_nothing_is_handed_on_to_the_next_program(service: Service, outside: hostile.Outside) -> None:
    program = hostile.programs("persistence")["inherit_box"]
    reports = [service.run(FunctionJob(program, hostile.TESTS, "solve", limits=LIMITS)) for _ in range(5)]
    assert all(report.reason for report in reports)


def test_files_can_be_written_whatever_the_last_program_did(service: Service, outside: hostile.Outside) -> None:
    # Where the interpreter lies below /tmp, that folder is its own, read-only, and only the box is left to write.
    folder = "." if Path(sys.prefix).is_relative_to("/tmp") else "/tmp"
    writes = f"open('{folder}/x', 'w').write('x')\nopen('y', 'w').write(open('{folder}/x').read())\n" + hostile.HONEST
    for name in ("fill_inodes", "deep_directories", "unreadable_directories"):
        service.run(FunctionJob(hostile.programs("filesystem")[name], hostile.TESTS, "solve", limits=LIMITS))
        assert service.run(FunctionJob(writes, hostile.TESTS, "solve")).reason == ""


def test_some_reasons(service: Service, outside: hostile.Outside) -> None:
    expected = {
        ("denial", "busy_loop"): "timeout",
        ("denial", "sleep"): "timeout",
        ("denial", "big_string"): "memory",
        ("denial", "fork_bomb"): "forbidden",
        ("exit", "os_exit_zero"): "killed",
        ("crash", "null_pointer"): "killed",
        ("crash", "syntax_error"): "syntax_error",
        ("crash", "nul_in_source"): "syntax_error",
        ("network", "tcp_connect"): "forbidden",
        ("filesystem", "fill_disk_one_file"): "exception",
        ("always_equal", "int_subclass"): "wrong_answer",
        ("exit", "sys_exit_zero"): "exception",
        ("forge", "not_json"): "forbidden",
    }
    for (kind, name), reason in expected.items():
        program = outside.fill_in(hostile.programs(kind)[name])
        report = service.run(FunctionJob(program, hostile.TESTS, "solve", limits=LIMITS))
        assert report.reason == reason, (kind, name, report)


FORKS = """
import os, time
def solve(a, b):
    while True:
        if os.fork() == 0:
            time.sleep(60)
"""
DETACHED = """
import os, subprocess, sys
def solve(a, b):
    for _ in range(3):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4242)"], start_new_session=True)
    return a + b
"""
THREADS = """
import threading, time
threading.stack_size(32768)
def solve(a, b):
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""


@pytest.mark.parametrize(
    ("program", "processes", "reason"),
    [(FORKS, 8, "forbidden"), (THREADS, 0, "forbidden"), (THREADS, 8, "forbidden"), (DETACHED, 8, "")],
    ids=["forks", "threads", "threads where processes may be", "detached processes"],
)
def test_processes_are_counted_and_end_with_their_program(
    program: str, processes: int, reason: str, service: Service, outside: hostile.Outside
) -> None:
    if processes and service.isolation.level < Level.NAMESPACED:
        pytest.skip("needs namespaces")
    limits = Limits(cpu_s=1, wall_s=3, memory_mb=4096, processes=processes)
    tests = "assert solve(2, 3) == 5"
    assert service.run(FunctionJob(program, tests, "solve", limits=limits)).reason == reason
    assert hostile.workers() == []


#: They take a process or a socket on loopback for an escape.
GRANTED = frozenset(
    {"clone_parent", "high_half_of_clone", "vm_clone_child", "fork_family", "every_family", "resolver_libraries"}
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", hostile.KINDS)
def test_with_processes_and_loopback_allowed(kind: str, service: Service, outside: hostile.Outside) -> None:
    if service.isolation.level < Level.NAMESPACED:
        pytest.skip("needs namespaces")
    limits = dataclasses.replace(LIMITS, processes=4, loopback=True)
    assert_harmless(judge_all(service, outside, kind, limits), outside, GRANTED)

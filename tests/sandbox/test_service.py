"""The sandbox's own processes: shared by threads, replaced when they die, gone when their owner is."""

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

from evalsuite.errors import InvalidInput
from evalsuite.sandbox import FunctionJob, Isolation, Layer, Level, Limits, SandboxFailed, Service, UnusableTests, probe
from evalsuite.sandbox import service as service_module
from evalsuite.sandbox.service import require
from evalsuite.verifiers import Outcome, load_verifier

JOB = FunctionJob("def f(x):\n    return x + 1", "assert f(1) == 2", "f")


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service(probe())
    yield service
    service.close()


def descendants(of: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [of]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


def alive(processes: list[int]) -> list[int]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = [process for process in processes if Path(f"/proc/{process}/cmdline").exists() and _command(process)]
        if not left:
            return []
        time.sleep(0.02)
    return left


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_many_threads(service: Service) -> None:
    def judge(number: int) -> str:
        return service.run(FunctionJob(f"def f(x):\n    return x + {number % 3}", "assert f(1) == 2", "f")).reason

    with ThreadPoolExecutor(16) as threads:
        reasons = list(threads.map(judge, range(60)))
    assert reasons == ["" if number % 3 == 1 else "wrong_answer" for number in range(60)]


def test_one_slow_program_does_not_hold_up_another(service: Service) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor")
    service.run(JOB)
    slow = threading.Thread(
        target=service.run, args=(FunctionJob("import time\ntime.sleep(60)", "", limits=Limits(wall_s=3)),)
    )
    slow.start()
    started = time.monotonic()
    assert service.run(JOB).reason == ""
    assert time.monotonic() - started < 2
    slow.join()


def test_a_killed_tester_is_replaced(service: Service) -> None:
    assert service.run(JOB).reason == ""
    for process in descendants(os.getpid()):
        if b"\0tester\0" in _command(process):
            os.kill(process, signal.SIGKILL)
    assert service.run(JOB).reason == ""


def test_a_killed_zygote_is_replaced(service: Service) -> None:
    assert service.run(JOB).reason == ""
    for process in descendants(os.getpid()):
        if b"\0zygote\0" in _command(process):
            os.kill(process, signal.SIGKILL)
    assert service.run(JOB).reason == ""


def test_testers_killed_while_idle_count_against_no_program(service: Service) -> None:
    def both() -> list[str]:
        with ThreadPoolExecutor(4) as threads:
            return [report.reason for report in threads.map(service.run, [JOB] * 8)]

    before = set(descendants(os.getpid()))
    assert set(both()) == {""}
    started = [process for process in descendants(os.getpid()) if process not in before]
    for process in started:
        os.kill(process, signal.SIGKILL)
    assert alive(started) == []
    assert set(both()) == {""}


def test_failure_of_the_sandbox_is_not_the_programs(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_plan", {"packages": []})
    with pytest.raises(SandboxFailed):
        service.run(JOB)


def test_close_ends_everything(service: Service) -> None:
    before = set(descendants(os.getpid()))
    service.run(JOB)
    started = [process for process in descendants(os.getpid()) if process not in before]
    assert len(started) >= 2
    service.close()
    assert alive(started) == []
    assert service.run(JOB).reason == "", "a closed service starts again"


OWNER = """
import os, sys, time
from evalsuite.sandbox import FunctionJob, Limits, default_service
if __name__ == "__main__":
    service = default_service()
    service.run(FunctionJob("def f(): return 1", "assert f() == 1", "f"))
    print("ready", flush=True)
    if sys.argv[1] == "busy":
        service.run(FunctionJob("import time\\ntime.sleep(100)", "", limits=Limits(wall_s=200)))
    elif sys.argv[1] == "stuck":
        program, tests = "def f(): return 7 ** 1000", "assert f() ** (10 ** 9) == 1"
        service.run(FunctionJob(program, tests, "f", limits=Limits(wall_s=200)))
    elif sys.argv[1] == "fork":
        if os.fork() == 0:
            reason = service.run(FunctionJob("def f(): return 1", "assert f() == 1", "f")).reason
            os._exit(0 if reason == "" else 1)
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    elif sys.argv[1] == "wait":
        time.sleep(100)
"""


def start_owner(mode: str) -> tuple[subprocess.Popen[str], list[int]]:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, mode], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    return owner, descendants(owner.pid)


@pytest.mark.parametrize("mode", ["busy", "stuck", "wait"])
def test_nothing_survives_a_killed_owner(mode: str) -> None:
    owner, started = start_owner(mode)
    time.sleep(0.3)
    started = sorted({*started, *descendants(owner.pid)})
    assert started
    owner.kill()
    owner.wait()
    assert alive(started) == []


@pytest.mark.parametrize("mode", ["leave", "fork"])
def test_nothing_survives_an_owner_that_ends(mode: str) -> None:
    owner, started = start_owner(mode)
    assert owner.wait(timeout=30) == 0
    assert alive(started) == []


def test_unusable_tests(service: Service) -> None:
    with pytest.raises(UnusableTests, match="parse"):
        service.run(FunctionJob("x = 1", "assert (", ""))
    with pytest.raises(UnusableTests, match="in_process"):
        service.run(FunctionJob("def f(g): return 1", "class C: pass\nassert f(C()) == 1", "f"))
    assert service.run(JOB).reason == ""


def test_a_hung_tester_is_a_timeout(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalsuite.sandbox.lane._SLACK_S", 0.5)
    tests = "assert f() ** (10 ** 9) == 1"
    job = FunctionJob("def f():\n    return 7 ** 1000", tests, "f", limits=Limits(cpu_s=0.2, wall_s=0.2))
    assert service.run(job).reason == "timeout"
    assert service.run(JOB).reason == ""


STUCK = """
import json, socket
def f():
    colliding = [{"int": hex((2**61 - 1) * n)} for n in range(1, 300_000)]  # a set of them takes hours
    body = json.dumps({"value": {"frozenset": colliding}}).encode()
    socket.socket(fileno=3).sendall(len(body).to_bytes(8, "big") + body)
"""


def test_a_tester_that_cannot_be_interrupted_is_ended(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalsuite.sandbox.lane._SLACK_S", 300)
    job = FunctionJob(STUCK, "assert f() == 1", "f", limits=Limits(cpu_s=1, wall_s=5))
    assert service.run(job).reason == "timeout"
    assert service.run(JOB).reason == ""


def test_what_a_program_says_of_itself_is_cut(service: Service) -> None:
    body = '{"raised": ["ValueError"], "name": "x", "text": "%s"}'
    forged = f"body = ('{body}' % ('x' * 10**7)).encode()\nimport socket\n"
    forged += "socket.socket(fileno=3).sendall(len(body).to_bytes(8, 'big') + body)"
    for program in ("raise ValueError('x\\n' * 10**6)", forged):
        report = service.run(FunctionJob(program, "f()", "f"))
        assert report.reason == "exception"
        assert len(report.detail) <= 200 and "\n" not in report.detail


OPAQUE = "class A:\n    def __repr__(self):\n        return 'five'\ndef f():\n    return A()"


@pytest.mark.parametrize("count_all", [False, True])
@pytest.mark.parametrize("tests", ["assert f() == 5, f()", "raise KeyError(f())", "assert f() == 5, f'not {f()}'"])
def test_an_object_of_the_program_in_a_message_is_no_failure_of_the_sandbox(
    tests: str, count_all: bool, service: Service
) -> None:
    report = service.run(FunctionJob(OPAQUE, tests, "f", count_all=count_all))
    assert report.reason == "wrong_answer"
    assert report.detail.endswith(("<object of the program>", "not five"))


def frame(text: str) -> str:
    return f"import os; b = {text.encode()!r}; os.write(3, len(b).to_bytes(8, 'big') + b)"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("function(1)", "timeout"),
        ("function(function)", "timeout"),
        (frame("{}"), "forbidden"),
        (frame('{"calls":-1}'), "forbidden"),
        (frame('{"calls":-9,"arguments":{"tuple":[{"tuple":[]},{"dict":[]}]}}'), "forbidden"),
        (frame('{"calls":true,"arguments":{"tuple":[{"tuple":[]},{"dict":[]}]}}'), "forbidden"),
        (frame('{"value":{"handle":-2}}'), "forbidden"),
    ],
)
def test_a_program_that_calls_the_tests_without_end_or_sense(call: str, reason: str, service: Service) -> None:
    program = f"def f(function):\n    while True:\n        {call}"
    job = FunctionJob(program, "assert f(lambda n: n) == 1", "f", limits=Limits(cpu_s=0.3, wall_s=2))
    assert service.run(job).reason == reason


def test_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = Isolation(tuple(Layer(name, True) for name in ("unprivileged", "seccomp", "landlock", "namespaces")))
    assert everything.level == Level.NAMESPACED
    assert everything.at_most(Level.CONFINED).level == Level.CONFINED
    assert everything.at_most(Level.BASIC).level == Level.BASIC
    assert [layer.name for layer in everything.at_most(Level.BASIC).missing] == ["seccomp", "landlock", "namespaces"]
    assert Level.parse("confined") == Level.CONFINED
    with pytest.raises(ValueError, match="basic, confined, namespaced"):
        Level.parse("much")
    monkeypatch.setattr(service_module, "probe", lambda outer: everything.at_most(Level.CONFINED))
    require(Level.CONFINED)
    with pytest.raises(InvalidInput, match=r"'namespaced' is required, this machine reaches 'confined' \(namespaces"):
        require(Level.NAMESPACED)


LACKING = """
from concurrent.futures import ThreadPoolExecutor
from evalsuite.sandbox import Isolation, Layer, probe, service
from evalsuite.verifiers import load_verifier
layers = [Layer(layer.name, False, "no") if layer.name == "landlock" else layer for layer in probe().layers]
service.probe = lambda outer: Isolation(tuple(layers))
reference = {"tests": "assert f(1) == 2", "entry_point": "f"}
verdicts = load_verifier("code").verify_batch(["def f(x): return x + 1"] * 6, [reference] * 6)
print([verdict.score for verdict in verdicts])
"""


def test_a_machine_that_lacks_a_layer_says_so_once() -> None:
    if probe().level < Level.NAMESPACED:
        pytest.skip("this machine lacks more than one")
    said = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True, check=True)
    assert said.stdout == f"{[1.0] * 6}\n"
    assert said.stderr == "programs run at isolation level 'namespaced', without landlock: no\n"


def test_what_is_always_needed() -> None:
    for name in ("session", "limits"):
        layers = tuple(Layer(layer.name, layer.works and layer.name != name) for layer in probe().layers)
        assert not Isolation(layers).is_usable
        assert name in [layer.name for layer in Isolation(layers).lacks]
    assert {layer.name for layer in probe().layers} == {
        "session", "limits", "unprivileged", "seccomp", "landlock", "namespaces"
    }  # fmt: skip


def test_another_system_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity")
    other = probe.__wrapped__()
    monkeypatch.setattr(service_module, "probe", lambda outer: other)
    with pytest.raises(InvalidInput, match=r"cannot be run safely here: linux: the sandbox needs Linux, not darwin"):
        require(Level.BASIC)
    verdicts = load_verifier("code").verify_batch(["def f(): ..."], [{"tests": "f()", "entry_point": "f"}])
    assert verdicts[0].outcome == Outcome.ERROR and "needs Linux" in verdicts[0].reason


BOUNDED = """
import resource
from evalsuite.sandbox import FunctionJob, default_service
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
print(default_service().run(FunctionJob("def f(): return 1", "assert f() == 1", "f")))
"""


def test_memory_that_is_bounded_already() -> None:
    said = subprocess.run([sys.executable, "-c", BOUNDED], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("Report(reason='',")


def test_root_without_file_protection_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be run safely"):
        Service(Isolation((Layer("unprivileged", False, "root"), Layer("seccomp", True))))


def test_limits_are_kept(service: Service) -> None:
    programs = {
        "timeout": "import hashlib\nwhile True: hashlib.sha256(b'x')",
        "memory": "x = bytearray(600 << 20)",
        "exception": "open('f', 'wb').write(bytes(20 << 20))",
    }
    for reason, program in programs.items():
        report = service.run(FunctionJob(program, "assert True", limits=Limits(cpu_s=0.3, memory_mb=512)))
        assert report.reason == reason, report
        assert report.cpu_s < 1.5


def test_time_is_processor_time(service: Service) -> None:
    """A program that waits for others is not punished for their work."""
    sleeping = "import time\ndef f():\n    time.sleep(0.6)\n    return 1"
    report = service.run(FunctionJob(sleeping, "assert f() == 1", "f", limits=Limits(cpu_s=0.3, wall_s=3)))
    assert report.reason == ""


def test_counting_all_assertions(service: Service) -> None:
    tests = "def check(candidate):\n" + "\n".join(f"    assert candidate({n}) == {n % 4}" for n in range(8))
    report = service.run(FunctionJob("def f(x):\n    return x % 2", tests, "f", count_all=True))
    assert (report.reason, report.passed, report.total) == ("wrong_answer", 4, 8)
    report = service.run(FunctionJob("def f(x):\n    return 1 // (x - 2) * 0 + x", tests, "f", count_all=True))
    assert (report.reason, report.passed, report.total) == ("exception", 3, 8)
    report = service.run(FunctionJob("import os\nos._exit(0)", tests, "f", count_all=True))
    assert (report.reason, report.passed, report.total) == ("killed", 0, 8)
    assert service.run(FunctionJob("def f(x):\n    return x % 4", tests, "f", count_all=True)).passed == 8


LOOP = """
def matches(result, wanted):
    assert result == wanted
def check(candidate):
    for number in range(100):
        matches(candidate(number), number)
"""


@pytest.mark.parametrize("giving_up", ["return -1", "raise ValueError", "import os; os._exit(0)", "raise SystemExit"])
def test_giving_up_in_a_loop_earns_no_more_than_a_wrong_answer(giving_up: str, service: Service) -> None:
    program = f"def f(x):\n    if x >= 10:\n        {giving_up}\n    return x"
    report = service.run(FunctionJob(program, LOOP, "f", count_all=True))
    assert report.reason in ("wrong_answer", "exception", "killed")
    assert (report.passed, report.total) == (10, 100)


def test_an_assertion_that_holds_again_and_again_does_not_drown_another(service: Service) -> None:
    tests = "found = f(3)\nfor item in found:\n    assert type(item) is int\nassert found == [3, 2, 1]"
    report = service.run(FunctionJob("def f(x):\n    return [0] * 999", tests, "f", count_all=True))
    assert report.passed / report.total == 0.5
    assert service.run(FunctionJob("def f(x):\n    return []", tests, "f", count_all=True)).passed == 0


def test_what_tests_catch_themselves_is_left_to_them(service: Service) -> None:
    tests = """
try:
    for number in (1, 0):
        assert f(number) == 1
    raised = False
except ZeroDivisionError:
    raised = True
assert raised
with contextlib.suppress(ZeroDivisionError):
    assert f(0)
"""
    for count_all in (False, True):
        job = FunctionJob("def f(x):\n    return 1 // x", f"import contextlib\n{tests}", "f", count_all=count_all)
        assert service.run(job).reason == ""

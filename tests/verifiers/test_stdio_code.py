"""Whole programs judged by their output."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from evalsuite.errors import InvalidInput
from evalsuite.sandbox.stdio_cases import same_output
from evalsuite.verifiers import Outcome, load_verifier

ADD = {"inputs": ["1 2\n", "10 20\n", "-1 1\n"], "outputs": ["3\n", "30\n", "0\n"]}


ENDINGS = {
    "exit": "print(input())\nexit()",
    "quit": "print(input())\nquit(0)",
    "thread that nobody waits for": """
        import threading, time
        def main():
            time.sleep(0.05)
            print(input())
        threading.stack_size(1 << 26)
        threading.Thread(target=main).start()""",
    "exit in a thread": """
        import sys, threading
        def main():
            print(input())
            sys.exit()
        threading.Thread(target=main).start()""",
    "exit function": """
        import atexit, io, sys
        sys.stdout = io.StringIO()
        atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))
        print(input())""",
    "file never closed": "out = open(1, 'w')\nout.write(input())",
    "output of its own": """
        import io, os, sys
        class Out(io.StringIO):
            def flush(self):
                os.write(1, self.getvalue().encode())
                self.seek(0), self.truncate(0)
        sys.stdout = Out()
        print(input())""",
    "finaliser": "class A:\n    def __del__(self):\n        print(text)\ntext = input()\na = A()",
    "closed output": "import sys\nprint(input())\nsys.stdout.close()",
    "daemon": "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\nprint(input())",
    "own name": "import os\nos.path.dirname(os.path.abspath(__file__))\nprint(input())",
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_ends_as_in_an_interpreter_of_its_own(name: str) -> None:
    program = dedent(ENDINGS[name])
    plain = subprocess.run([sys.executable, "-c", f"__file__ = 'x'\n{program}"], input=b"1 2\n", capture_output=True)
    assert plain.stdout.split() == [b"1", b"2"]
    verdict = load_verifier("stdio_code").verify(program, {"inputs": ["1 2\n"], "outputs": ["1 2\n"]})
    assert verdict.score == 1, verdict


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("3", "3\n", True),
        ("3\r\n4  \n\n", "3 4", True),
        ("1 2\n3", "1\n2\n3\n", True),
        ("", "\n", True),
        ("3", "", False),
        ("3\n3", "3", False),
        ("yes", "YES", False),
        ("0.3333333", "0.33333331", True),
        ("0.334", "0.333", False),
        ("3.0", "3", True),
        ("3", "4", False),
        ("1000000", "1000001", False),
        ("1e6", "1000000.5", True),
        ("nan", "0.5", False),
        ("inf", "1.5", False),
        ("٣", "3.0", False),
        ("1_0", "10.0", False),
        ("1e9999", "2e9999", False),
        ("9" * 500 + ".0", "9" * 500 + ".1", False),
    ],
)
def test_same_output(output: str, expected: str, same: bool) -> None:
    assert same_output(output, expected, 1e-6) is same


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("a, b = map(int, input().split())\nprint(a + b)", ""),
        ("import sys\nfor line in sys.stdin:\n    print(sum(map(int, line.split())))", ""),
        ("def main():\n    print(sum(map(int, input().split())))\nif __name__ == '__main__':\n    main()", ""),
        ("print(sum(map(int, input().split())))\nraise SystemExit", ""),
        ("import os, sys\nprint(sum(map(int, input().split())))\nsys.stdout.flush()\nos._exit(0)", ""),
        ("```python\nprint(sum(map(int, open(0).read().split())))\n```", ""),
        (" a, b = map(int, input().split())\nprint(a + b)", ""),  # as it is said behind "Assistant:"
        ("print(3)", "wrong_answer"),
        ("print(sum(map(int, input().split())))\nprint(1)", "wrong_answer"),
        ("print(sum(map(int, input().split())))\nraise ValueError", "exception"),
        ("print(sum(map(int, input().split())))\nraise SystemExit(1)", "exception"),
        ("input()\ninput()", "exception"),
        ("print(", "syntax_error"),
        ("while True: pass", "timeout"),
        ("import threading\nprint(3)\nthreading.Thread(target=threading.Event().wait).start()", "timeout"),
        ("while True: print('x' * 10**6)", "memory"),
        ("x = bytearray(10**10)", "memory"),
        ("import os\nprint(3)\nos.kill(os.getpid(), 9)", "killed"),
        ("import os\nos.fork()", "forbidden"),
        ("   ", "no_code"),
    ],
)
def test_programs(program: str, reason: str) -> None:
    verdict = load_verifier("stdio_code", timeout=1.0).verify(program, ADD)
    assert verdict.reason == reason, verdict
    assert (verdict.score == 1) is (reason == "")


def test_fractions_and_early_end() -> None:
    program = "print(3 if input() == '1 2' else 30)"
    verdict = load_verifier("stdio_code", score="fraction").verify(program, ADD)
    assert verdict.outcome == Outcome.PARTIAL and verdict.score == pytest.approx(2 / 3)
    assert load_verifier("stdio_code").verify(program, ADD).score == 0
    with pytest.raises(InvalidInput, match="stop_early"):
        load_verifier("stdio_code", score="fraction", stop_early=True)


def test_cases_do_not_see_each_other() -> None:
    program = "import os\nprint(1 if os.path.exists('seen') else 0)\nopen('seen', 'w').close()"
    reference = {"inputs": ["", "", ""], "outputs": ["0", "0", "0"]}
    assert load_verifier("stdio_code").verify(program, reference).score == 1


def test_big_input_and_lists_of_lines() -> None:
    numbers = "\n".join(map(str, range(200_000)))
    reference = {"inputs": [numbers, ["1", "2"]], "outputs": ["19999900000", ["3"]]}
    program = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"
    assert load_verifier("stdio_code").verify(program, reference).score == 1


def test_the_input_cannot_be_written_to() -> None:
    program = "import os\nos.write(0, b'x')"
    assert load_verifier("stdio_code").verify(program, ADD).reason == "forbidden"


def test_bad_references() -> None:
    for reference in (None, {"inputs": ["1"]}, {"inputs": ["1"], "outputs": []}, {"inputs": [], "outputs": []}):
        assert load_verifier("stdio_code").verify("print(1)", reference).outcome == Outcome.ERROR

"""Programs judged by the tests they pass. The program never runs in the caller's own process, nor in the tests'."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from evalsuite.sandbox import FunctionJob, Job, SuiteJob
from evalsuite.verifiers.base import BadReference
from evalsuite.verifiers.sandboxed import Extract, SandboxedVerifier, check_choice
from evalsuite.verifiers.verdict import Verdict

__all__ = ["Code", "fenced_code"]

TestsRun = Literal["split", "in_process"]

_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Code(SandboxedVerifier):
    """Judge Python code by running a benchmark's tests on it.

    The reference is ``{"tests": str, "entry_point": str}`` and optionally ``"prompt"``. Tests are in HumanEval form
    (they define ``check(candidate)``), plain asserts (or a list of them), or a unittest suite. Names that the tests use
    and do not define are taken from the prompt, then from the program.

    ``extract`` says how the program is made: ``"continuation"`` is HumanEval's rule, prompt + completion with nothing
    sanitised; ``"markdown"`` takes the last fenced block, or the whole text when there is none, after the prompt.
    ``tests_run`` is ``"split"`` (the program's process never sees the tests) or ``"in_process"`` (they share one, for
    suites that patch the program; a program can cheat there, and the reason says so).

    Reasons: ``wrong_answer``, ``exception``, ``syntax_error``, ``timeout``, ``memory``, ``killed``, ``forbidden``,
    ``no_code``; with ``in_process`` marked ``:in_process``. See :class:`SandboxedVerifier` for the other parameters.
    """

    extract: Extract = "continuation"
    tests_run: TestsRun = "split"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("extract", self.extract, get_args(Extract))
        check_choice("tests_run", self.tests_run, get_args(TestsRun))

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Run the tests on the completed program."""
        tests, entry_point, prompt = _parts(reference)
        code = completion if self.extract == "continuation" else fenced_code(completion)
        if not code.strip():
            return Verdict.no_answer("no_code")
        header = prompt if self.extract == "continuation" else _complete(prompt)
        job = self._job(header + code, tests, entry_point, prompt)
        return self.verdict(self.run(job), code, "in_process" if self.tests_run == "in_process" else "")

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a program that raises wherever ``gold`` would compute."""
        return "    raise NotImplementedError\n"

    def _job(self, program: str, tests: str, entry_point: str, prompt: str) -> Job:
        limits, preload = self.limits(), self.preloaded(program, tests)
        if self.tests_run == "in_process":
            return SuiteJob(program, tests, entry_point, limits, preload)
        return FunctionJob(program, tests, entry_point, prompt, self.score == "fraction", limits, preload)


def fenced_code(text: str) -> str:
    """Return the last fenced block of ``text``, or all of it when nothing is fenced."""
    blocks = _FENCE.findall(text)
    return str(blocks[-1]) if blocks else text


def _complete(prompt: str) -> str:
    """Return ``prompt`` as a program of its own: a function left open gets an empty body."""
    if not prompt:
        return ""
    try:
        ast.parse(prompt)
    except SyntaxError:
        return f"{prompt}\n    pass\n\n"
    return f"{prompt}\n\n"


def _parts(reference: Any) -> tuple[str, str, str]:
    if not isinstance(reference, Mapping) or "tests" not in reference:
        raise BadReference("the reference of 'code' must be an object with 'tests' and 'entry_point'")
    tests, entry_point, prompt = reference["tests"], reference.get("entry_point", ""), reference.get("prompt", "")
    if isinstance(tests, list):
        tests = "\n".join(map(str, tests))
    if not all(isinstance(part, str) for part in (tests, entry_point, prompt)):
        raise BadReference("'tests', 'entry_point' and 'prompt' must be strings")
    return tests, entry_point, prompt

"""Programs judged by the tests they pass. The program never runs in the caller's own process, nor in the tests'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from evalsuite.sandbox import FunctionJob, Job, SuiteJob
from evalsuite.verifiers.base import BadReference
from evalsuite.verifiers.program_text import fenced_code, followed_by
from evalsuite.verifiers.sandboxed import SandboxedVerifier, check_choice
from evalsuite.verifiers.verdict import Verdict
from evalsuite.verifiers.workers import JobStatus, shared_pool

__all__ = ["Code"]

Extract = Literal["continuation", "markdown", "entry_point"]
TestsRun = Literal["split", "in_process"]

_SANITIZE_SECONDS = 10.0


@dataclass(frozen=True)
class Code(SandboxedVerifier):
    """Judge Python code by running a benchmark's tests on it.

    The reference is ``{"tests": str, "entry_point": str}`` and optionally ``"prompt"``. Tests are in HumanEval form
    (they define ``check(candidate)``), plain asserts (or a list of them), or a unittest suite. Names that the tests use
    and do not define are taken from the prompt, then from the program.

    ``extract`` says how the program is made: ``"continuation"`` is HumanEval's rule, prompt + completion with nothing
    sanitised; ``"markdown"`` takes the last fenced block, or the whole text when there is none, after the prompt;
    ``"entry_point"`` takes only the imports and what the entry point needs (BigCodeBench's sanitising), after the
    prompt. A prompt that ends with the head of a function gets an empty body for it there, and the program's own
    definition then takes its place (BigCodeBench's calibration).
    ``tests_run`` is ``"split"`` (the program's process never sees the tests) or ``"in_process"`` (they share one, for
    suites that patch the program; a program can cheat there, and the reason says so). With ``"split"`` arguments and
    results are copies. What a program does to its arguments shows where a call's value is not used (``f(items)`` as a
    statement), nowhere else: what tests compare with must not be its to change. Objects of its own classes are used
    where they are and equal nothing but, if they say so, each other; functions of the tests are called where they are.

    Reasons: ``wrong_answer``, ``exception``, ``syntax_error``, ``timeout``, ``memory``, ``killed``, ``forbidden``,
    ``missing_package`` (the program imports what is not installed here), ``no_code``; with ``in_process`` marked
    ``:in_process``. When the tests or the prompt import what is not installed, nothing can be judged: an error. See
    :class:`SandboxedVerifier` for the other parameters.
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
        code = self._code(completion, entry_point)
        if not code.strip():
            return Verdict.no_answer("no_code")
        program = prompt + code if self.extract == "continuation" else followed_by(prompt, code)
        job = self._job(program, tests, entry_point, prompt)
        return self.verdict(self.run(job), code, "in_process" if self.tests_run == "in_process" else "")

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a program that raises wherever ``gold`` would compute."""
        return "    raise NotImplementedError\n"

    def _job(self, program: str, tests: str, entry_point: str, prompt: str) -> Job:
        limits, preload = self.limits(), self.preloaded(program, tests)
        if self.tests_run == "in_process":
            return SuiteJob(program, tests, entry_point, prompt, limits, preload)
        return FunctionJob(program, tests, entry_point, prompt, self.score == "fraction", limits, preload)

    def _code(self, completion: str, entry_point: str) -> str:
        match self.extract:
            case "continuation":
                return completion
            case "markdown":
                return fenced_code(completion)
            case "entry_point":
                function = "evalsuite.verifiers.program_text:needed_code"
                result = shared_pool().run(function, completion, entry_point, seconds=_SANITIZE_SECONDS)
                return str(result.value) if result.status is JobStatus.DONE else ""


def _parts(reference: Any) -> tuple[str, str, str]:
    if not isinstance(reference, Mapping) or "tests" not in reference:
        raise BadReference("the reference of 'code' must be an object with 'tests' and 'entry_point'")
    tests, entry_point, prompt = reference["tests"], reference.get("entry_point", ""), reference.get("prompt", "")
    if isinstance(tests, list):
        tests = "\n".join(map(str, tests))
    if not all(isinstance(part, str) for part in (tests, entry_point, prompt)):
        raise BadReference("'tests', 'entry_point' and 'prompt' must be strings")
    return tests, entry_point, prompt

"""Programs judged by the tests they pass. The program never runs in the caller's own process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from evalsuite.sandbox import FunctionJob, Limits, run
from evalsuite.verifiers.base import BadReference, TextVerifier
from evalsuite.verifiers.verdict import Verdict

__all__ = ["Code", "fenced_code"]

Extract = Literal["continuation", "markdown"]

_FENCE = re.compile(r"^```[^\n`]*\n(.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Code(TextVerifier):
    """Judge Python code by running a benchmark's tests on it.

    The reference is ``{"tests": str, "entry_point": str}`` and optionally ``"prompt"``. Tests are in HumanEval form
    (they define ``check(candidate)``) or plain asserts.

    ``extract`` says how the program is made: ``"continuation"`` is HumanEval's rule, prompt + completion with nothing
    sanitised; ``"markdown"`` takes the last fenced block, or the whole text when there is none.
    ``timeout`` is in seconds of processor time; the wall limit is three times that. ``memory_mb`` bounds the address
    space.

    Reasons: ``wrong_answer``, ``exception``, ``syntax_error``, ``timeout``, ``memory``, ``killed``, ``forbidden``,
    ``no_code``.
    """

    timeout: float = 3.0
    extract: Extract = "continuation"
    memory_mb: int = 1024

    runs_in_processes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.extract not in get_args(Extract):
            raise ValueError(f"extract must be one of {', '.join(get_args(Extract))}, not {self.extract!r}")
        if self.timeout <= 0 or self.memory_mb <= 0:
            raise ValueError("timeout and memory_mb must be positive")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Run the tests on the completed program."""
        tests, entry_point, prompt = _parts(reference)
        code = completion if self.extract == "continuation" else fenced_code(completion)
        if not code.strip():
            return Verdict.no_answer("no_code")
        limits = Limits(cpu_s=self.timeout, wall_s=3 * self.timeout, memory_mb=self.memory_mb)
        report = run(FunctionJob(prompt + code, tests, entry_point, limits))
        return Verdict.correct(code) if report.passed else Verdict.incorrect(code, report.reason)

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a program that raises wherever ``gold`` would compute."""
        return "    raise NotImplementedError\n"


def fenced_code(text: str) -> str:
    """Return the last fenced block of ``text``, or all of it when nothing is fenced."""
    blocks = _FENCE.findall(text)
    return str(blocks[-1]) if blocks else text


def _parts(reference: Any) -> tuple[str, str, str]:
    if not isinstance(reference, Mapping):
        raise BadReference("the reference of 'code' must be an object with 'tests' and 'entry_point'")
    parts = reference.get("tests"), reference.get("entry_point", ""), reference.get("prompt", "")
    if not all(isinstance(part, str) for part in parts):
        raise BadReference("'tests', 'entry_point' and 'prompt' must be strings")
    return parts

"""Programs judged by what they print for given inputs, as in APPS and CodeContests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from evalsuite.sandbox import StdioJob
from evalsuite.verifiers.base import BadReference
from evalsuite.verifiers.program_text import fenced_code
from evalsuite.verifiers.sandboxed import SandboxedVerifier, check_choice
from evalsuite.verifiers.verdict import Verdict

__all__ = ["StdioCode"]

Extract = Literal["continuation", "markdown"]


@dataclass(frozen=True)
class StdioCode(SandboxedVerifier):
    """Judge a whole program by its standard output.

    The reference is ``{"inputs": [...], "outputs": [...]}``, one string (or list of lines) per case. Every case runs in
    a fresh process with the whole of ``timeout``. Outputs are equal when they have the same words in the same order;
    words that are decimal numbers may differ by ``tolerance``, absolutely or relatively, unless both are integers
    (:mod:`evalsuite.sandbox.stdio_cases`). With ``stop_early`` nothing runs after the first case that fails; it must be
    off for ``score="fraction"``. White space before the program falls away: what is said behind ``Assistant:`` begins
    with a blank, and no program can.

    Reasons are those of ``code``. ``extract`` is as there, without a prompt: the whole text or its last fenced block.
    """

    extract: Extract = "markdown"
    tolerance: float = 1e-6
    stop_early: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("extract", self.extract, get_args(Extract))
        if self.stop_early and self.score == "fraction":
            raise ValueError("score='fraction' needs every case to run: leave stop_early out")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Run the program on every input."""
        inputs, outputs = _cases(reference)
        code = (completion if self.extract == "continuation" else fenced_code(completion)).lstrip()
        if not code:
            return Verdict.no_answer("no_code")
        stop_early = self.score == "all" if self.stop_early is None else self.stop_early
        job = StdioJob(code, inputs, outputs, self.tolerance, stop_early, self.limits(), self.preloaded(code))
        return self.verdict(self.run(job), code)

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a program that prints nothing and fails."""
        return "raise NotImplementedError\n"


def _cases(reference: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not isinstance(reference, Mapping) or not {"inputs", "outputs"} <= set(reference):
        raise BadReference("the reference of 'stdio_code' must be an object with 'inputs' and 'outputs'")
    inputs, outputs = (tuple(map(_text, reference[key])) for key in ("inputs", "outputs"))
    if len(inputs) != len(outputs) or not inputs:
        raise BadReference(
            f"{len(inputs)} inputs and {len(outputs)} outputs: as many of one as of the other are needed"
        )
    return inputs, outputs


def _text(case: str | Sequence[str]) -> str:
    return case if isinstance(case, str) else "\n".join(map(str, case))

"""The ``math`` verifier: extraction, equivalence, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from evalsuite.verifiers.base import TextVerifier
from evalsuite.verifiers.math.equivalence import agree, decide
from evalsuite.verifiers.math.extract import boxes, last_answer, only_answer
from evalsuite.verifiers.references import accepted_answers
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict

__all__ = ["Math"]

Mode = Literal["eval", "reward", "flex"]


@dataclass(frozen=True)
class Math(TextVerifier):
    """The final answer must be equivalent to the reference, a string or a list of accepted strings.

    ``mode`` is ``"eval"`` (the last answer wins), ``"reward"`` (strict: ambiguity is 0) or ``"flex"`` (Tülu's rule). A
    reference may be a whole worked solution whose answer stands in a box.
    """

    runs_in_processes: ClassVar[bool] = True

    mode: Mode = "eval"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {self.mode!r}")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct``, ``incorrect`` or ``no_answer`` with the extracted answer and a reason."""
        golds = _golds(reference)
        segment = final_segment(completion)
        if segment is None:
            return Verdict.no_answer("unclosed_think")
        if self.mode == "reward":
            contents, problem = only_answer(segment)
            if not contents:
                return Verdict.no_answer(problem)
            if not all(agree(content, contents[-1]) for content in contents[:-1]):
                return Verdict.incorrect(contents[-1], "ambiguous")
            answer = contents[-1]
        else:
            found = last_answer(segment)
            if found.answer is None:
                return Verdict.no_answer(found.reason)
            answer = found.answer
        reason = ""
        for gold in golds:
            reason = decide(gold, answer, "reward" if self.mode == "reward" else "eval")
            if reason == "same":
                return Verdict.correct(answer)
        return Verdict.incorrect(answer, reason)

    def gold(self, reference: Any) -> str:
        """Return the first accepted answer in a box."""
        return f"The final answer is $\\boxed{{{_golds(reference)[0]}}}$."

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a boxed answer that is a different kind of thing."""
        return "The final answer is $\\boxed{-7654.321}$."


def _golds(reference: Any) -> tuple[str, ...]:
    return tuple(_gold(answer) for answer in accepted_answers(reference))


def _gold(answer: str) -> str:
    found = boxes(answer)
    return found[-1].content or answer if found else answer

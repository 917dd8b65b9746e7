"""The ``math`` verifier: extraction, equivalence, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from evalsuite.verifiers.base import TextVerifier
from evalsuite.verifiers.math.boxes import boxes
from evalsuite.verifiers.math.equivalence import agree, decide
from evalsuite.verifiers.math.extract import flexible_answers, last_answer, only_answer
from evalsuite.verifiers.references import accepted_answers
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Outcome, Verdict

__all__ = ["Math"]

Mode = Literal["eval", "reward", "flex"]

_WRONG = ("-7654.321", "\\text{none of these}")
_BATCH_THREADS = 8


@dataclass(frozen=True)
class Math(TextVerifier):
    """The final answer must be equivalent to the reference, a string or a list of accepted strings.

    ``mode`` is ``"eval"`` (the last answer wins), ``"reward"`` (strict: ambiguity is 0) or ``"flex"`` (Tülu's rule, any
    of several candidates); the package docstring has the table. A reference may be a whole worked solution whose answer
    stands in a box.
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
        match self.mode:
            case "reward":
                return _strict(segment, golds)
            case "flex":
                return _any_of(flexible_answers(segment), golds)
            case "eval":
                return _last(segment, golds)

    def verify_batch(self, completions: Sequence[str], references: Sequence[Any]) -> list[Verdict]:
        """Return one verdict per completion, in order; a slow comparison holds up no other."""
        pairs = list(zip(completions, references, strict=True))
        with ThreadPoolExecutor(_BATCH_THREADS) as threads:
            return list(threads.map(lambda pair: self.verify(*pair), pairs))

    def gold(self, reference: Any) -> str:
        """Return the first accepted answer in a box."""
        return _boxed(_golds(reference)[0])

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a boxed answer that is none of the accepted ones."""
        golds = _golds(reference)
        return next(_boxed(wrong) for wrong in _WRONG if _any_of([wrong], golds).outcome is Outcome.INCORRECT)


def _strict(segment: str, golds: tuple[str, ...]) -> Verdict:
    answers, problem = only_answer(segment)
    if not answers:
        return Verdict.no_answer(problem)
    answer = answers[-1]
    if not all(agree(other, answer) for other in answers[:-1]):
        return Verdict.incorrect(answer, "ambiguous")
    return _verdict(answer, [decide(gold, answer, "reward") for gold in golds])


def _last(segment: str, golds: tuple[str, ...]) -> Verdict:
    found = last_answer(segment)
    if found.answer is None:
        return Verdict.no_answer(found.reason)
    verdict = _any_of([found.answer], golds)
    if verdict.score == 0 and found.joined is not None:
        together = _any_of([found.joined], golds)
        return together if together.score == 1 else verdict
    return verdict


def _any_of(answers: Sequence[str], golds: tuple[str, ...]) -> Verdict:
    verdicts = [_verdict(answer, [decide(gold, answer, "eval") for gold in golds]) for answer in answers]
    return next((verdict for verdict in verdicts if verdict.score == 1), verdicts[-1])


def _verdict(answer: str, findings: Sequence[str]) -> Verdict:
    """Return ``correct`` when one of the findings, one per accepted answer, is ``same``."""
    return Verdict.correct(answer) if "same" in findings else Verdict.incorrect(answer, findings[0])


def _boxed(answer: str) -> str:
    return f"The final answer is $\\boxed{{{answer}}}$."


def _golds(reference: Any) -> tuple[str, ...]:
    return tuple(_gold(answer) for answer in accepted_answers(reference))


def _gold(answer: str) -> str:
    found = boxes(answer)
    return (found[-1].content if found else None) or answer

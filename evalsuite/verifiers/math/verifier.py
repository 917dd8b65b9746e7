"""The ``math`` verifier: extraction, equivalence, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Literal, get_args

from evalsuite.cancellation import map_in_threads
from evalsuite.verifiers.base import TextVerifier
from evalsuite.verifiers.math import minerva
from evalsuite.verifiers.math.boxes import boxes, last_complete_box, last_together
from evalsuite.verifiers.math.equivalence import MAX_LENGTH, agree, decide, quick
from evalsuite.verifiers.math.extract import flexible_answers, last_answer, only_answer
from evalsuite.verifiers.math.findings import Finding, Strictness
from evalsuite.verifiers.references import accepted_answers
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Outcome, Verdict

__all__ = ["Math"]

Mode = Literal["eval", "reward", "flex"]
Equality = Literal["mathematical", "minerva"]
BoxRule = Literal["last_complete", "last"]
Thinking = Literal["dropped", "kept"]

_WRONG = ("-7654.321", "\\text{none of these}")
_BATCH_THREADS = 8
#: Whoever writes more different boxes than this is not sure, even if all of them say the same.
_MANY = 32
_OUR_RULE = ("mathematical", "last_complete", "dropped")


@dataclass(frozen=True)
class Math(TextVerifier):
    """The final answer must be equivalent to the reference, a string or a list of accepted strings.

    ``mode`` is ``"eval"`` (the last answer wins), ``"reward"`` (strict: ambiguity is 0) or ``"flex"`` (Tülu's rule, any
    of several candidates); the package docstring has the table. A reference may be a whole worked solution whose answer
    stands in a box.

    The published verdicts of Tülu's rule come from ``equality="minerva"`` (SymPy's grammar instead of ours),
    ``box="last"`` (an unclosed last box hides the earlier ones) and ``thinking="kept"``; for ``mode="flex"`` alone.
    """

    runs_in_processes: ClassVar[bool] = True

    mode: Mode = "eval"
    equality: Equality = "mathematical"
    box: BoxRule = "last_complete"
    thinking: Thinking = "dropped"

    def __post_init__(self) -> None:
        for name, choice in (("mode", Mode), ("equality", Equality), ("box", BoxRule), ("thinking", Thinking)):
            if getattr(self, name) not in get_args(choice):
                raise ValueError(f"{name} must be one of {', '.join(get_args(choice))}, not {getattr(self, name)!r}")
        if self.mode != "flex" and (self.equality, self.box, self.thinking) != _OUR_RULE:
            raise ValueError(f"equality, box and thinking belong to mode='flex', not to mode={self.mode!r}")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct``, ``incorrect`` or ``no_answer`` with the extracted answer and a reason."""
        golds = self._golds(reference)
        segment = completion if self.thinking == "kept" else final_segment(completion)
        if segment is None:
            return Verdict.no_answer("unclosed_think")
        match self.mode:
            case "reward":
                return self._strict(segment, golds)
            case "flex":
                return self._any(segment, golds)
            case "eval":
                return self._last(segment, golds)

    def verify_batch(self, completions: Sequence[str], references: Sequence[Any]) -> list[Verdict]:
        """Return one verdict per completion, in order; comparisons that need SymPy run side by side."""
        verdicts = _QuickMath(*astuple(self)).verify_each(completions, references)
        slow = [index for index, verdict in enumerate(verdicts) if verdict.outcome is Outcome.ERROR]
        if slow:
            threads = min(len(slow), _BATCH_THREADS)
            again = map_in_threads(lambda index: self.verify(completions[index], references[index]), slow, threads)
            for index, verdict in zip(slow, again, strict=True):
                verdicts[index] = verdict
        return verdicts

    def verify_each(self, completions: Sequence[str], references: Sequence[Any]) -> list[Verdict]:
        """Return one verdict per completion, one after the other."""
        return super().verify_batch(completions, references)

    def _golds(self, reference: Any) -> tuple[str, ...]:
        published = self.equality == "minerva"
        found = (_golds(answer) for answer in accepted_answers(reference))
        return tuple(gold for golds in found for gold in (golds[:1] if published else golds))

    def _decide(self, gold: str, answer: str, strictness: Strictness) -> str:
        return minerva.decide(gold, answer) if self.equality == "minerva" else decide(gold, answer, strictness)

    def gold(self, reference: Any) -> str:
        """Return the first accepted answer in a box."""
        return _boxed(self._golds(reference)[0])

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a boxed answer that is none of the accepted ones."""
        return next(_boxed(wrong) for wrong in _WRONG if self.judge(_boxed(wrong), reference).score == 0)

    def _strict(self, segment: str, golds: tuple[str, ...]) -> Verdict:
        answers, problem = only_answer(segment)
        if not answers:
            return Verdict.no_answer(problem)
        answer = answers[-1]
        others = dict.fromkeys(answers[:-1])
        if len(others) <= _MANY and all(agree(other, answer) for other in others):
            return self._best([answer], golds, "reward")
        listed = last_together(segment, boxes(segment))
        if len(listed) == len(answers) <= _MANY:
            verdict = self._best([";".join(listed)], golds, "reward")
            if verdict.score == 1:
                return verdict
        return Verdict.incorrect(answer[:MAX_LENGTH], "ambiguous")

    def _last(self, segment: str, golds: tuple[str, ...]) -> Verdict:
        found = last_answer(segment)
        if found.answer is None:
            return Verdict.no_answer(found.reason)
        verdict = self._best([found.answer], golds, "eval")
        if verdict.score == 0 and found.joined is not None:
            together = self._best([found.joined], golds, "eval")
            return together if together.score == 1 else verdict
        return verdict

    def _any(self, segment: str, golds: tuple[str, ...]) -> Verdict:
        box = minerva.last_box(segment) if self.box == "last" else last_complete_box(segment)
        answers = flexible_answers(segment, box)
        if self.equality == "minerva":
            answers, golds = [*map(minerva.normal_form, answers)], tuple(map(minerva.normal_form, golds))
        return self._best(answers, golds, "eval")

    def _best(self, answers: Sequence[str], golds: tuple[str, ...], strictness: Strictness) -> Verdict:
        """Return ``correct`` for the first answer that equals an accepted one, else the reason for the last answer."""
        reason = ""
        for answer in answers:
            for gold in golds:
                reason = self._decide(gold, answer, strictness)
                if reason == Finding.SAME:
                    return Verdict.correct(answer[:MAX_LENGTH])
        return Verdict.incorrect(answers[-1][:MAX_LENGTH], reason)


class _Slow(Exception):
    """Only SymPy could tell."""


class _QuickMath(Math):
    """Judges with the cheap tiers alone; what they cannot decide comes out as an error."""

    def _decide(self, gold: str, answer: str, strictness: Strictness) -> str:
        finding = minerva.quick(gold, answer) if self.equality == "minerva" else quick(gold, answer, strictness)
        if finding is Finding.UNDECIDED:
            raise _Slow
        return str(finding)


def _boxed(answer: str) -> str:
    return f"The final answer is $\\boxed{{{answer}}}$."


def _golds(answer: str) -> list[str]:
    """Return what a worked solution answers: its last box, or all that are listed there; what follows ``####``."""
    together = last_together(answer, boxes(answer))
    if not together:
        return [answer.rpartition("####")[2].strip() or answer]
    return [together[-1]] if len(set(together)) == 1 else [together[-1], ";".join(together)]

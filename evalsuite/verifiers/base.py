"""The one interface that scores benchmarks and rewards policies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from evalsuite.errors import EvalsuiteError
from evalsuite.verifiers.verdict import Verdict

__all__ = ["BadReference", "LogLikelihoodVerifier", "NoGold", "TextVerifier", "Verifier"]

Completion = TypeVar("Completion")


class BadReference(Exception):
    """A reference that this verifier cannot judge against: wrong type, missing key, unknown constraint."""


class NoGold(BadReference):
    """A reference that completions can be judged against, and none scores 1; ``best`` scores the most."""

    def __init__(self, message: str, best: Any) -> None:
        super().__init__(message)
        self.best = best


class Verifier(ABC, Generic[Completion]):
    """Judge completions against references.

    Subclasses are frozen dataclasses whose fields are the verifier's parameters, so that a verifier is described by its
    name and parameters, pickles, and can be rebuilt in a worker. They implement :meth:`judge`; callers use
    :meth:`verify` and :meth:`verify_batch`, which never raise and may be called from any thread.
    """

    #: True when one judgement can take long and runs under the verifier's own time limit in its own process. Callers
    #: then judge from many threads at once.
    runs_in_processes: ClassVar[bool] = False

    @abstractmethod
    def judge(self, completion: Completion, reference: Any) -> Verdict:
        """Return the verdict on one completion; raise :class:`BadReference` when the reference is unusable."""

    def gold(self, reference: Any) -> Completion:
        """Return a completion that scores 1 against ``reference``, for ``fake:gold`` and ``evalsuite check``.

        Raises:
            NoGold: no completion scores 1.
            BadReference: the reference is unusable, or this verifier cannot make one up.
        """
        raise BadReference(f"{type(self).__name__} cannot make up a right answer; give the task a 'gold' template")

    def corrupted(self, gold: Completion, reference: Any) -> Completion:
        """Return a completion like ``gold`` that scores 0 against ``reference``."""
        raise BadReference(f"{type(self).__name__} cannot corrupt a right answer")

    def resources(self) -> Mapping[str, str]:
        """Return what on this machine, besides the parameters, has a part in the verdicts; goes into the record."""
        return {}

    def inside(self, sandbox: str) -> Self:
        """Return this verifier, running programs inside the outer layer ``sandbox`` (:mod:`evalsuite.sandbox.outer`).

        Empty leaves it to the environment. The same verifier when it runs no programs.
        """
        return self

    def verify(self, completion: Completion, reference: Any) -> Verdict:
        """Return the verdict on one completion.

        A failure of the verifier itself is a verdict with outcome ``error``, never an exception and never a zero.
        """
        try:
            return self.judge(completion, reference)
        except BadReference as problem:
            return Verdict.error(f"bad_reference: {problem}")
        except EvalsuiteError as problem:
            return Verdict.error(f"cannot_judge: {problem}")
        except Exception as bug:  # a verifier's bug must not end the run, and must be seen
            return Verdict.error(f"verifier_bug: {type(bug).__name__}: {bug}")

    def verify_batch(self, completions: Sequence[Completion], references: Sequence[Any]) -> list[Verdict]:
        """Return one verdict per completion, in order; see :meth:`verify`."""
        pairs = zip(completions, references, strict=True)
        return [self.verify(completion, reference) for completion, reference in pairs]


class TextVerifier(Verifier[str]):
    """Judges the text of a completion."""

    def verify(self, completion: str, reference: Any) -> Verdict:
        """Return the verdict on one completion; what is no text is an error, and not the verifier's."""
        if not isinstance(completion, str):
            return Verdict.error(f"bad_completion: a text is needed, not {type(completion).__name__}")
        return super().verify(completion, reference)


class LogLikelihoodVerifier(Verifier[Sequence[float]]):
    """Judges the summed log-probabilities (natural log) that a model gave to each candidate continuation."""

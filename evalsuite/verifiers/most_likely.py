"""Multiple choice by likelihood: the gold continuation must be the one the model finds most likely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.verifiers.base import BadReference, LogLikelihoodVerifier
from evalsuite.verifiers.verdict import Verdict

__all__ = ["MostLikely"]

_LIKELY, _UNLIKELY = -1.0, -100.0


@dataclass(frozen=True)
class MostLikely(LogLikelihoodVerifier):
    """The reference is the index of the gold continuation; of equally likely ones the first is the model's choice."""

    def judge(self, completion: Sequence[float], reference: Any) -> Verdict:
        """Return ``correct`` when the largest log-probability stands at the gold index."""
        gold = _index(reference)
        if gold >= len(completion):
            raise BadReference(f"index {gold} of only {len(completion)} continuations")
        if any(math.isnan(value) for value in completion):
            return Verdict.error("log_probability_is_nan")
        choice = max(range(len(completion)), key=lambda index: completion[index])
        return Verdict.correct(str(choice)) if choice == gold else Verdict.incorrect(str(choice), "other_more_likely")

    def gold(self, reference: Any) -> Sequence[float]:
        """Return log-probabilities with the largest at the gold index, and one continuation after it."""
        return [_UNLIKELY] * _index(reference) + [_LIKELY, _UNLIKELY]

    def corrupted(self, gold: Sequence[float], reference: Any) -> Sequence[float]:
        """Return ``gold`` with the gold continuation less likely than all others."""
        index = _index(reference)
        return [2 * _UNLIKELY if position == index else value for position, value in enumerate(gold)]


def _index(reference: Any) -> int:
    if isinstance(reference, bool) or not isinstance(reference, int) or reference < 0:
        raise BadReference(f"the index of the gold continuation is needed, not {reference!r}")
    return reference

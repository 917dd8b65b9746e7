"""What a comparison of two answers can find."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

__all__ = ["Finding", "Strictness", "all_same"]

#: ``reward`` refuses what a model could gain by being vague; ``eval`` forgives what a reader would forgive.
Strictness = Literal["eval", "reward"]


class Finding(StrEnum):
    """``SAME``, ``UNDECIDED`` (the cheap tiers cannot tell), or the reason why two answers differ."""

    SAME = "same"
    UNDECIDED = "undecided"
    VALUE = "different_value"
    KIND = "different_kind"
    UNIT = "different_unit"
    PERCENT = "percent"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    EMPTY = "empty"
    UNEVALUATED = "unevaluated"
    CHAIN = "equation_chain"
    UNREADABLE = "unreadable"


def all_same(findings: Iterable[Finding]) -> Finding:
    """Return ``SAME`` when all are; else the first difference; else ``UNDECIDED``."""
    undecided = False
    for finding in findings:
        if finding is Finding.UNDECIDED:
            undecided = True
        elif finding is not Finding.SAME:
            return finding
    return Finding.UNDECIDED if undecided else Finding.SAME

"""Decide whether two answers are the same, the cheap way first."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from evalsuite.verifiers.math import symbolic

__all__ = ["MAX_LENGTH", "canonical", "equivalent"]

#: Longer answers are not answers; nothing longer reaches a parser.
MAX_LENGTH = 400

_SPACING = re.compile(r"\\[!,;: ]|\\(?:left|right|quad|qquad|displaystyle|bigl?|bigr?)(?![A-Za-z])|[$~\s]")
_FRAC = re.compile(r"\\[dtc]frac")
_SHORT_FRAC = re.compile(r"\\frac([0-9])([0-9])")
_PLAIN = re.compile(
    r"(-?)(?:\\frac\{(-?[0-9]+)\}\{([0-9]+)\}|([0-9]+)/([0-9]+)|([0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40}))"
)


def canonical(text: str) -> str:
    """Return ``text`` without differences that never matter."""
    text = _SPACING.sub("", text.strip())
    text = _SHORT_FRAC.sub(r"\\frac{\1}{\2}", _FRAC.sub(r"\\frac", text)).replace("{,}", ",")
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text)
    text = re.sub(r"^[a-z]=", "", text.replace("\\$", "").rstrip(".,").replace("^\\circ", "").replace("^{\\circ}", ""))
    return re.sub(r"\\text(?:bf|rm)?\{([^{}]*)\}", r"\1", text)


@lru_cache(maxsize=65536)
def equivalent(gold: str, answer: str) -> tuple[bool, str]:
    """Return whether ``answer`` means ``gold``, and a reason when it does not."""
    if len(answer) > MAX_LENGTH:
        return False, "too_long"
    left, right = canonical(gold), canonical(answer)
    if left == right:
        return bool(right), "" if right else "empty"
    numbers = _number(left), _number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] == numbers[1], "" if numbers[0] == numbers[1] else "different_value"
    return symbolic.decide(gold, answer)


def _number(text: str) -> Fraction | None:
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    sign, top, bottom, over, under, plain = match.groups()
    if plain:
        value = Fraction(plain.rstrip("."))
    else:
        denominator = int(bottom or under)
        if denominator == 0:
            return None
        value = Fraction(int(top or over), denominator)
    return -value if sign else value

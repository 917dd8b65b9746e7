"""How long a completion may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from evalsuite.verifiers.base import TextVerifier
from evalsuite.verifiers.verdict import Verdict

__all__ = ["Length"]

Unit = Literal["characters", "words", "lines"]


@dataclass(frozen=True)
class Length(TextVerifier):
    """The completion must have from ``minimum`` to ``maximum`` (inclusive) characters, words or non-blank lines.

    Outside, the score falls linearly to 0 over ``margin`` units. The reference is not used.
    """

    minimum: int = 0
    maximum: int | None = None
    unit: Unit = "words"
    margin: int = 0

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ValueError(f"unit must be one of {', '.join(get_args(Unit))}, not {self.unit!r}")
        if self.minimum < 0 or self.margin < 0 or (self.maximum is not None and self.maximum < self.minimum):
            raise ValueError(f"impossible bounds: minimum {self.minimum}, maximum {self.maximum}, margin {self.margin}")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return full marks inside the bounds."""
        count = self._count(completion)
        missing = max(self.minimum - count, 0)
        extra = max(count - self.maximum, 0) if self.maximum is not None else 0
        distance = missing or extra
        if distance == 0:
            return Verdict.correct(str(count))
        score = max(0.0, 1 - distance / (self.margin + 1))
        return Verdict.graded(score, str(count), "too_short" if missing else "too_long")

    def gold(self, reference: Any) -> str:
        """Return a text of the least allowed length."""
        return self._text(self.minimum)

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a text far outside the bounds."""
        return self._text(self.maximum + self.margin + 1) if self.maximum is not None else ""

    def _count(self, text: str) -> int:
        match self.unit:
            case "characters":
                return len(text)
            case "words":
                return len(text.split())
            case "lines":
                return sum(1 for line in text.splitlines() if line.strip())

    def _text(self, count: int) -> str:
        return "x" * count if self.unit == "characters" else ("\n" if self.unit == "lines" else " ").join(["x"] * count)

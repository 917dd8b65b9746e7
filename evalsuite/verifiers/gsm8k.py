"""GSM8K: the last number of the completion must be the number of the reference (Tülu 3 evaluation, D7).

Both sides go through the same extractor, and the extracted strings must be equal, so ``18.0`` is not ``18`` unless
``compare="value"``. Text inside a ``<think>`` block never counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from evalsuite.verifiers.base import BadReference, TextVerifier
from evalsuite.verifiers.references import accepted_answers
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict

__all__ = ["Gsm8k"]

IntegerSign = Literal["kept", "dropped"]
Compare = Literal["text", "value"]

_THOUSANDS = re.compile(r"([0-9]),([0-9])")
# A minus between two numbers ("10-5") is a subtraction, not a sign.
_SIGNED = re.compile(r"(?:(?<![0-9A-Za-z)\]])-)?(?:[0-9]*\.[0-9]+|[0-9]+)")
# OLMES 2024-12: the alternation binds weaker than the sign, so only decimals keep theirs.
_OLMES = re.compile(r"[-+]?[0-9]*\.[0-9]+|[0-9]+")
_DIGITS = "0123456789"
_NUMERIC = f"{_DIGITS}+-.,"

_SHOWN = 100


@dataclass(frozen=True)
class Gsm8k(TextVerifier):
    """Compare the last numbers of completion and reference.

    A reference is a string, the whole gold solution with its ``####`` line or only the number, or a list of accepted
    strings. ``integer_sign="dropped"`` reproduces OLMES, where ``-5`` and ``5`` are the same answer; as there, numbers
    are compared as text, while ``compare="value"`` takes ``18.0`` for ``18``.
    """

    integer_sign: IntegerSign = "kept"
    compare: Compare = "text"

    def __post_init__(self) -> None:
        if self.integer_sign not in get_args(IntegerSign):
            raise ValueError(f"integer_sign must be 'kept' or 'dropped', not {self.integer_sign!r}")
        if self.compare not in get_args(Compare):
            raise ValueError(f"compare must be 'text' or 'value', not {self.compare!r}")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct`` when the last number is an accepted one; ``no_answer`` without any number."""
        accepted = self._accepted(reference)
        answer = final_segment(completion)
        if answer is None:
            return Verdict.no_answer("unclosed_think")
        number = self._last_number(answer)
        if number is None:
            return Verdict.no_answer("no_number")
        if self._is_among(number, accepted):
            return Verdict.correct(number)
        return Verdict.incorrect(number[:_SHOWN], "different_number")

    def gold(self, reference: Any) -> str:
        """Return a completion that ends in the reference's number."""
        return f"The answer is {self._accepted(reference)[0]}."

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a completion that ends in a number with a digit too many."""
        accepted = self._accepted(reference)
        wrong = accepted[0] + "1"
        while wrong in accepted:
            wrong += "1"
        return f"The answer is {wrong}."

    def _is_among(self, number: str, accepted: tuple[str, ...]) -> bool:
        if self.compare == "text":
            return number in accepted
        return Decimal(number) in map(Decimal, accepted)

    def _accepted(self, reference: Any) -> tuple[str, ...]:
        return tuple(self._number_of(answer) for answer in accepted_answers(reference))

    def _number_of(self, answer: str) -> str:
        number = self._last_number(answer.rpartition("####")[2])
        if number is None:
            raise BadReference(f"no number in the reference {answer[-80:]!r}")
        return number

    def _last_number(self, text: str) -> str | None:
        pattern = _SIGNED if self.integer_sign == "kept" else _OLMES
        numbers = pattern.findall(_THOUSANDS.sub(r"\1\2", _last_run(text)))
        return numbers[-1] if numbers else None


def _last_run(text: str) -> str:
    """Return the last digits of ``text`` with the signs and points around them, and the character before those."""
    end = max(text.rfind(digit) for digit in _DIGITS) + 1
    start = len(text[:end].rstrip(_NUMERIC))
    return text[max(0, start - 1) : end]

"""Read references: the form in which task rows and users give right answers."""

from __future__ import annotations

from typing import Any

from evalsuite.verifiers.base import BadReference

__all__ = ["accepted_answers"]


def accepted_answers(reference: Any) -> tuple[str, ...]:
    """Return the accepted answers of a reference that is a string, a number, or a list of those."""
    answers = tuple(reference) if isinstance(reference, list | tuple) else (reference,)
    if not answers:
        raise BadReference("an empty list of accepted answers")
    return tuple(_as_text(answer) for answer in answers)


def _as_text(answer: Any) -> str:
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise BadReference(f"a string, a number or a list of those is needed, not {type(answer).__name__}")
    return str(answer)

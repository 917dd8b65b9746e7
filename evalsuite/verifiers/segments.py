"""The part of a completion that is the answer, as opposed to the reasoning before it."""

from __future__ import annotations

__all__ = ["final_segment"]

_OPEN = "<think>"
_CLOSE = "</think>"


def final_segment(completion: str) -> str | None:
    """Return the text after the last closed ``<think>`` block, or ``None`` when such a block was never closed.

    A closing tag alone counts too, because many chat templates already wrote the opening one into the prompt. Without
    any tag the whole completion is the answer.
    """
    answer = completion.rpartition(_CLOSE)[2]
    return None if _OPEN in answer else answer

"""The part of a completion that is the answer, as opposed to the reasoning before it."""

from __future__ import annotations

import re

__all__ = ["final_segment"]

_TAG = re.compile(r"<(?P<closing>/?)think\s*>", re.IGNORECASE)


def final_segment(completion: str) -> str | None:
    """Return the text after the last closed ``<think>`` block, or ``None`` when such a block was never closed.

    A closing tag alone counts too, because many chat templates already wrote the opening one into the prompt. Without
    any tag the whole completion is the answer.
    """
    start, is_open = 0, False
    for tag in _TAG.finditer(completion):
        if tag["closing"]:
            start, is_open = tag.end(), False
        else:
            is_open = True
    return None if is_open else completion[start:]

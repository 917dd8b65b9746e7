"""Tagged sections, such as ``<think>...</think><answer>...</answer>``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from evalsuite.verifiers.base import TextVerifier
from evalsuite.verifiers.verdict import Verdict

__all__ = ["Format"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Format(TextVerifier):
    """Every section of ``tags`` must be there once, in order, closed, not blank, with nothing but white space around.

    ``opened`` says that the prompt already wrote the first opening tag; ``tail`` allows text after the last section, as
    in ``<think>...</think> the answer``, and then asks for some. The reference is not used.
    """

    tags: tuple[str, ...] = ("think", "answer")
    opened: bool = False
    tail: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", tuple(self.tags))
        if not self.tags or len(set(self.tags)) < len(self.tags) or not all(map(_NAME.fullmatch, self.tags)):
            raise ValueError(f"tags must be different names, not {self.tags!r}")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return full marks for exactly the form, else the first thing that is wrong with it."""
        text = f"<{self.tags[0]}>{completion}" if self.opened else completion
        position = 0
        for tag in self.tags:
            opening, closing = f"<{tag}>", f"</{tag}>"
            if text.count(opening) != 1 or text.count(closing) != 1:
                return Verdict.incorrect(reason=f"{tag}_not_once")
            start, end = text.index(opening), text.index(closing)
            if start < position or end < start or text[position:start].strip():
                return Verdict.incorrect(reason=f"{tag}_out_of_place")
            if not text[start + len(opening) : end].strip():
                return Verdict.incorrect(reason=f"{tag}_empty")
            position = end + len(closing)
        if bool(text[position:].strip()) != self.tail:
            return Verdict.incorrect(reason="tail_missing" if self.tail else "text_after_last_tag")
        return Verdict.correct()

    def gold(self, reference: Any) -> str:
        """Return a short text of the right form."""
        text = "".join(f"<{tag}>x</{tag}>" for tag in self.tags) + ("x" if self.tail else "")
        return text.removeprefix(f"<{self.tags[0]}>") if self.opened else text

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return ``gold`` with the last section not closed."""
        return gold.replace(f"</{self.tags[-1]}>", "")

"""IFBench's constraints ``format:*`` that are about sections and bullet points.

Where the benchmark's own checker lets something pass that the instruction forbids, a second class mends it for rewards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from evalsuite.verifiers.instructions.constraint import Constraint
from evalsuite.verifiers.instructions.response import Response

__all__ = [
    "ItalicThesis",
    "ItalicThesisTagged",
    "SentencesThenBulletLines",
    "SentencesThenBullets",
    "SubBulletLines",
    "SubBullets",
]

_OPENING, _CLOSING = ("<i>", "<em>"), ("</i>", "</em>")
_THESIS = re.compile(r"<(i|em)>\s*[^<\s][^<]*</\1>\s*\S")


@dataclass(frozen=True)
class ItalicThesis(Constraint):
    """A passage in HTML italics with text after it; in the benchmark the two tags need not match."""

    def holds(self, response: Response) -> bool:
        """Search the first opening tag and the first closing one after it."""
        _, opening, rest = _partition(response.text, _OPENING)
        thesis, closing, after = _partition(opening + rest, _CLOSING)
        if not opening or not closing:
            return False
        # As in the benchmark, both tags are taken to be as long as <i> and </i>.
        return bool(thesis[len("<i>") :].strip()) and bool((closing + after)[len("</i>") :].strip())


def _partition(text: str, marks: tuple[str, ...]) -> tuple[str, str, str]:
    """Partition at the first of ``marks`` that occurs anywhere."""
    mark = next((mark for mark in marks if mark in text), None)
    return text.partition(mark) if mark else (text, "", "")


class ItalicThesisTagged(ItalicThesis):
    """A passage in HTML italics, properly tagged and not empty, with text after it."""

    def holds(self, response: Response) -> bool:
        """Search such a passage."""
        return _THESIS.search(response.text) is not None


@dataclass(frozen=True)
class SubBullets(Constraint):
    """A sub-bullet ``-`` under every bullet ``*``; the benchmark looks at any asterisk and any hyphen."""

    def holds(self, response: Response) -> bool:
        """Search a hyphen after each asterisk, before the next."""
        return all("-" in part for part in response.text.split("*")[1:])


class SubBulletLines(SubBullets):
    """Lines that begin with ``*``, and after each at least one that begins with ``-``."""

    def holds(self, response: Response) -> bool:
        """Look at the beginnings of lines."""
        marks = [mark for line in response.text.split("\n") if (mark := line.lstrip()[:1]) in {"*", "-"}]
        if not marks or marks[0] != "*":
            return False
        return all(following == "-" for mark, following in pairwise([*marks, "*"]) if mark == "*")


@dataclass(frozen=True)
class SentencesThenBullets(Constraint):
    """Two sentences or more, then two bullets ``*`` or more; in the benchmark a blank line ends the sentences."""

    def holds(self, response: Response) -> bool:
        """Walk over the lines; nothing but bullets may follow the first bullet, and only one more line a blank one."""
        sentences = bullets = 0
        open_to_text = True
        for line in response.text.split("\n"):
            if line.strip().startswith("*"):
                open_to_text = False
                if sentences < 2:
                    return False
                bullets += 1
            elif not open_to_text:
                return False
            else:
                found = len(Response(line.strip()).sentences)
                sentences += found
                open_to_text = found > 0
        return bullets >= 2


class SentencesThenBulletLines(SentencesThenBullets):
    """Two sentences or more that end in a period, then two bullets ``*`` or more, and nothing after them."""

    def holds(self, response: Response) -> bool:
        """Walk over the lines that are not blank."""
        lines = [line.strip() for line in response.text.split("\n") if line.strip()]
        first = next((index for index, line in enumerate(lines) if line.startswith("*")), len(lines))
        sentences = Response("\n".join(lines[:first])).sentences
        ending = sum(sentence.endswith(".") for sentence in sentences)
        return ending >= 2 and len(lines) - first >= 2 and all(line.startswith("*") for line in lines[first:])

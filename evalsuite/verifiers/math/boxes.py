"""Find ``\\boxed{...}`` in time linear in the text, and see whether the writer stands by it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Box", "boxes", "disowned", "is_part_of_formula", "last_complete_box", "last_together"]

# A second backslash comes from text that was escaped twice.
_TOKEN = re.compile(r"(?P<box>\\{1,2}(?:boxed|fbox)(?![A-Za-z])\s*)(?P<brace>\{)?|\\.|[{}]", re.DOTALL)
_BARE = re.compile(r"-?[0-9.,]+|[A-Za-z]")
_LISTED = re.compile(r"(?:(?!\n\n).){0,80}?(?:[,;]|\b(?:and|or)\b)(?:(?!\n\n).){0,40}|[\s$\\()]*", re.DOTALL)
_CONTEXT = 80
_FILLER = r"(?:\s|equal|be|to|that|it|the|final|answer|is|an?|:|=|\$|\\\(|\\\[|\*|\{|\\text)*"
_NEGATED = re.compile(
    r"(?:\b(?:not|never|neither|nor|cannot|incorrect|wrong|false\s+that|anything\s+but|other\s+than)\b|n['’]t|"
    r"\\(?:neq?|neg|lnot)(?![A-Za-z])|\\not\s*=|≠|(?<![0-9A-Za-z)}\]])!=)"
    rf"{_FILLER}$",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    r"[\s$*.)\]\\]*(?:is|was|would be|seems|looks)\s+(?:obviously\s+|clearly\s+)?"
    r"(?:wrong|incorrect|not|false|impossible)\b"
    r"|[\s$*.)\]\\]*(?:can(?:not|['’]t|\s+not)\s+be|isn['’]t)\s+(?:right|correct|true|it|the\s+answer)\b",
    re.IGNORECASE,
)
_STRUCK_OUT = re.compile(r"(?:\\(?:[hv]?phantom|[bx]?cancel|sout|st)\s*\{|<(?:del|s|strike)>|\\verb\*?.)[\s$]*$")
# An unescaped percent sign opens a TeX comment; after a digit it is a percentage.
_COMMENT = re.compile(r"(?:^|[^0-9\\%\s}])[ \t]*%[^\n]*$")
# "-\boxed{5}", "\sqrt{\boxed{5}}", "\boxed{5}.7", "\boxed{5}, 6": but a dash and a space begin a list's item.
_BEFORE = re.compile(r"(?:[0-9]|[=$({\[]\s*-\s*|(?:^|\s)-|\\(?:sqrt|[dt]?frac(?:\s*\{[^{}]*\})?)\s*\{\s*)$")
_AFTER = re.compile(
    r"[.,]?[0-9]|\s*\^(?!\s*\{?\s*\\circ)|\s*/\s*[0-9\\(]|\s*\\(?:cdot|times|div)(?![A-Za-z])|[-+*][0-9\\(]"
    r"|\$?[ \t]*,[ \t]*-?[0-9.]+[ \t]*\$?\s*$"
)
_HIDING = (("<!--", "-->"), ("\\iffalse", "\\fi"), ("\\begin{comment}", "\\end{comment}"))


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its content, ``None`` when it is never closed, and where it starts and ends."""

    content: str | None
    start: int
    end: int


def boxes(text: str) -> list[Box]:
    """Return the outermost boxes of ``text`` in order; an unclosed one is the last."""
    places = [place for place in (text.find("\\boxed"), text.find("\\fbox")) if place >= 0]
    if not places:
        return []
    # Which backslashes belong to the first box, only reading all of them in a row tells.
    first = len(text[: min(places)].rstrip("\\"))
    found: list[Box] = []
    # For every open brace the match of the box it belongs to, or None.
    opened: list[re.Match[str] | None] = []
    depth = 0
    for token in _TOKEN.finditer(text, first):
        if token.group("brace"):
            opened.append(token)
            depth += 1
        elif token.group("box"):
            if depth == 0:
                found.append(_bare(text, token))
        elif token.group() == "{":
            opened.append(None)
        elif token.group() == "}" and opened:
            box = opened.pop()
            depth -= box is not None
            if box is not None and depth == 0:
                content = text[box.end() : token.start()]
                content = content.replace("\\\\", "\\") if box.group().startswith("\\\\") else content
                found.append(Box(content, box.start(), token.end()))
    unclosed = next((box for box in opened if box is not None), None)
    if unclosed is None:
        return found
    return [box for box in found if box.start < unclosed.start()] + [Box(None, unclosed.start(), len(text))]


def last_together(text: str, found: list[Box]) -> list[str]:
    """Return what the last boxes hold that are listed together, as in ``\\boxed{3} or \\boxed{-3}``."""
    together: list[str] = []
    next_start = len(text)
    for box in reversed(found):
        if not box.content or (together and not _LISTED.fullmatch(text, box.end, next_start)):
            break
        together.append(box.content)
        next_start = box.start
    return together[::-1]


def last_complete_box(text: str) -> str | None:
    """Return what the last closed box holds that holds anything."""
    return next((box.content for box in reversed(boxes(text)) if box.content), None)


def disowned(text: str, box: Box) -> str:
    """Return the reason why a box is no answer (unclosed, empty, negated, hidden), or ``""``."""
    if box.content is None:
        return "unbalanced_box"
    if not box.content.strip():
        return "empty_box"
    before = text[max(0, box.start - _CONTEXT) : box.start]
    line = before.rpartition("\n")[2]
    if _NEGATED.search(line) or _RETRACTED.match(text, box.end, box.end + _CONTEXT):
        return "negated_answer"
    if _STRUCK_OUT.search(line) or _COMMENT.search(line) or (line.count("~~") % 2 and line.rstrip(" $").endswith("~~")):
        return "commented_out"
    hidden = any(text.rfind(opening, 0, box.start) > text.rfind(closing, 0, box.start) for opening, closing in _HIDING)
    return "commented_out" if hidden else ""


def is_part_of_formula(text: str, box: Box) -> bool:
    """Return whether what stands beside a box changes what it says, as in ``-\\boxed{5}`` and ``\\boxed{5}^2``.

    In TeX ``\\\\boxed`` is a new line and a word.
    """
    if text.startswith("\\\\", box.start):
        return True
    return bool(_BEFORE.search(text[max(0, box.start - _CONTEXT) : box.start]) or _AFTER.match(text, box.end))


def _bare(text: str, command: re.Match[str]) -> Box:
    """Return the box of ``\\boxed 5``, which TeX allows for one token."""
    value = _BARE.match(text, command.end())
    if value is None:
        return Box(None, command.start(), command.end())
    return Box(value.group(), command.start(), value.end())

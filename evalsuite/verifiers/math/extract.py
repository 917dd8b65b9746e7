"""Find the final answer in a solution, in time linear in its length.

The package docstring of :mod:`evalsuite.verifiers.math` has the table of what counts in which mode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Box", "Extraction", "boxes", "last_answer", "only_answer"]

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BRACE = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*\{?|\\.|[{}]", re.DOTALL)
_BARE = re.compile(r"-?[0-9.,]+|[A-Za-z]")
_NEGATED = re.compile(
    r"(?:\b(?:not|never|neither|nor|isn't|cannot|incorrect|wrong)|n't|\\neq?|\\not\s*=|≠|!=)"
    r"(?:\s|equal|be|to|the|final|answer|is|an?|:|=|\$|\\\(|\\\[|\*|\{|\\text)*$",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"(?:<!--(?:(?!-->).)*|\\(?:phantom|hphantom|vphantom|cancel|sout|st)\s*\{\s*|~~)$", re.DOTALL)
_COMMENT = re.compile(r"(?m)(?:^|(?<=[^0-9\\%\s}]))[ \t]*%[^\n]*\Z")
_PHRASE = re.compile(
    r"(?:final\s+answer|answer)\s*(?:\**\s*(?:is|:|=)\s*:?|####)[\s*]*|####\s*",
    re.IGNORECASE,
)
_CONTEXT = 80
_PHRASE_LENGTH = 400
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.)\]}])-?\$?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)(?:/[0-9]+)?%?|[0-9]+(?:\.[0-9]+)?"
)
_ENUMERATED = re.compile(r"[0-9]\s*(?:,|;|\bor\b|\band\b|/\s|,\s*or\b|,\s*and\b)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Extraction:
    """``answer`` is the text to judge; without one, ``reason`` says why."""

    answer: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """One ``\\boxed{...}``: its content, ``None`` when it is never closed, and where it starts and ends."""

    content: str | None
    start: int
    end: int


def boxes(text: str) -> list[Box]:
    """Return the outermost boxes of ``text`` in order."""
    found: list[Box] = []
    open_braces: list[tuple[int, int] | None] = []  # (start of box, start of content), or None for a plain brace
    depth_of_box = 0
    for token in _BRACE.finditer(text):
        kind = token.group()
        if kind == "}":
            opened = open_braces.pop() if open_braces else None
            if opened is not None:
                depth_of_box -= 1
                if depth_of_box == 0:
                    found.append(Box(text[opened[1] : token.start()], opened[0], token.end()))
        elif kind == "{":
            open_braces.append(None)
        elif kind.endswith("{") and len(kind) > 2:
            open_braces.append((token.start(), token.end()))
            depth_of_box += 1
        elif len(kind) > 2 and depth_of_box == 0:
            found.append(_bare_box(text, token))
    unclosed = next((opened for opened in open_braces if opened is not None), None)
    if unclosed is not None:
        found = [box for box in found if box.start < unclosed[0]] + [Box(None, unclosed[0], len(text))]
    return found


def _bare_box(text: str, command: re.Match[str]) -> Box:
    """Return the box of ``\\boxed 5``, which TeX allows for one token."""
    value = _BARE.match(text, command.end())
    if value is None:
        return Box(None, command.start(), command.end())
    return Box(value.group(), command.start(), value.end())


def only_answer(segment: str) -> tuple[list[str], str]:
    """Return the contents of all boxes, for the strict mode, or none and the reason.

    Every box has to be complete, visible and not negated; empty ones before the last are ignored.
    """
    found = boxes(segment)
    if not found:
        return [], "no_box"
    problem = _problem(segment, found[-1])
    if problem:
        return [], problem
    for box in found:
        if box.content is None:
            return [], "unbalanced_box"
    return [box.content for box in found if box.content and box.content.strip()], ""


def last_answer(segment: str) -> Extraction:
    """Return the last answer: box, then stated answer, then last formula, then last number."""
    found = boxes(segment) if "\\boxed" in segment or "\\fbox" in segment else []
    if found:
        problem = _problem(segment, found[-1])
        return Extraction(None, problem) if problem else Extraction(found[-1].content)
    return _stated(segment) or _last_formula(segment) or _last_number(segment)


def _problem(segment: str, box: Box) -> str:
    if box.content is None:
        return "unbalanced_box"
    if not box.content.strip():
        return "empty_box"
    before = segment[max(0, box.start - _CONTEXT) : box.start]
    line = before.rpartition("\n")[2]
    if _NEGATED.search(line):
        return "negated_answer"
    if _HIDDEN.search(before) or _COMMENT.search(line):
        return "commented_out"
    return ""


def _stated(segment: str) -> Extraction | None:
    """Return what follows the last "answer is", "Answer:" or ``####``."""
    position = max(segment.lower().rfind("answer"), segment.rfind("####"))
    if position < 0:
        return None
    start = max(0, position - 20)
    match = None
    for match in _PHRASE.finditer(segment, start, start + 200):
        pass
    if match is None:
        return None
    stated = segment[match.end() : match.end() + _PHRASE_LENGTH].partition("\n")[0].strip()
    formula = re.match(r"(\$\$?|\\\(|\\\[)(.+?)(\$\$?|\\\)|\\\])", stated)
    if formula:
        return Extraction(formula.group(2))
    sentence = re.split(r"(?<![0-9A-Z])\.(?:\s|$)|\.\s+[A-Z]|\.$", stated)[0].strip(" *:")
    return Extraction(sentence) if sentence else None


def _last_formula(segment: str) -> Extraction | None:
    """Return the last ``$...$``, ``\\(...\\)`` or ``\\[...\\]``."""
    candidates = []
    for opening, closing in (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        end = segment.rfind(closing)
        start = segment.rfind(opening, 0, end) if end > 0 else -1
        content = segment[start + len(opening) : end].strip("$ \n") if start >= 0 else ""
        if content and len(content) <= _PHRASE_LENGTH:
            candidates.append((end, content))
    return Extraction(max(candidates)[1]) if candidates else None


def _last_number(segment: str) -> Extraction:
    last = None
    for last in _NUMBER.finditer(segment, max(0, len(segment) - 2000)):
        pass
    if last is None:
        return Extraction(None, "no_answer")
    if _ENUMERATED.search(segment[max(0, last.start() - 20) : last.start()]):
        return Extraction(None, "enumeration")
    return Extraction(last.group())

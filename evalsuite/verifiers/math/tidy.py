"""Remove the differences between two ways to typeset the same answer that never carry meaning."""

from __future__ import annotations

import re

from evalsuite.verifiers.math.spellings import respell, respell_unicode

__all__ = ["tidy"]

_UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "÷": "/", "π": "\\pi ", "∞": "\\infty ",
        "°": "^\\circ ", "√": "\\sqrt ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "≤": "\\le ", "≥": "\\ge ",
        "≠": "\\ne ",
        "≈": "\\approx ", "±": "\\pm ", "∅": "\\emptyset ", "θ": "\\theta ",
        "∓": "\\mp ", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "’": "'",
    }
)  # fmt: skip
# Formulas inside text, by the rule that tells them from amounts of money: no space inside the signs, no digit behind.
_INLINE = re.compile(r"(?<![\\$])\$(?=[^\s$])([^$]*[^\s\\$])\$(?![0-9$])")
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z][A-Za-z ]*[A-Za-z]")
_DELIMITED = re.compile(r"(\$\$?|\\\(|\\\[|\*\*|`)\s*(.*?)\s*(\$\$?|\\\)|\\\]|\*\*|`)", re.DOTALL)
_WRAPPED = re.compile(
    r"(?:\\(?:boxed|fbox|displaystyle|mathbf|bm|boldsymbol|textcolor\{[a-z]+\}|color\{[a-z]+\}))\s*\{(.*)\}", re.DOTALL
)
_SPACING = re.compile(
    r"(?<!\\)\\[!;:, ]|\\(?:quad|qquad|displaystyle|textstyle|limits|thinspace|enspace|hfill|hspace\{[^{}]*\}|"
    r"left|right|[bB]ig[glr]*|mathstrut|strut|nolimits)(?![A-Za-z])|~"
)
_OPEN_DELIMITER = re.compile(r"\\(?:left|right)\s*\.")
_GROUP_COMMA = re.compile(r"(?<=[0-9])(?:\{,\}|,\s?\\!|\\,|,\\,) ?(?=[0-9]{3}(?![0-9]))")
# "1, 234" separates where "1,234" groups digits.
_SEPARATING_COMMA = re.compile(r"(?<=[0-9]), +(?=(?:[0-9]{3}|[0-9]{1,3}(?:,[0-9]{3})+)(?![0-9]))")
_UNEQUAL = re.compile(r"(?<=\s)!=(?=\s)")
_SPACE = re.compile(r"\s+")
_IDLE_SPACE = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])")
_ALIASES = (
    (re.compile(r"\\mathrm\s*\{\s*([ei])\s*\}"), r"\1"),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:leq|leqslant)(?![A-Za-z])"), r"\\le"),
    (re.compile(r"\\(?:geq|geqslant)(?![A-Za-z])"), r"\\ge"),
    (re.compile(r"\\neq(?![A-Za-z])"), r"\\ne"),
    (re.compile(r"\\(?:lbrace)(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\(?:rbrace)(?![A-Za-z])"), r"\\}"),
    (re.compile(r"\\varnothing(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\^\s*\{\s*\\circ\s*\}|\\degrees?(?![A-Za-z])|\^\\circ(?![A-Za-z])"), r"^\\circ "),
    (re.compile(r"\\(?:lvert|rvert|vert|mid)(?![A-Za-z])"), "|"),
    (
        re.compile(r"\\(?:mbox|textrm|textbf|textit|textnormal|mathrm|operatorname\*?|texttt|textsf|text)\s*\{"),
        r"\\text{",
    ),
)


def tidy(text: str) -> str:
    """Return ``text`` in a canonical spelling; two answers with the same one are the same.

    Math delimiters, boxes around everything, spacing commands, sizes of brackets, spelling variants of commands, digit
    grouping and a final full stop go; commas between three-digit groups stay, because they may separate a list.
    """
    text = text.strip()
    if not text.isascii():
        text = respell_unicode(text).translate(_UNICODE)
    if "$" in text or "\\(" in text:
        text = _formulas(text)
    if "\\" in text or "{,}" in text or "~" in text:
        text = _commands(text)
    text = respell(text.rstrip(" ."))
    text = _UNEQUAL.sub(r"\\ne ", _SEPARATING_COMMA.sub(";", text))
    text = _SPACE.sub(" ", text).strip()
    text = _unwrapped(text)
    text = text.rstrip(" .,;:") if not text.endswith("\\ ") else text.rstrip(" .,;:\\")
    return _IDLE_SPACE.sub("", text)


def _formulas(text: str) -> str:
    """Return ``$48$, $384$`` and ``$5$ miles`` as one formula, with the words between as text."""
    pieces = _INLINE.split(text.replace("\\(", "$").replace("\\)", "$"))
    if len(pieces) == 1:
        return text
    for index, between in enumerate(pieces[::2]):
        if "\\" not in between:
            pieces[2 * index] = _PROSE.sub(r"\\text{\g<0>}", between)
    return "".join(pieces)


def _commands(text: str) -> str:
    text = _GROUP_COMMA.sub("", text)
    text = _OPEN_DELIMITER.sub("", text)
    text = _SPACING.sub(" ", text)
    for pattern, replacement in _ALIASES:
        text = pattern.sub(replacement, text)
    return text


def _unwrapped(text: str) -> str:
    """Strip delimiters and commands that enclose the whole of ``text``, a few layers at most."""
    for _ in range(4):
        match = _DELIMITED.fullmatch(text) if text[:1] in "$\\*`" else None
        inner = match.group(2) if match else None
        if inner is None and text[:1] == "\\":
            match = _WRAPPED.fullmatch(text)
            inner = match.group(1) if match and _balanced(match.group(1)) else None
        elif inner is None and text[:1] == "{" and text[-1:] == "}" and _balanced(text[1:-1]):
            inner = text[1:-1]
        if inner is None:
            return text
        text = inner.strip()
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0

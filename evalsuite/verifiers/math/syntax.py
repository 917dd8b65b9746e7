"""The tokens and the tree of a mathematical answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from evalsuite.verifiers.math.units import canonical_unit

__all__ = [
    "Apply",
    "Based",
    "Matrix",
    "Name",
    "Node",
    "Number",
    "Quantity",
    "Relation",
    "Sequence",
    "Token",
    "Unreadable",
    "Words",
    "contains",
    "tokens",
]


class Unreadable(Exception):
    """The text is outside the grammar, or too deep."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number written out; ``decimal`` says that it had a decimal point."""

    value: Fraction
    decimal: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or a constant such as ``pi``."""

    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """Text: a choice letter, a day of the week, a unit."""

    text: str


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a number system, ``2112_6``."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function: ``+ * / ^ neg sqrt sin ...`` with its arguments."""

    head: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """An expression with a unit: ``"%"``, ``"$"``, ``"deg"`` or words, and the power of the unit."""

    value: Node
    unit: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Several values; ``kind`` is the pair of brackets, ``","`` for a bare list, ``"U"`` for a union, ``":"`` a ratio."""

    kind: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of a matrix or column vector."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain such as ``0 < x <= 1``: one more item than signs."""

    signs: tuple[str, ...]
    items: tuple[Node, ...]


Node = Number | Name | Words | Based | Apply | Quantity | Sequence | Matrix | Relation


def contains(node: Node, holds: Callable[[Node], bool]) -> bool:
    """Return whether ``holds`` is true of an expression or of a part of it."""
    if holds(node):
        return True
    match node:
        case Apply(args=args):
            return any(contains(arg, holds) for arg in args)
        case Quantity(value=value):
            return contains(value, holds)
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is ``number``, ``name``, ``words``, ``command``, ``begin``, ``end`` or the symbol itself."""

    kind: str
    text: str


_TOKEN = re.compile(
    r"\s+"
    r"|(?P<words>\\text ?\{[^{}\\$]*\})"
    r"|\\(?P<edge>begin|end) ?\{(?P<environment>[a-z]+\*?)\}(?:\{[lcr| ]*\})?"
    r"|(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|(?P<row>\\\\(?:\[[0-9a-z]*\])?)"
    r"|\\(?P<escaped>[{}|%$&#_])"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<symbol>[-+*/^_=<>()\[\]{}|,;:!%'&$])"
)
_ESCAPED = {"{": "\\{", "}": "\\}"}
_FUNCTION_WORDS = frozenset(
    [
        "sqrt",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "ln",
        "log",
        "exp",
        "pi",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
    ]
)
_JOINERS = frozenset(("and", "or"))
_LONGEST_PRODUCT = 3


def tokens(text: str) -> list[Token]:
    """Split a tidy ``text``; raise :class:`Unreadable` at a character that no answer has."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unreadable(text[position])
        position = match.end()
        found.extend(_tokens_of(match))
    return found


def _tokens_of(match: re.Match[str]) -> list[Token]:
    kind = match.lastgroup
    text = match.group(kind) if kind else ""
    match kind:
        case None:
            return []
        case "words":
            return _text_tokens(text[text.index("{") + 1 : -1].strip())
        case "environment":
            return [Token(match.group("edge"), text.rstrip("*"))]
        case "number" | "command":
            return [Token(kind, text)]
        case "row":
            return [Token("row", "")]
        case "escaped":
            symbol = _ESCAPED.get(text, text)
            return [Token(symbol, symbol)]
        case "word":
            return _word_tokens(text)
        case _:
            return [Token(text, text)]


def _text_tokens(text: str) -> list[Token]:
    if text.lower() in _JOINERS:
        return [Token(",", text)]
    if re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", text):
        sign = [Token("-", "-")] if text.startswith("-") else []
        return [*sign, Token("number", text.removeprefix("-"))]
    return [Token("words", text)] if text else []


def _word_tokens(text: str) -> list[Token]:
    """Letters that run together are a function, a joining word, a product of variables, or a word."""
    if text.lower() in _JOINERS:
        return [Token(",", text)]
    if text in _FUNCTION_WORDS:
        return [Token("command", text)]
    if len(text) <= _LONGEST_PRODUCT and (len(text) == 1 or canonical_unit(text) is None):
        return [Token("name", letter) for letter in text]
    return [Token("words", text)]

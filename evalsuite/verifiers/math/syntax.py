"""The tokens and the tree of a mathematical answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from evalsuite.verifiers.math.units import canonical_unit
from evalsuite.verifiers.math.vocabulary import FUNCTIONS

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
    """Several values; ``kind`` is the pair of brackets, ``","`` a bare list, ``"U"`` a union, ``":"`` a ratio."""

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
    r"|\\begin ?\{(?P<begin>[A-Za-z]+\*?)\}(?:\{[lcr| ]*\})?"
    r"|\\end ?\{(?P<end>[A-Za-z]+\*?)\}"
    r"|(?P<number>[0-9][0-9A-F]*(?=_\{1[1-6]\})|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|(?P<row>\\\\(?:\[[0-9a-z]*\])?)"
    r"|\\(?P<escaped>[{}|%$&#_])"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<symbol>[-+*/^_=<>()\[\]{}|,;:!%'&$])"
)
_LISTED_NAMES = re.compile(r", (?:and )?| and ")
_FUNCTION_WORDS = FUNCTIONS | {"sqrt", "pi"}
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
        kind = match.lastgroup
        if kind is not None:
            found.extend(_READERS.get(kind, _symbol_tokens)(kind, match.group(kind)))
    return found


def _symbol_tokens(_kind: str, text: str) -> list[Token]:
    return [Token(text, text)]


def _plain_tokens(kind: str, text: str) -> list[Token]:
    return [Token(kind, text)]


def _edge_tokens(kind: str, text: str) -> list[Token]:
    return [Token(kind, text.rstrip("*"))]


def _escaped_tokens(_kind: str, text: str) -> list[Token]:
    symbol = f"\\{text}" if text in "{}" else text
    return [Token(symbol, symbol)]


def _text_tokens(_kind: str, command: str) -> list[Token]:
    text = command[command.index("{") + 1 : -1].strip()
    if text.lower() in _JOINERS:
        return [Token(",", text)]
    if re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", text):
        sign = [Token("-", "-")] if text.startswith("-") else []
        return [*sign, Token("number", text.removeprefix("-"))]
    names = _LISTED_NAMES.split(text)
    if len(names) > 1 and all(map(str.isalpha, names)):  # "Alice and Bob"
        return [token for name in names for token in (Token(",", ","), Token("words", name))][1:]
    return [Token("words", text)] if text else []


def _word_tokens(_kind: str, text: str) -> list[Token]:
    """Letters that run together are a function, a joining word, a product of variables, or a word."""
    if text.lower() in _JOINERS:
        return [Token(",", text)]
    if text in _FUNCTION_WORDS:
        return [Token("command", text)]
    if len(text) <= _LONGEST_PRODUCT and (len(text) == 1 or canonical_unit(text) is None):
        return [Token("name", letter) for letter in text]
    return [Token("words", text)]


_READERS: Mapping[str, Callable[[str, str], list[Token]]] = MappingProxyType(
    {
        "words": _text_tokens,
        "begin": _edge_tokens,
        "end": _edge_tokens,
        "number": _plain_tokens,
        "command": _plain_tokens,
        "row": _plain_tokens,
        "escaped": _escaped_tokens,
        "word": _word_tokens,
    }
)

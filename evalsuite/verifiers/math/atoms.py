"""Tier 2, reading: numbers, names, brackets, functions, matrices; everything that can be a factor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType

from evalsuite.verifiers.math.stream import TokenStream
from evalsuite.verifiers.math.syntax import (
    Apply,
    Based,
    Matrix,
    Name,
    Node,
    Number,
    Quantity,
    Sequence,
    Token,
    Unreadable,
    Words,
)
from evalsuite.verifiers.math.units import NUMBER_WORDS
from evalsuite.verifiers.math.vocabulary import (
    CONSTANTS,
    FUNCTIONS,
    INFIX,
    LETTERS,
    MATRICES,
    RELATIONS,
    SEGMENTS,
    STYLES,
)

__all__ = ["AtomParser", "number"]

_CLOSERS = MappingProxyType({"(": ")", "[": "]", "\\{": "\\}"})
_STARTS = frozenset(("number", "name", "words", "command", "begin", "(", "[", "\\{", "{", "$"))
_MINUS_ONE = Apply("neg", (Number(Fraction(1)),))


class AtomParser(TokenStream, ABC):
    """Reads factors; sums and lists inside brackets are the subclass's."""

    @abstractmethod
    def sum(self) -> Node:
        """Read terms joined by ``+`` and ``-``."""

    @abstractmethod
    def answer(self) -> Node:
        """Read a list without brackets, or one item."""

    def factor(self) -> Node:
        """Read an atom with what follows it: powers, ``!``, ``%``, ``^\\circ``."""
        node = self._atom()
        while True:
            if self.accept("!"):
                node = Apply("!", (node,))
            elif self.accept("%"):
                node = Quantity(node, "%")
            elif self.accept("^"):
                node = self._raised(node)
            elif isinstance(node, Number) and self.accept("_"):
                node = self._in_base(str(node.value))
            else:
                return node

    def signed_factor(self) -> Node:
        """Read a factor that may have its own sign, as in ``2 \\cdot -3``."""
        if self.accept("-"):
            return Apply("neg", (self.factor(),))
        self.accept("+")
        return self.factor()

    def starts_factor(self) -> bool:
        """Return whether the next token can begin a factor."""
        token = self.peek()
        if token.kind == "command":
            return token.text not in RELATIONS and token.text not in INFIX
        return token.kind in _STARTS

    def closed(self, closer: str) -> Node:
        """Read a sum up to its closing bracket."""
        node = self.sum()
        self.expect(closer)
        return node

    def _raised(self, base: Node) -> Node:
        if self.accept_command("circ"):
            return Quantity(base, "deg")
        if isinstance(base, Quantity):
            raise Unreadable("power of a quantity")
        return Apply("^", (base, self._script()))

    def _script(self) -> Node:
        """Read what follows ``^`` or ``_``: a group, or one signed atom (models write ``2^10``)."""
        if self.accept("{"):
            return self.closed("}")
        if self.accept("-"):
            return Apply("neg", (self._atom(),))
        with self.nested():
            node = self._atom()
            return Apply("^", (node, self._script())) if self.accept("^") else node

    def _atom(self) -> Node:
        token = self.take()
        reader = _ATOMS.get(token.kind)
        if reader is None:
            raise Unreadable(token.text)
        with self.nested():
            return reader(self, token)

    def _numeral(self, token: Token) -> Node:
        return self._in_base(token.text) if self.accept("_") else number(token.text)

    def _in_base(self, digits: str) -> Node:
        match self._script():
            case Number(value=base) if base.denominator == 1 and 2 <= base <= 36:
                return Based(digits, int(base))
            case Words(text=text) if NUMBER_WORDS.get(text, 0) > 1:
                return Based(digits, NUMBER_WORDS[text])
        raise Unreadable("a number's subscript")

    def _name(self, token: Token) -> Node:
        primes = ""
        while self.accept("'"):
            primes += "'"
        if self.accept("_"):
            return Name(f"{token.text}_{_label(self._script())}{primes}")
        return Name(token.text + primes) if primes else Name(CONSTANTS.get(token.text, token.text))

    def _words(self, token: Token) -> Node:
        return Words(token.text)

    def _group(self, token: Token) -> Node:
        return self.closed("}")

    def _absolute(self, token: Token) -> Node:
        return Apply("abs", (self.closed("|"),))

    def _money(self, token: Token) -> Node:
        return Quantity(self.factor(), "$")

    def _command(self, token: Token) -> Node:
        name = token.text
        if name in CONSTANTS:
            return Name(CONSTANTS[name])
        if name in LETTERS:
            return self._name(token)
        if name in FUNCTIONS:
            return self._function(name)
        if name in STYLES:
            return self._styled()
        if name in SEGMENTS:
            return self._segment(name)
        if name not in _COMMANDS:
            raise Unreadable(f"\\{name}")
        return _COMMANDS[name](self)

    def _argument(self) -> Node:
        """Read a group or one token; of a long number one digit, as TeX does."""
        token = self.peek()
        if self.accept("{"):
            return self.closed("}")
        if token.kind == "number" and len(token.text) > 1:
            self.replace(Token("number", token.text[1:]))
            return number(token.text[0])
        return self._atom()

    def _fraction(self) -> Node:
        return Apply("/", (self._argument(), self._argument()))

    def _binomial(self) -> Node:
        return Apply("binom", (self._argument(), self._argument()))

    def _root(self) -> Node:
        if self.accept("["):
            degree = self.closed("]")
            return Apply("root", (self._argument(), degree))
        for opener, closer in (("(", ")"), ("{", "}")):
            if self.accept(opener):
                return Apply("sqrt", (self.closed(closer),))
        return Apply("sqrt", (self._atom(),))

    def _angled(self) -> Node:
        inner = self.answer()
        if not self.accept_command("rangle"):
            raise Unreadable("\\langle")
        return Sequence("()", inner.items if isinstance(inner, Sequence) else (inner,))

    def _floor(self) -> Node:
        return self._rounded("floor", "rfloor")

    def _ceiling(self) -> Node:
        return self._rounded("ceil", "rceil")

    def _rounded(self, head: str, closer: str) -> Node:
        inner = self.sum()
        if not self.accept_command(closer):
            raise Unreadable(head)
        return Apply(head, (inner,))

    def _empty(self) -> Node:
        return Sequence("{}", ())

    def _styled(self) -> Node:
        self.expect("{")
        inner = self.take()
        self.expect("}")
        if inner.kind not in ("name", "words"):
            raise Unreadable("a style")
        return Name(inner.text)

    def _segment(self, command: str) -> Node:
        """Read the letters of a segment or an arc, ``\\overline{AB}``."""
        self.expect("{")
        letters = ""
        while self.peek().kind == "name":
            letters += self.take().text
        self.expect("}")
        if not letters:
            raise Unreadable("letters")
        return Name(f"{command} {letters}")

    def _function(self, name: str) -> Node:
        power = base = None
        for _ in range(2):
            if self.accept("^"):
                power = self._script()
            elif self.accept("_"):
                base = self._script()
        argument = self._function_argument()
        if power == _MINUS_ONE:
            return Apply(f"arc{name}", (argument,))
        node = Apply(name, (argument,) if base is None else (argument, base))
        return node if power is None else Apply("^", (node, power))

    def _function_argument(self) -> Node:
        """Read ``(x)``, or the factors up to an operator, a bracket or another function."""
        if self.peek().kind in ("(", "{", "["):
            return self.factor()
        node = self.signed_factor()
        while self.starts_factor() and self.peek().kind not in ("(", "[", "words"):
            if self.peek().kind == "command" and self.peek().text in FUNCTIONS:
                break
            node = Apply("*", (node, self.factor()))
        return Apply("/", (node, self.factor())) if self.accept("/") else node

    def _bracketed(self, token: Token) -> Node:
        """Read grouping, a tuple, a set or an interval."""
        opener = token.kind
        if opener == "\\{" and self.accept("\\}"):
            return self._empty()
        inner = self.answer()
        closer = self.take().kind
        items = inner.items if isinstance(inner, Sequence) and inner.kind == "," else (inner,)
        if opener == "\\{" and closer == "\\}":
            return Sequence("{}", items)
        if opener in "([" and closer in (")", "]"):
            if len(items) > 1:
                return Sequence(opener + closer, items)
            if _CLOSERS[opener] == closer:
                return inner
        raise Unreadable("brackets")

    def _matrix(self, token: Token) -> Node:
        if token.text not in MATRICES:
            raise Unreadable(token.text)
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while True:
            row.append(self.answer())
            mark = self.take()
            if mark.kind == "&":
                continue
            rows.append(tuple(row))
            row = []
            if mark.kind == "row" and self.peek().kind != "end":
                continue
            if mark.kind == "row":
                mark = self.take()
            if mark == Token("end", token.text):
                return Matrix(tuple(rows))
            raise Unreadable("matrix")


_ATOMS: Mapping[str, Callable[[AtomParser, Token], Node]] = MappingProxyType(
    {
        "number": AtomParser._numeral,
        "name": AtomParser._name,
        "words": AtomParser._words,
        "command": AtomParser._command,
        "begin": AtomParser._matrix,
        "{": AtomParser._group,
        "(": AtomParser._bracketed,
        "[": AtomParser._bracketed,
        "\\{": AtomParser._bracketed,
        "|": AtomParser._absolute,
        "$": AtomParser._money,
    }
)
_COMMANDS: Mapping[str, Callable[[AtomParser], Node]] = MappingProxyType(
    {
        "frac": AtomParser._fraction,
        "sqrt": AtomParser._root,
        "binom": AtomParser._binomial,
        "dbinom": AtomParser._binomial,
        "tbinom": AtomParser._binomial,
        "langle": AtomParser._angled,
        "lfloor": AtomParser._floor,
        "lceil": AtomParser._ceiling,
        "emptyset": AtomParser._empty,
    }
)


def number(text: str) -> Number:
    """Return the number that digits with at most one point spell."""
    digits = text.rstrip(".")
    if not digits:
        raise Unreadable("a point without digits")
    return Number(Fraction(digits), "." in digits)


def _label(node: Node) -> str:
    match node:
        case Number(value=value):
            return str(value)
        case Name(text=text) | Words(text=text):
            return text
        case _:
            raise Unreadable("a subscript")

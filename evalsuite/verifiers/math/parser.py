"""Tier 2, reading: a bounded recursive-descent parser for the LaTeX that answers are written in.

It builds a tree and computes nothing. Whatever it does not know raises :class:`Unreadable`; there is no recovery.
"""

from __future__ import annotations

from fractions import Fraction

from evalsuite.verifiers.math.syntax import (
    Apply,
    Based,
    Matrix,
    Name,
    Node,
    Number,
    Quantity,
    Relation,
    Sequence,
    Token,
    Unreadable,
    Words,
    tokens,
)

__all__ = ["parse"]

_MAX_DEPTH = 40
_END = Token("end_of_text", "")
_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "le": "<=", "ge": ">=", "ne": "!=", "approx": "~", "sim": "~", "in": "in",
    "lt": "<", "gt": ">", "equiv": "==",
}  # fmt: skip
_FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "ln",
        "log",
        "exp",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "arccot",
        "arcsec",
        "arccsc",
        "lg",
    ]
)
_CONSTANTS = {"pi": "pi", "infty": "oo", "infinity": "oo", "i": "i", "e": "e", "imath": "i"}
_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
        "ell",
    ]
)
_STYLES = frozenset(("mathbb", "mathbf", "mathcal", "mathsf", "mathit", "vec", "hat", "boldsymbol", "bm"))
_CLOSERS = {"(": ")", "[": "]", "\\{": "\\}"}
_MATRICES = frozenset(("pmatrix", "bmatrix", "matrix", "array", "smallmatrix", "Bmatrix"))
_STARTS = frozenset(("number", "name", "words", "command", "begin", "(", "[", "\\{", "{", "|", "$"))
_INFIX_COMMANDS = frozenset(
    ("times", "cdot", "div", "cup", "cap", "setminus", "pm", "mp", "ast", "rangle", "rfloor", "rceil", "to")
)


def parse(text: str) -> Node:
    """Return the tree of a tidy ``text``; raise :class:`Unreadable`."""
    parser = _Parser(tokens(text))
    node = parser.answer()
    parser.expect("end_of_text")
    return node


class _Parser:
    def __init__(self, stream: list[Token]) -> None:
        self._tokens = stream
        self._position = 0
        self._depth = 0

    # -- the stream -----------------------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> Token:
        index = self._position + ahead
        return self._tokens[index] if index < len(self._tokens) else _END

    def take(self) -> Token:
        token = self.peek()
        self._position += 1
        return token

    def accept(self, kind: str) -> bool:
        if self.peek().kind != kind:
            return False
        self._position += 1
        return True

    def expect(self, kind: str) -> None:
        if not self.accept(kind):
            raise Unreadable(f"{self.peek().text!r} where {kind} was expected")

    def _command(self, *names: str) -> bool:
        token = self.peek()
        if token.kind != "command" or token.text not in names:
            return False
        self._position += 1
        return True

    # -- lists, relations, unions ---------------------------------------------------------------------------------

    def answer(self) -> Node:
        """Read a list without brackets, or one item."""
        items = [self._relation()]
        while self.peek().kind in (",", ";"):
            self.take()
            if self.peek().kind in (",", ";"):  # "1, 2, and 3"
                self.take()
            items.append(self._relation())
        return items[0] if len(items) == 1 else Sequence(",", tuple(items))

    def _relation(self) -> Node:
        items, signs = [self._union()], []
        while (sign := self._relation_sign()) is not None:
            signs.append(sign)
            items.append(self._union())
        return Relation(tuple(signs), tuple(items)) if signs else items[0]

    def _relation_sign(self) -> str | None:
        token = self.peek()
        if token.kind not in ("=", "<", ">", "command") or token.text not in _RELATIONS:
            return None
        self.take()
        if token.text in "<>" and self.accept("="):
            return f"{token.text}="
        return _RELATIONS[token.text]

    def _union(self) -> Node:
        items = [self._ratio()]
        while self._command("cup"):
            items.append(self._ratio())
        return Sequence("U", tuple(items)) if len(items) > 1 else items[0]

    def _ratio(self) -> Node:
        items = [self.sum()]
        while self.accept(":"):
            items.append(self.sum())
        return Sequence(":", tuple(items)) if len(items) > 1 else items[0]

    # -- arithmetic -----------------------------------------------------------------------------------------------

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Unreadable("too deep")
        terms = [self._term()]
        while self.peek().kind in ("+", "-"):
            terms.append(self._term())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Apply("+", tuple(terms))

    def _term(self) -> Node:
        negative = False
        while self.peek().kind in ("+", "-"):
            negative ^= self.take().kind == "-"
        product = self._product()
        if not negative:
            return product
        if isinstance(product, Quantity):
            return Quantity(Apply("neg", (product.value,)), product.unit)
        return Apply("neg", (product,))

    def _product(self) -> Node:
        node = self._mixed() or self._factor()
        while True:
            if self.accept("*") or self._command("times", "cdot", "ast"):
                node = Apply("*", (node, self._signed_factor()))
            elif self.accept("/") or self._command("div"):
                node = Apply("/", (node, self._signed_factor()))
            elif self.peek().kind == "words":
                return self._quantity(node)
            elif self._starts_factor():
                node = Apply("*", (node, self._factor()))
            else:
                return node

    def _mixed(self) -> Node | None:
        """Read ``2\\frac{3}{4}`` and ``2 3/4`` as a sum."""
        whole, mark = self.peek(), self.peek(1)
        if whole.kind != "number" or "." in whole.text:
            return None
        if mark.kind == "command" and mark.text == "frac":
            start = self._position
            self.take()
            part = self._factor()
            match part:
                case Apply("/", (Number(), Number())):
                    return Apply("mixed", (_number(whole.text), part))
            self._position = start
        elif mark.kind == "number" and self.peek(2).kind == "/" and self.peek(3).kind == "number":
            _, top, _, bottom = self.take(), self.take(), self.take(), self.take()
            return Apply("mixed", (_number(whole.text), Apply("/", (_number(top.text), _number(bottom.text)))))
        return None

    def _quantity(self, node: Node) -> Node:
        words = []
        while self.peek().kind == "words":
            words.append(self.take().text)
        if self.accept("^"):
            words.append(f"^{self._exponent_text()}")
        return Quantity(node, " ".join(words))

    def _exponent_text(self) -> str:
        braced = self.accept("{")
        power = self.take()
        if power.kind != "number":
            raise Unreadable("a unit's power")
        if braced:
            self.expect("}")
        return power.text

    def _starts_factor(self) -> bool:
        token = self.peek()
        if token.kind == "|":
            return False
        if token.kind == "command":
            return token.text not in _RELATIONS and token.text not in _INFIX_COMMANDS
        return token.kind in _STARTS

    def _signed_factor(self) -> Node:
        if self.accept("-"):
            return Apply("neg", (self._factor(),))
        self.accept("+")
        return self._factor()

    def _factor(self) -> Node:
        node = self._primary()
        while True:
            if self.accept("!"):
                node = Apply("!", (node,))
            elif self.peek().kind in ("%",):
                self.take()
                node = Quantity(node, "%")
            elif self.peek().kind == "^":
                node = self._power(node)
            else:
                return node

    def _power(self, base: Node) -> Node:
        self.expect("^")
        if self._command("circ"):
            return Quantity(base, "deg")
        if isinstance(base, Quantity):
            raise Unreadable("power of a quantity")
        return Apply("^", (base, self._script()))

    def _script(self) -> Node:
        """Read what follows ``^`` or ``_``: a group, or one signed factor (models write ``2^10``)."""
        if self.accept("{"):
            return self._closed("}")
        if self.accept("-"):
            return Apply("neg", (self._primary(),))
        node = self._primary()
        return Apply("^", (node, self._script())) if self.accept("^") else node

    def _closed(self, closer: str) -> Node:
        node = self.sum()
        self.expect(closer)
        return node

    # -- atoms ----------------------------------------------------------------------------------------------------

    def _primary(self) -> Node:
        token = self.take()
        match token.kind:
            case "number":
                return self._based(token.text)
            case "name":
                return self._name(token.text)
            case "words":
                return Words(token.text)
            case "command":
                return self._apply(token.text)
            case "{":
                return self._closed("}")
            case "(" | "[" | "\\{":
                return self._bracketed(token.kind)
            case "|":
                return Apply("abs", (self._closed("|"),))
            case "$":
                return Quantity(self._factor(), "$")
            case "begin" if token.text in _MATRICES:
                return self._matrix(token.text)
            case _:
                raise Unreadable(token.text)

    def _based(self, digits: str) -> Node:
        if not self.accept("_"):
            return _number(digits)
        match self._script():
            case Number(value=base) if base.denominator == 1 and 2 <= base <= 36:
                return Based(digits, int(base))
        raise Unreadable("a number's subscript")

    def _name(self, text: str) -> Node:
        primes = ""
        while self.accept("'"):
            primes += "'"
        if self.accept("_"):
            return Name(f"{text}_{_label(self._script())}{primes}")
        return Name(text + primes) if primes else Name(_CONSTANTS.get(text, text))

    def _apply(self, command: str) -> Node:
        if command in _CONSTANTS:
            return Name(_CONSTANTS[command])
        if command in _GREEK:
            return self._name(command)
        if command in _FUNCTIONS:
            return self._function(command)
        if command in _STYLES:
            return self._styled()
        match command:
            case "overline" | "overrightarrow" | "widehat":
                return Name(f"{command} {self._letters()}")
            case "frac":
                return Apply("/", (self._argument(), self._argument()))
            case "sqrt":
                return self._root()
            case "binom" | "dbinom" | "tbinom":
                return Apply("binom", (self._argument(), self._argument()))
            case "langle":
                return self._angled()
            case "lfloor":
                return self._rounded("floor", "rfloor")
            case "lceil":
                return self._rounded("ceil", "rceil")
            case "emptyset":
                return Sequence("{}", ())
            case _:
                raise Unreadable(f"\\{command}")

    def _argument(self) -> Node:
        """Read a group or one token; of a long number one digit, as TeX does."""
        token = self.peek()
        if self.accept("{"):
            return self._closed("}")
        if token.kind == "number" and len(token.text) > 1:
            self._tokens[self._position] = Token("number", token.text[1:])
            return _number(token.text[0])
        return self._primary()

    def _root(self) -> Node:
        if self.accept("["):
            degree = self._closed("]")
            return Apply("root", (self._argument(), degree))
        if self.accept("("):
            return Apply("sqrt", (self._closed(")"),))
        if self.accept("{"):
            return Apply("sqrt", (self._closed("}"),))
        return Apply("sqrt", (self._primary(),))

    def _styled(self) -> Node:
        self.expect("{")
        inner = self.take()
        self.expect("}")
        if inner.kind not in ("name", "words"):
            raise Unreadable("a style")
        return Name(inner.text)

    def _letters(self) -> str:
        """Read the letters of a segment or an arc, ``{AB}``."""
        self.expect("{")
        letters = ""
        while self.peek().kind == "name":
            letters += self.take().text
        self.expect("}")
        if not letters:
            raise Unreadable("letters")
        return letters

    def _function(self, name: str) -> Node:
        power = base = None
        for _ in range(2):
            if self.accept("^"):
                power = self._script()
            elif self.accept("_"):
                base = self._script()
        argument = self._function_argument()
        node: Node = Apply(name, (argument,) if base is None else (argument, base))
        if power is None:
            return node
        if power == Apply("neg", (Number(Fraction(1)),)):
            return Apply(f"arc{name}", (argument,))
        return Apply("^", (node, power))

    def _function_argument(self) -> Node:
        """Read ``(x)``, or the factors up to an operator, a bracket or another function."""
        if self.peek().kind in ("(", "{", "["):
            return self._factor()
        node = self._signed_factor()
        while self._starts_factor() and self.peek().kind not in ("(", "[", "words"):
            if self.peek().kind == "command" and self.peek().text in _FUNCTIONS:
                break
            node = Apply("*", (node, self._factor()))
        if self.accept("/"):
            node = Apply("/", (node, self._factor()))
        return node

    def _bracketed(self, opener: str) -> Node:
        """Read grouping, a tuple, a set or an interval."""
        if opener == "\\{" and self.accept("\\}"):
            return Sequence("{}", ())
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

    def _angled(self) -> Node:
        inner = self.answer()
        if not self._command("rangle"):
            raise Unreadable("\\langle")
        return Sequence("()", inner.items if isinstance(inner, Sequence) else (inner,))

    def _rounded(self, head: str, closer: str) -> Node:
        inner = self.sum()
        if not self._command(closer):
            raise Unreadable(head)
        return Apply(head, (inner,))

    def _matrix(self, environment: str) -> Node:
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while True:
            row.append(self.sum())
            token = self.take()
            if token.kind == "&":
                continue
            rows.append(tuple(row))
            row = []
            if token.kind == "row" and self.peek().kind != "end":
                continue
            if token.kind == "row":
                token = self.take()
            if token == Token("end", environment):
                return Matrix(tuple(rows))
            raise Unreadable("matrix")


def _number(text: str) -> Number:
    return Number(Fraction(text.rstrip(".")), "." in text.rstrip("."))


def _label(node: Node) -> str:
    match node:
        case Number(value=value):
            return str(value)
        case Name(text=text) | Words(text=text):
            return text
        case _:
            raise Unreadable("a subscript")

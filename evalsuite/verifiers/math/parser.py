"""Tier 2, reading: a bounded recursive-descent parser for the LaTeX that answers are written in.

It builds a tree and computes nothing. Whatever it does not know raises :class:`Unreadable`; there is no recovery.
"""

from __future__ import annotations

from evalsuite.verifiers.math.atoms import AtomParser, number
from evalsuite.verifiers.math.syntax import Apply, Node, Number, Quantity, Relation, Sequence, Unreadable, tokens
from evalsuite.verifiers.math.vocabulary import RELATIONS

__all__ = ["parse"]

_SEPARATORS = (",", ";")


def parse(text: str) -> Node:
    """Return the tree of a tidy ``text``; raise :class:`Unreadable`."""
    parser = _Parser(tokens(text))
    node = parser.answer()
    parser.expect("end of text")
    return node


def _solutions(groups: list[list[Node]]) -> tuple[Node, ...]:
    """Return ``x = 1, y = 2; x = 3, y = 4`` as two lists of equations; nothing where no group has several equations."""
    solutions = all(len(group) > 1 and all(isinstance(item, Relation) for item in group) for group in groups)
    return tuple(Sequence(",", tuple(group)) for group in groups) if solutions and len(groups) > 1 else ()


class _Parser(AtomParser):
    """Lists of relations of unions of ratios of sums of products, from the outside in."""

    def answer(self) -> Node:
        """Read a list without brackets, or one item."""
        groups = [[self._relation()]]
        while self.peek().kind in _SEPARATORS:
            sign = self.take().kind
            if self.peek().kind in _SEPARATORS:  # "1, 2, and 3"
                self.take()
            item = self._relation()
            if sign == ";":
                groups.append([item])
            else:
                groups[-1].append(item)
        items = _solutions(groups) or tuple(item for group in groups for item in group)
        return items[0] if len(items) == 1 else Sequence(",", items)

    def sum(self) -> Node:
        """Read terms joined by ``+`` and ``-``."""
        with self.nested():
            terms = [self._term()]
            while self.peek().kind in ("+", "-"):
                terms.append(self._term())
        return terms[0] if len(terms) == 1 else Apply("+", tuple(terms))

    def _relation(self) -> Node:
        items = [self._union()]
        signs: list[str] = []
        while (sign := self._relation_sign()) is not None:
            signs.append(sign)
            items.append(self._union())
        return Relation(tuple(signs), tuple(items)) if signs else items[0]

    def _relation_sign(self) -> str | None:
        token = self.peek()
        if token.kind not in ("=", "<", ">", "command") or token.text not in RELATIONS:
            return None
        self.take()
        if token.text in "<>" and self.accept("="):
            return f"{token.text}="
        return RELATIONS[token.text]

    def _union(self) -> Node:
        items = [self._ratio()]
        while self.accept_command("cup"):
            items.append(self._ratio())
        return Sequence("U", tuple(items)) if len(items) > 1 else items[0]

    def _ratio(self) -> Node:
        items = [self.sum()]
        while self.accept(":"):
            items.append(self.sum())
        return Sequence(":", tuple(items)) if len(items) > 1 else items[0]

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
        node = self._mixed_number() or self.factor()
        while True:
            if self.accept("*") or self.accept_command("times", "cdot", "ast"):
                node = Apply("*", (node, self.signed_factor()))
            elif self.accept("/") or self.accept_command("div"):
                node = Apply("/", (node, self.signed_factor()))
            elif self.peek().kind == "words":
                return self._quantity(node)
            elif self.starts_factor():
                node = Apply("*", (node, self.factor()))
            else:
                return node

    def _mixed_number(self) -> Node | None:
        """Read ``2\\frac{3}{4}`` and ``2 3/4`` as one number."""
        whole, mark = self.peek(), self.peek(1)
        if whole.kind != "number" or "." in whole.text:
            return None
        start = self.mark()
        self.take()
        if mark.kind == "command" and mark.text == "frac":
            part = self.factor()
        elif mark.kind == "number" and self.peek(1).kind == "/" and self.peek(2).kind == "number":
            top, _, bottom = self.take(), self.take(), self.take()
            part = Apply("/", (number(top.text), number(bottom.text)))
        else:
            self.rewind(start)
            return None
        match part:
            case Apply("/", (Number(), Number())):
                return Apply("mixed", (number(whole.text), part))
            case Quantity(value=Apply("/", (Number(), Number())) as value, unit=unit):
                return Quantity(Apply("mixed", (number(whole.text), value)), unit)
        self.rewind(start)
        return None

    def _quantity(self, node: Node) -> Node:
        words = []
        while self.peek().kind == "words" or (self.peek().kind == "/" and self.peek(1).kind == "words"):
            words.append(self.take().text)
        if self.accept("^"):
            words.append(f"^{self._unit_power()}")
        return Quantity(node, " ".join(words))

    def _unit_power(self) -> str:
        braced = self.accept("{")
        power = self.take()
        if power.kind != "number":
            raise Unreadable("a unit's power")
        if braced:
            self.expect("}")
        return power.text

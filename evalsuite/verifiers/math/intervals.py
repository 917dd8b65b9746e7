"""Inequalities as intervals: ``0 < x \\le 1`` says the same as ``(0, 1]``."""

from __future__ import annotations

from types import MappingProxyType

from evalsuite.verifiers.math.evaluate import TooLarge, Undefined, evaluate
from evalsuite.verifiers.math.labels import is_function
from evalsuite.verifiers.math.syntax import Apply, Name, Node, Number, Relation, Sequence, Unreadable

__all__ = ["as_region"]

_INFINITY = Name("oo")
_MINUS_INFINITY = Apply("neg", (_INFINITY,))
_FLIPPED = MappingProxyType({"<": ">", "<=": ">=", ">": "<", ">=": "<="})


def as_region(node: Node) -> Node | None:
    """Return the interval or union that an inequality (or several joined by "or") describes, else ``None``."""
    match node:
        case Relation(signs=("!=",), items=(Name(), Number() | Apply()) as items):
            return Sequence("U", tuple(Sequence("()", ends) for ends in _around(items[1])))
        case Relation():
            return _interval(node)
        case Sequence(kind=",", items=items):
            parts = tuple(_interval(item) for item in items if isinstance(item, Relation))
            known = tuple(part for part in parts if part is not None)
            if len(known) != len(items):
                return None
            return _overlap(known) or Sequence("U", known)
        case _:
            return None


def _around(value: Node) -> tuple[tuple[Node, Node], tuple[Node, Node]]:
    return (_MINUS_INFINITY, value), (value, _INFINITY)


def _overlap(parts: tuple[Node, ...]) -> Node | None:
    """Return the interval that two conditions such as ``x \\ge 2, x < 5`` leave together, ``None`` if there is none."""
    match parts:
        case (Sequence(kind=first, items=ends), Sequence(kind=second, items=others)):
            if ends[1] == _INFINITY and others[0] == _MINUS_INFINITY and _is_less(ends[0], others[1]):
                return Sequence(first[0] + second[1], (ends[0], others[1]))
            if ends[0] == _MINUS_INFINITY and others[1] == _INFINITY and _is_less(others[0], ends[1]):
                return Sequence(second[0] + first[1], (others[0], ends[1]))
    return None


def _is_less(left: Node, right: Node) -> bool:
    try:
        difference = complex(evaluate(right, {})) - complex(evaluate(left, {}))
    except (TooLarge, Undefined, Unreadable, KeyError, OverflowError):
        return False
    return difference.imag == 0 and difference.real > 0


def _interval(relation: Relation) -> Node | None:
    signs, items = relation.signs, relation.items
    if not all(sign in _FLIPPED for sign in signs):
        return None
    if len(items) == 3 and (isinstance(items[1], Name) or is_function(items[1])):
        if signs[0][0] != signs[1][0]:
            return None
        if signs[0].startswith(">"):
            signs, items = (_FLIPPED[signs[1]], _FLIPPED[signs[0]]), items[::-1]
        return Sequence(_brackets(signs[0] == "<=", signs[1] == "<="), (items[0], items[2]))
    if len(items) == 2:
        sign, (left, right) = signs[0], items
        if isinstance(right, Name) and not isinstance(left, Name):
            sign, left, right = _FLIPPED[sign], right, left
        if isinstance(left, Name):
            closed = sign.endswith("=")
            below = sign.startswith("<")
            ends = (_MINUS_INFINITY, right) if below else (right, _INFINITY)
            return Sequence(_brackets(closed and not below, closed and below), ends)
    return None


def _brackets(left_closed: bool, right_closed: bool) -> str:
    return f"{'[' if left_closed else '('}{']' if right_closed else ')'}"

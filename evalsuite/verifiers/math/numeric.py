"""Tier 2, deciding: whether two expressions, equations or inequalities agree, exactly or at sample points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from evalsuite.verifiers.math.evaluate import TooLarge, Undefined, Value, evaluate, variables
from evalsuite.verifiers.math.findings import Finding
from evalsuite.verifiers.math.literals import close
from evalsuite.verifiers.math.syntax import Apply, Name, Node, Number, Relation, Unreadable, contains

__all__ = ["same_expression", "same_relation"]

_EXACT = 1e-10
_ROUNDED = 1e-6
_TINY = 1e-12
_NEEDED = 3
_MONOTONE = frozenset(("*", "/", "^", "neg", "sqrt", "root", "mixed", "abs"))
# Small fractions of both signs, so that polynomials and rational functions are compared exactly, and some positive
# points for roots and logarithms. Magnitudes on both sides of 1 keep high powers visible. The values of three variables
# lie on no line: else x + z would be 2y, and x - y the same as y - z.
_BEND = Fraction(3, 19)
_SAMPLES = tuple(
    (Fraction(*start), Fraction(*step))
    for start, step in (
        ((7, 5), (3, 7)),
        ((-11, 13), (2, 5)),
        ((8, 11), (5, 9)),
        ((-9, 7), (-4, 11)),
        ((13, 9), (6, 5)),
    )
)


def same_expression(gold: Node, answer: Node) -> Finding:
    """Compare two expressions with or without variables; ``UNDECIDED`` where they cannot be computed."""
    names = variables(gold) | variables(answer)
    if "oo" in names:
        return Finding.SAME if _signed_infinity(gold) == _signed_infinity(answer) != 0 else Finding.VALUE
    rounded = _has_decimal(gold) or _has_decimal(answer)
    # Only what cancels out leaves a trace where zero is meant; e^{-50} is no zero.
    tiny = _TINY if _may_cancel(gold) or _may_cancel(answer) else 0.0
    known: list[Finding] = []
    for point in _points(names):
        finding = _at_point(gold, answer, point, tiny, rounded=rounded)
        if finding not in (None, Finding.SAME):
            return finding
        known.extend([finding] if finding else [])
    return Finding.SAME if len(known) >= (_NEEDED if names else 1) else Finding.UNDECIDED


def _at_point(gold: Node, answer: Node, point: Mapping[str, Value], tiny: float, *, rounded: bool) -> Finding | None:
    """Compare two expressions at one point; ``None`` where one of them has no value."""
    try:
        expected = evaluate(gold, point)
    except (TooLarge, Unreadable):
        return Finding.UNDECIDED
    except Undefined:
        return None
    try:
        same = _close(expected, evaluate(answer, point), tiny, rounded=rounded)
    except TooLarge:
        return Finding.TOO_LARGE
    except Unreadable:
        return Finding.UNDECIDED
    except Undefined:
        return None if point else Finding.VALUE
    return Finding.SAME if same else Finding.VALUE


def same_relation(gold: Relation, answer: Relation) -> Finding:
    """Compare two equations or inequalities of two sides: one must be a multiple of the other."""
    if len(gold.items) != 2 or len(answer.items) != 2:
        return Finding.UNDECIDED
    (sign, expected), (other_sign, given) = _oriented(gold), _oriented(answer)
    if sign != other_sign:
        return Finding.KIND
    names = variables(expected) | variables(given)
    try:
        ratios = list(_ratios(expected, given, names))
        return _one_ratio(ratios, _NEEDED if names else 1, either_way=sign in ("=", "!="))
    except (TooLarge, Unreadable):
        return Finding.UNDECIDED


def _one_ratio(ratios: list[Value | None], needed: int, *, either_way: bool) -> Finding:
    """Return whether all ratios are the same number, and a positive one unless ``either_way``."""
    known = [ratio for ratio in ratios if ratio is not None]
    if len(known) < len(ratios):
        return Finding.VALUE
    if len(known) < needed:
        return Finding.UNDECIDED
    constant = all(_close(known[0], ratio, 0.0, rounded=False) for ratio in known)
    return Finding.SAME if constant and (either_way or _is_positive(known[0])) else Finding.VALUE


def _is_positive(value: Value) -> bool:
    return value > 0 if isinstance(value, Fraction) else value.real > 0


def _points(names: frozenset[str]) -> Iterator[dict[str, Value]]:
    if not names:
        yield {}
        return
    ordered = sorted(names)
    for start, step in _SAMPLES:
        yield {name: start + step * index + _BEND * (index * (index - 1)) for index, name in enumerate(ordered)}


def _close(left: Value, right: Value, tiny: float, *, rounded: bool) -> bool:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right or (rounded and close(left, right))
    left, right = _as_complex(left), _as_complex(right)
    difference, size = abs(left - right), max(abs(left), abs(right))
    if rounded:
        return difference <= _ROUNDED and difference <= _ROUNDED * size
    return difference <= _EXACT * size or difference <= tiny


def _as_complex(value: Value) -> complex:
    try:
        return complex(value)
    except OverflowError as problem:
        raise TooLarge("overflow") from problem


def _ratios(gold: Node, answer: Node, names: frozenset[str]) -> Iterator[Value | None]:
    """Yield the quotient of the two at every sample point where both have a value; ``None`` where only one is zero."""
    for point in _points(names):
        try:
            expected, given = evaluate(gold, point), evaluate(answer, point)
        except Undefined:
            continue
        if expected == 0 or given == 0:
            if expected != given:
                yield None
        elif isinstance(expected, Fraction) and isinstance(given, Fraction):
            yield given / expected
        else:
            yield _as_complex(given) / _as_complex(expected)


def _oriented(relation: Relation) -> tuple[str, Node]:
    """Return ``lhs - rhs`` with the sign turned to ``<``, ``<=``, ``=`` or ``!=``."""
    sign, (left, right) = relation.signs[0], relation.items
    if sign in (">", ">="):
        sign, left, right = sign.replace(">", "<"), right, left
    return sign, Apply("+", (left, Apply("neg", (right,))))


def _signed_infinity(node: Node) -> int:
    """Return 1 or -1 for an infinity, 0 for anything else, calculations with infinities included."""
    match node:
        case Name(text="oo"):
            return 1
        case Apply(head="neg", args=(inner,)):
            return -_signed_infinity(inner)
        case _:
            return 0


def _has_decimal(node: Node) -> bool:
    return contains(node, lambda part: isinstance(part, Number) and part.decimal)


def _may_cancel(node: Node) -> bool:
    return contains(node, lambda part: isinstance(part, Apply) and part.head not in _MONOTONE)

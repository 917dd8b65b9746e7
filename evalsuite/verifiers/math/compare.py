"""Tier 2, structure: compare two parsed answers kind by kind. A number is never a pair."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from types import MappingProxyType

from evalsuite.verifiers.math.findings import Finding, Strictness, all_same
from evalsuite.verifiers.math.intervals import as_region
from evalsuite.verifiers.math.labels import UNORDERED, as_list, is_function, is_label, is_named, members
from evalsuite.verifiers.math.numeric import same_expression, same_relation
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
    Words,
    contains,
)
from evalsuite.verifiers.math.units import NUMBER_WORDS, SCALES, canonical_unit, is_plain_description

__all__ = ["compare"]


def compare(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    """Return whether ``answer`` says the same as ``gold``."""
    if gold == answer:
        return Finding.SAME
    for kind, comparison in _COMPARISONS:
        if isinstance(gold, kind) or isinstance(answer, kind):
            return comparison(gold, answer, strictness)
    if strictness == "reward" and not _is_evaluated(gold, answer):
        return Finding.UNEVALUATED
    return same_expression(gold, answer)


def _is_evaluated(gold: Node, answer: Node) -> bool:
    """Return whether an answer to a plain number is one too: ``6`` is, ``2+4`` restates the question."""
    if not _is_plain(gold):
        return True
    if _is_whole(gold):
        return _is_whole(answer) or isinstance(_unsigned(answer), Number) or _is_scientific(answer)
    return _is_plain(answer) or _is_scientific(answer)


def _unsigned(node: Node) -> Node:
    match node:
        case Apply(head="neg", args=(inner,)):
            return inner
        case _:
            return node


def _is_whole(node: Node) -> bool:
    match _unsigned(node):
        case Number(value=value, decimal=False):
            return value.denominator == 1
        case _:
            return False


def _is_plain(node: Node) -> bool:
    match _unsigned(node):
        case Number():
            return True
        case Apply(head="/", args=(top, bottom)):
            return isinstance(_unsigned(top), Number) and isinstance(_unsigned(bottom), Number)
        case Apply(head="mixed"):
            return True
        case _:
            return False


def _is_scientific(node: Node) -> bool:
    match _unsigned(node):
        case Apply(head="*", args=(Number(), Apply(head="^", args=(Number(value=base), power)))):
            return base == 10 and _is_whole(power)
        case Apply(head="^", args=(Number(value=base), power)):
            return base == 10 and _is_whole(power)
        case _:
            return False


def _based(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    """Compare digits in a number system; the base may be left out where the question names it."""
    if strictness == "reward" and not isinstance(gold, Based):
        return Finding.KIND
    pair = [_digits(gold), _digits(answer)]
    if None in pair or (isinstance(gold, Based) and isinstance(answer, Based) and gold.base != answer.base):
        return Finding.VALUE
    return Finding.SAME if pair[0] == pair[1] else Finding.VALUE


def _digits(node: Node) -> str | None:
    match node:
        case Based(digits=digits):
            return digits.lstrip("0")
        case Number(value=value, decimal=False) if value.denominator == 1:
            return str(value)
        case Apply(head="neg", args=(inner,)):
            positive = _digits(inner)
            return None if positive is None else f"-{positive}"
        case _:
            return None


def _words(gold: Node, answer: Node, _strictness: Strictness) -> Finding:
    left, right = _text(gold), _text(answer)
    if left is None or right is None:
        return Finding.KIND
    return Finding.SAME if left == right else Finding.VALUE


def _text(node: Node) -> str | None:
    match node:
        case Words(text=text):
            text = _ORDINAL.sub("", _CHOOSING.sub("", text))
            letter = re.fullmatch(r"\(?([A-Za-z])\)?", text)
            plain = letter.group(1) if letter else re.sub(r"[^a-z0-9:+-]", "", text.lower())
            return str(NUMBER_WORDS[plain]) if plain in NUMBER_WORDS else plain
        case Name(text=text) if len(text) == 1:
            return text
        case Number(value=value):
            return str(value)
        case _:
            return None


def _quantities(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    (expected, unit), (given, other_unit) = _split(gold), _split(answer)
    if unit == "%" or other_unit == "%":
        return _percentages(gold, answer, strictness)
    if sorted((_unit(unit) or unit, _unit(other_unit) or other_unit)) in _ANGLES:
        return _angles(expected, given, strictness, unit, other_unit)
    if not _units_agree(unit, other_unit, strictness):
        return Finding.UNIT
    return compare(expected, given, strictness)


def _split(node: Node) -> tuple[Node, str]:
    """Return a value and its unit: ``2.5 million dollars`` is 2,500,000 dollars."""
    match node:
        case Quantity(value=Number(value=value), unit=unit) if unit.partition(" ")[0] in SCALES:
            scale, _, unit = unit.partition(" ")
            return Number(value * SCALES[scale]), unit
        case Quantity(value=Quantity(value=value, unit="$"), unit=unit):
            return _split(Quantity(value, unit))
        case Quantity(value=value, unit=unit):
            return value, "%" if canonical_unit(unit) == "percent" else unit
        case Apply(head="neg", args=(Quantity(value=value, unit=unit),)):
            return Apply("neg", (value,)), unit
        case _:
            return node, ""


def _percentages(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    """``7\\%`` may be answered by ``7`` or ``0.07``; the other way round only a reader would forgive."""
    (expected, unit), (given, other_unit) = _split(gold), _split(answer)
    if unit == other_unit:
        return compare(expected, given, strictness)
    if unit not in ("", "%") or other_unit not in ("", "%"):
        return Finding.UNIT
    if other_unit == "%" and strictness == "reward":
        return Finding.PERCENT
    return _worked_out(compare(expected, given, strictness), gold, answer)


def _worked_out(as_written: Finding, gold: Node, answer: Node) -> Finding:
    """Return ``SAME`` for values that are the same once their units are worked out, else what the numbers said."""
    if as_written is Finding.VALUE and same_expression(gold, answer) is Finding.SAME:
        return Finding.SAME
    return as_written


def _angles(gold: Node, answer: Node, strictness: Strictness, unit: str, other_unit: str) -> Finding:
    """Compare an angle in degrees with one that is not: as written, where no unit is, and for a reader in radians."""
    as_written = compare(gold, answer, strictness)
    if as_written is Finding.SAME and "" not in (unit, other_unit):
        return Finding.UNIT
    if strictness == "reward":
        return as_written
    return _worked_out(as_written, _in_radians(gold, unit), _in_radians(answer, other_unit))


def _in_radians(angle: Node, unit: str) -> Node:
    return Quantity(angle, "deg") if _unit(unit) == "degree" else angle


def _units_agree(gold: str, answer: str, strictness: Strictness) -> bool:
    if not answer or gold == answer:
        return True
    known = _unit(answer)
    if gold and (expected := _unit(gold)) is not None and known is not None:
        return expected == known
    if known is not None:
        return True
    if gold.lower() == answer.lower():
        return True
    return is_plain_description(answer, known_only=strictness == "reward")


def _unit(unit: str) -> str | None:
    """Return a known unit in one spelling, areas and volumes as powers."""
    if unit in ("$", "deg"):
        return {"$": "dollar", "deg": "degree"}[unit]
    words, _, power = _IN_WORDS.sub(lambda found: _POWERS[found.group(1)], unit).partition(" ^")
    known = canonical_unit(words)
    if known is None:
        return None
    for name, implied in (("square ", "2"), ("cubic ", "3")):
        if known.startswith(name):
            known, power = known.removeprefix(name), implied
    return f"{known}^{power}" if power and power != "1" else known


def _relations(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    sets = members(gold), members(answer)
    if sets != (gold, answer):
        return compare(*sets, strictness)
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        return _two_relations(gold, answer, strictness)
    region = as_region(gold) or as_region(answer)
    if region is not None:
        other = answer if isinstance(gold, Relation) else gold
        return compare(region, other, strictness)
    expected = _right_side(gold, "eval", is_label)
    given = _right_side(answer, strictness, is_named)
    if isinstance(expected, Finding):
        return expected
    return given if isinstance(given, Finding) else compare(expected, given, strictness)


def _two_relations(gold: Relation, answer: Relation, strictness: Strictness) -> Finding:
    finding = same_relation(gold, answer)
    regions = as_region(gold), as_region(answer)
    if finding is Finding.UNDECIDED and regions[0] and regions[1]:
        return compare(regions[0], regions[1], strictness)
    if finding is Finding.VALUE and _define_the_same(gold, answer):
        return compare(gold.items[1], answer.items[1], strictness)
    if finding is not Finding.UNDECIDED or gold.signs != answer.signs:
        return finding
    return all_same(compare(*pair, strictness) for pair in zip(gold.items, answer.items, strict=True))


def _define_the_same(gold: Relation, answer: Relation) -> bool:
    """Return whether one equation gives a value to ``f(x)`` and the other to ``y``, or both to functions."""
    sides = [relation.items[0] for relation in (gold, answer)]
    equal = gold.signs == answer.signs == ("=",)
    return equal and any(map(is_function, sides)) and all(is_function(side) or side == Name("y") for side in sides)


def _right_side(node: Node, strictness: Strictness, is_label: Callable[[Node], bool]) -> Node | Finding:
    """Return the value in ``x = value`` or ``x \\in set``; of a chain of equal values the last."""
    if not isinstance(node, Relation):
        return node
    signs, items = node.signs, node.items
    assigning = ("=", "in", "==") if strictness == "reward" else ("=", "in", "==", "~")
    if is_label(items[0]) and signs[0] in assigning:
        signs, items = signs[1:], items[1:]
    if not signs:
        return items[0]
    if strictness == "reward" or not set(signs) <= {"=", "~"}:
        return Finding.CHAIN
    exact = [items[0], *(item for sign, item in zip(signs, items[1:], strict=True) if sign == "=")]
    if any(same_expression(exact[0], item) is not Finding.SAME for item in exact[1:]):
        return Finding.CHAIN
    rounded = [item for sign, item in zip(signs, items[1:], strict=True) if sign == "~"]
    return exact[-1] if all(_is_rounding(exact[0], item) for item in rounded) else Finding.CHAIN


def _is_rounding(exact: Node, rounded: Node) -> bool:
    """Return whether ``rounded`` lies within one percent of ``exact``."""
    quotient = Apply("/", (rounded, exact))
    off = Apply("abs", (Apply("+", (quotient, Number(Fraction(-1)))),))
    return (
        same_expression(Apply("floor", (Apply("*", (off, Number(Fraction(100)))),)), Number(Fraction(0)))
        is Finding.SAME
    )


def _sequences(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    pair = gold, answer
    gold, answer = as_list(pair[0], pair[1]), as_list(pair[1], pair[0])
    regions = as_region(gold), as_region(answer)
    gold, answer = regions[0] or gold, regions[1] or answer
    if not isinstance(gold, Sequence) or not isinstance(answer, Sequence):
        return _one_or_many(gold, answer, strictness)
    kinds = {gold.kind, answer.kind}
    if kinds <= UNORDERED or kinds == {"U"} or (kinds == {"U", ","} and strictness == "eval"):
        return _same_items(gold.items, answer.items, strictness)
    if gold.kind != answer.kind or len(gold.items) != len(answer.items):
        return Finding.KIND
    pairs = zip(gold.items, answer.items, strict=True)
    finding = all_same(compare(expected, given, strictness) for expected, given in pairs)
    ratios = _quotient(gold), _quotient(answer)
    if finding is Finding.VALUE and strictness == "eval" and gold not in ratios and answer not in ratios:
        return same_expression(*ratios)
    return finding


def _quotient(node: Node) -> Node:
    """Return the value of a ratio of two numbers."""
    match node:
        case Sequence(kind=":", items=(Number(), Number()) as items):
            return Apply("/", items)
        case _:
            return node


def _one_or_many(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    """A set of one element is its element for a forgiving reader; any other mixture is a difference."""
    if strictness == "eval":
        ratios = _quotient(gold), _quotient(answer)
        if ratios != (gold, answer):
            return compare(*ratios, strictness)
        for many, other, swapped in ((gold, answer, False), (answer, gold, True)):
            if isinstance(many, Sequence) and many.kind == "{}" and len(many.items) == 1:
                pair = (other, many.items[0]) if swapped else (many.items[0], other)
                return compare(*pair, strictness)
    return Finding.KIND


def _same_items(gold: tuple[Node, ...], answer: tuple[Node, ...], strictness: Strictness) -> Finding:
    """Match items in any order; for a reader, saying one of them twice says nothing more."""
    if strictness == "eval" and len(set(gold)) == len(gold) > 1:
        answer = tuple(dict.fromkeys(answer))
    if len(gold) != len(answer):
        return Finding.KIND
    left, undecided = list(answer), False
    for expected in gold:
        findings = [compare(expected, given, strictness) for given in left]
        if Finding.SAME in findings:
            del left[findings.index(Finding.SAME)]
        elif Finding.UNDECIDED in findings:
            undecided = True
        else:
            return Finding.VALUE
    return Finding.UNDECIDED if undecided else Finding.SAME


def _matrices(gold: Node, answer: Node, strictness: Strictness) -> Finding:
    if not isinstance(gold, Matrix) or not isinstance(answer, Matrix):
        other = answer if isinstance(gold, Matrix) else gold
        return Finding.UNDECIDED if contains(other, lambda part: isinstance(part, Matrix)) else Finding.KIND
    if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
        return Finding.KIND
    cells = zip((cell for row in gold.rows for cell in row), (cell for row in answer.rows for cell in row), strict=True)
    return all_same(compare(expected, given, strictness) for expected, given in cells)


_CHOOSING = re.compile(r"^\s*(?:option|choice|answer)\b[\s:]*(?=\(?[A-J]\)?$)", re.IGNORECASE)
_ORDINAL = re.compile(r"(?<=[0-9])(?:st|nd|rd|th)\b|^(?:an?|the|on) (?=[A-Za-z]{2})", re.IGNORECASE)
_IN_WORDS = re.compile(r" (squared|cubed)$")
_ANGLES = (["", "degree"], ["degree", "radian"])
_POWERS = MappingProxyType({"squared": " ^2", "cubed": " ^3"})
_Comparison = Callable[[Node, Node, Strictness], Finding]
#: The first kind that either side is decides how they are compared.
_COMPARISONS: tuple[tuple[type, _Comparison], ...] = (
    (Relation, _relations),
    (Quantity, _quantities),
    (Sequence, _sequences),
    (Matrix, _matrices),
    (Words, _words),
    (Based, _based),
)

"""Tier 2, computing: the value of an expression at a point, exact while it is rational, with bounded effort.

Rational arithmetic is exact up to a size limit; roots, powers and functions give complex doubles. Every operation is
guarded, so a tower of powers or a huge factorial raises :class:`TooLarge` at once.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from types import MappingProxyType

from evalsuite.verifiers.math.syntax import Apply, Based, Name, Node, Number, Quantity, Unreadable

__all__ = ["TooLarge", "Undefined", "Value", "evaluate", "variables"]

Value = Fraction | complex

_MAX_BITS = 40_000
_MAX_FACTORIAL = 3_000
_CONSTANTS = MappingProxyType({"pi": complex(math.pi), "e": complex(math.e), "i": 1j})


class TooLarge(Exception):
    """The value is beyond what is computed here."""


class Undefined(Exception):
    """There is no value: division by zero, a pole, an infinity."""


def variables(node: Node) -> frozenset[str]:
    """Return the names in an expression that are not constants."""
    match node:
        case Name(text=text):
            return frozenset() if text in _CONSTANTS else frozenset((text,))
        case Apply(args=args):
            return frozenset().union(*(variables(arg) for arg in args))
        case Quantity(value=value):
            return variables(value)
        case _:
            return frozenset()


def evaluate(node: Node, point: Mapping[str, Value]) -> Value:
    """Return the value of an expression where its variables have the values of ``point``.

    Raises:
        TooLarge: an intermediate value is too large.
        Undefined: the expression has no value there.
        Unreadable: the node is not an expression (a set, a relation, text).
    """
    match node:
        case Number(value=value):
            return _bounded(value)
        case Name(text=text):
            return _named(text, point)
        case Apply(head=head, args=args):
            return _applied(head, [evaluate(arg, point) for arg in args])
        case Quantity(value=inner, unit=unit):
            return _scaled(evaluate(inner, point), unit)
        case Based(digits=digits, base=base):
            return Fraction(_in_base(digits, base))
    raise Unreadable("not an expression")


def _named(name: str, point: Mapping[str, Value]) -> Value:
    if name == "oo":
        raise Undefined("infinity")
    return _CONSTANTS[name] if name in _CONSTANTS else point[name]


def _applied(head: str, values: list[Value]) -> Value:
    try:
        return _bounded(_apply(head, values))
    except OverflowError as problem:
        raise TooLarge(head) from problem
    except (ZeroDivisionError, ValueError) as problem:
        raise Undefined(head) from problem


def _scaled(value: Value, unit: str) -> Value:
    """Return a percentage or an angle in degrees as a pure number."""
    match unit:
        case "deg":
            return _applied("*", [value, complex(math.pi / 180)])
        case "%":
            return _multiply(value, Fraction(1, 100))
    raise Unreadable("a unit inside an expression")


def _bounded(value: Value) -> Value:
    if isinstance(value, Fraction):
        if value.numerator.bit_length() > _MAX_BITS or value.denominator.bit_length() > _MAX_BITS:
            raise TooLarge("digits")
    elif not cmath.isfinite(value):
        raise TooLarge("overflow")
    return value


def _apply(head: str, values: list[Value]) -> Value:
    if head in _OPERATIONS:
        return _OPERATIONS[head](*values)
    return _FUNCTIONS[head](complex(values[0]))


def _sum(*values: Value) -> Value:
    return reduce(_add, values)


def _negative(value: Value) -> Value:
    return -value


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left + right
    return complex(left) + complex(right)


def _multiply(left: Value, right: Value) -> Value:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left * right
    return complex(left) * complex(right)


def _divide(left: Value, right: Value) -> Value:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left / right
    return complex(left) / complex(right)


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        power = int(exponent)
        if isinstance(base, Fraction):
            return _whole_power(base, power)
        return complex(base) ** power
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator <= 64:
        return _power(_root(base, Fraction(exponent.denominator)), Fraction(exponent.numerator))
    return complex(base) ** complex(exponent)


def _whole_power(base: Fraction, power: int) -> Fraction:
    if base in (0, 1, -1):
        if power == 0:
            return Fraction(1)
        return 1 / base if power < 0 and power % 2 else base if power % 2 else base * base
    if max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(power) > _MAX_BITS:
        raise TooLarge("power")
    return base**power


def _root(value: Value, degree: Value = Fraction(2)) -> Value:
    """Return the principal root; of a negative number and an odd degree the real one, as answers mean it."""
    if not isinstance(degree, Fraction) or degree.denominator != 1 or not 1 <= degree <= 64:
        raise Undefined("degree of a root")
    order = int(degree)
    if isinstance(value, Fraction):
        if value < 0 and order % 2:
            return -_root(-value, degree)
        if value >= 0:
            top, bottom = _whole_root(value.numerator, order), _whole_root(value.denominator, order)
            if top is not None and bottom is not None:
                return Fraction(top, bottom)
            return complex(float(value) ** (1 / order) if order > 2 else math.sqrt(value))
    return cmath.sqrt(complex(value)) if order == 2 else complex(value) ** (1 / order)


def _whole_root(value: int, order: int) -> int | None:
    if order == 2:
        root = math.isqrt(value)
    elif value.bit_length() < 1000:
        root = round(value ** (1 / order))
    else:
        return None
    return root if root**order == value else None


def _factorial(value: Value) -> Value:
    if not isinstance(value, Fraction) or value.denominator != 1 or value < 0:
        raise Undefined("factorial")
    if value > _MAX_FACTORIAL:
        raise TooLarge("factorial")
    return Fraction(math.factorial(int(value)))


def _binomial(top: Value, bottom: Value) -> Value:
    if (
        not (isinstance(top, Fraction) and isinstance(bottom, Fraction))
        or top.denominator != 1
        or bottom.denominator != 1
    ):
        raise Undefined("binomial")
    if top > _MAX_FACTORIAL:
        raise TooLarge("binomial")
    return Fraction(math.comb(int(top), int(bottom)))


def _logarithm(value: Value, base: Value = complex(math.e)) -> Value:
    return cmath.log(complex(value)) / cmath.log(complex(base))


def _decimal_logarithm(value: Value) -> Value:
    return _logarithm(value, Fraction(10))


def _absolute(value: Value) -> Value:
    return abs(value) if isinstance(value, Fraction) else complex(abs(value))


def _floor(value: Value) -> Value:
    return Fraction(math.floor(_real(value)))


def _ceiling(value: Value) -> Value:
    return Fraction(math.ceil(_real(value)))


def _real(value: Value) -> Fraction:
    """Return a real number that is safely away from where rounding jumps."""
    if isinstance(value, Fraction):
        return value
    if abs(value.imag) > 1e-9 or abs(value.real) > 1e9 or abs(value.real - round(value.real)) < 1e-9:
        raise Undefined("rounding")
    return Fraction(value.real)


def _in_base(digits: str, base: int) -> int:
    try:
        return int(digits, base)
    except ValueError as problem:
        raise Undefined("digits of a base") from problem


def _reciprocal(function: Callable[[complex], complex]) -> Callable[[complex], complex]:
    return lambda value: 1 / function(value)


def _of_reciprocal(function: Callable[[complex], complex]) -> Callable[[complex], complex]:
    return lambda value: function(1 / value)


def _on_the_circle(angle: complex) -> complex:
    return cmath.exp(1j * angle)


_FUNCTIONS: Mapping[str, Callable[[complex], complex]] = MappingProxyType(
    {
        "sin": cmath.sin,
        "cos": cmath.cos,
        "tan": cmath.tan,
        "cot": _reciprocal(cmath.tan),
        "sec": _reciprocal(cmath.cos),
        "csc": _reciprocal(cmath.sin),
        "arcsin": cmath.asin,
        "arccos": cmath.acos,
        "arctan": cmath.atan,
        "arccot": _of_reciprocal(cmath.atan),
        "arcsec": _of_reciprocal(cmath.acos),
        "arccsc": _of_reciprocal(cmath.asin),
        "sinh": cmath.sinh,
        "cosh": cmath.cosh,
        "tanh": cmath.tanh,
        "ln": cmath.log,
        "exp": cmath.exp,
        "cis": _on_the_circle,
        "tg": cmath.tan,
        "ctg": _reciprocal(cmath.tan),
        "arctg": cmath.atan,
    }
)
_OPERATIONS: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        "+": _sum,
        "mixed": _sum,
        "*": _multiply,
        "/": _divide,
        "neg": _negative,
        "^": _power,
        "sqrt": _root,
        "root": _root,
        "!": _factorial,
        "binom": _binomial,
        "log": _logarithm,
        "lg": _decimal_logarithm,
        "abs": _absolute,
        "floor": _floor,
        "ceil": _ceiling,
    }
)

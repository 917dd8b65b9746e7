"""Plain data as JSON: how arguments and returned values cross between the tests and an untrusted program.

Only values of known types cross, rebuilt on the other side from nothing but numbers and text. A subclass is reduced to
its base type, so a list that claims to equal everything arrives as a plain list. Anything else becomes a handle: a
number that stands for an object which stays where it is. Nothing is ever unpickled, imported or evaluated.
"""

from __future__ import annotations

import datetime
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

__all__ = ["BadData", "decode", "encode"]

_SAFE_INTEGER: Final = 1 << 62
_ARRAY_KINDS: Final = "biufcU"
_MOST_ARRAY_ITEMS: Final = 4_000_000


class BadData(Exception):
    """What came from the other side is not data that :func:`encode` makes."""


def encode(value: Any, handle: Callable[[Any], int]) -> Any:
    """Return ``value`` as something ``json`` can write; objects that cannot cross are given to ``handle``.

    Raises:
        RecursionError: the value contains itself or is nested too deep.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if isinstance(value, type) and value not in _PLAIN_TYPES:
        return {"handle": handle(value)}
    writer = _WRITERS.get(kind) or _writer_of_base(kind)
    if writer is not None:
        return writer(value, lambda item: encode(item, handle))
    plain = _from_numpy(value)
    if plain is not None:
        return plain if "array" in plain else encode(plain["scalar"], handle)
    return {"handle": handle(value)}


def decode(data: Any, resolve: Callable[[int], Any]) -> Any:
    """Return the value that :func:`encode` was given; handles are turned into objects by ``resolve``.

    Raises:
        BadData: not something :func:`encode` makes. Safe on anything ``json`` can read.
    """
    if isinstance(data, list):
        if _NESTED.isdisjoint(map(type, data)):
            return data
        return [decode(item, resolve) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise BadData("an object must have one tag")
    (tag, body), *_ = data.items()
    if tag == "handle" and type(body) is int:
        return resolve(body)
    reader = _READERS.get(tag)
    if reader is None:
        raise BadData("unknown tag")
    try:
        return reader(body, lambda item: decode(item, resolve))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise BadData(f"malformed {tag}: {type(error).__name__}") from None


#: Types that cross by name: what tests ask a program to filter by, and compare a returned type with.
_PLAIN_TYPES: Final[Mapping[type, str]] = MappingProxyType(
    {
        kind: kind.__name__
        for kind in (bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict, range, object)
    }
)
_TYPES_BY_NAME: Final[Mapping[str, type]] = MappingProxyType({name: kind for kind, name in _PLAIN_TYPES.items()})

_SIMPLE: Final = frozenset({str, float, bool, type(None)})
_NESTED: Final = frozenset({list, dict})

Recurse = Callable[[Any], Any]


def _write_int(value: int, _: Recurse) -> Any:
    plain = int(value)
    return plain if -_SAFE_INTEGER < plain < _SAFE_INTEGER else {"int": hex(plain)}


def _write_list(value: list[Any], recurse: Recurse) -> Any:
    if set(map(type, list.__iter__(value))) <= _SIMPLE:
        return list(list.__iter__(value))
    return [recurse(item) for item in list.__iter__(value)]


def _write_dict(value: dict[Any, Any], recurse: Recurse) -> Any:
    return [[recurse(key), recurse(item)] for key, item in dict.items(value)]


def _write_bytes(value: bytes | bytearray, _: Recurse) -> Any:
    return {"bytearray" if isinstance(value, bytearray) else "bytes": bytes(value).hex()}


def _write_moment(value: datetime.datetime | datetime.date | datetime.time, _: Recurse) -> Any:
    return {_MOMENTS[_base(type(value), _MOMENTS)]: value.isoformat()}


_MOMENTS: Final[Mapping[type, str]] = MappingProxyType(
    {datetime.datetime: "datetime", datetime.date: "date", datetime.time: "time"}
)


def _write_timedelta(value: datetime.timedelta, _: Recurse) -> Any:
    return {"timedelta": [value.days, value.seconds, value.microseconds]}


_WRITERS: Mapping[type, Callable[[Any, Recurse], Any]] = MappingProxyType(
    {
        bool: lambda value, _: bool(value),
        int: _write_int,
        float: lambda value, _: float(value),
        complex: lambda value, _: {"complex": [value.real, value.imag]},
        str: lambda value, _: str.__str__(value),
        bytes: _write_bytes,
        bytearray: _write_bytes,
        list: _write_list,
        tuple: lambda value, recurse: {"tuple": [recurse(item) for item in tuple.__iter__(value)]},
        set: lambda value, recurse: {"set": [recurse(item) for item in set.__iter__(value)]},
        frozenset: lambda value, recurse: {"frozenset": [recurse(item) for item in frozenset.__iter__(value)]},
        dict: lambda value, recurse: {"dict": _write_dict(value, recurse)},
        deque: lambda value, recurse: {"deque": [recurse(item) for item in deque.__iter__(value)]},
        Counter: lambda value, recurse: {"counter": _write_dict(value, recurse)},
        OrderedDict: lambda value, recurse: {"ordered": _write_dict(value, recurse)},
        slice: lambda value, recurse: {"slice": [recurse(part) for part in (value.start, value.stop, value.step)]},
        range: lambda value, _: {"range": [value.start, value.stop, value.step]},
        Decimal: lambda value, _: {"decimal": Decimal.__str__(value)},
        Fraction: lambda value, _: {"fraction": [hex(value.numerator), hex(value.denominator)]},
        datetime.datetime: _write_moment,
        datetime.date: _write_moment,
        datetime.time: _write_moment,
        datetime.timedelta: _write_timedelta,
        type: lambda value, _: {"type": _PLAIN_TYPES[value]},
        type(...): lambda value, _: {"ellipsis": None},
    }
)


def _read_dict(body: Any, recurse: Recurse) -> dict[Any, Any]:
    return {recurse(key): recurse(value) for key, value in body}


def _read_fraction(body: Any, _: Recurse) -> Fraction:
    numerator, denominator = body
    return Fraction(int(numerator, 16), int(denominator, 16))


def _read_array(body: Any, _: Recurse) -> Any:
    """Rebuild a numpy array of numbers; only where the receiving side has loaded numpy itself."""
    numpy = sys.modules.get("numpy")
    kind, shape, items = body
    if numpy is None:
        raise BadData("an array, and numpy is not loaded here")
    dtype = numpy.dtype(str(kind))
    if dtype.kind not in _ARRAY_KINDS or dtype.itemsize * len(items) > _MOST_ARRAY_ITEMS * 16:
        raise BadData("an array of something else than numbers")
    if dtype.kind == "c":
        items = [complex(real, imaginary) for real, imaginary in items]
    return numpy.array(items, dtype=dtype).reshape([int(length) for length in shape])


_READERS: Mapping[str, Callable[[Any, Recurse], Any]] = MappingProxyType(
    {
        "int": lambda body, _: int(body, 16),
        "complex": lambda body, _: complex(float(body[0]), float(body[1])),
        "bytes": lambda body, _: bytes.fromhex(body),
        "bytearray": lambda body, _: bytearray.fromhex(body),
        "tuple": lambda body, recurse: tuple([recurse(item) for item in body]),
        "set": lambda body, recurse: {recurse(item) for item in body},
        "frozenset": lambda body, recurse: frozenset([recurse(item) for item in body]),
        "dict": lambda body, recurse: _read_dict(body, recurse),
        "deque": lambda body, recurse: deque([recurse(item) for item in body]),
        "counter": lambda body, recurse: Counter(_read_dict(body, recurse)),
        "ordered": lambda body, recurse: OrderedDict(_read_dict(body, recurse)),
        "range": lambda body, _: range(*(int(bound) for bound in body)),
        "slice": lambda body, recurse: slice(*(recurse(part) for part in body)),
        "decimal": lambda body, _: Decimal(str(body)),
        "fraction": _read_fraction,
        "datetime": lambda body, _: datetime.datetime.fromisoformat(body),
        "date": lambda body, _: datetime.date.fromisoformat(body),
        "time": lambda body, _: datetime.time.fromisoformat(body),
        "timedelta": lambda body, _: datetime.timedelta(*(int(part) for part in body)),
        "ellipsis": lambda body, _: ...,
        "type": lambda body, _: _TYPES_BY_NAME[body],
        "array": _read_array,
    }
)


def _base(kind: type, known: Mapping[type, Any]) -> type:
    return next(base for base in kind.__mro__ if base in known)


def _writer_of_base(kind: type) -> Callable[[Any, Recurse], Any] | None:
    return next((_WRITERS[base] for base in kind.__mro__ if base in _WRITERS), None)


def _from_numpy(value: Any) -> dict[str, Any] | None:
    """Return a numpy array or scalar as plain data, None for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, (numpy.ndarray, numpy.generic)):
        return None
    if isinstance(value, numpy.generic):
        scalar = value.item()
        return None if isinstance(scalar, numpy.generic) else {"scalar": scalar}
    if value.dtype.kind not in _ARRAY_KINDS or value.size > _MOST_ARRAY_ITEMS:
        return None
    items = value.ravel().tolist()
    if value.dtype.kind == "c":
        items = [[item.real, item.imag] for item in items]
    return {"array": [value.dtype.str, list(value.shape), items]}

"""Plain data comes back equal and of base type; nothing read from the wire can do anything but be data."""

from __future__ import annotations

import contextlib
import json
import math
from collections import OrderedDict, deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.sandbox.codec import BadData, decode, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
)
HASHABLE = SCALARS | st.tuples(SCALARS, SCALARS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(HASHABLE, inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
        | st.lists(inner).map(deque)
        | st.dictionaries(HASHABLE, inner).map(OrderedDict)
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(
            st.sampled_from(["int", "set", "dict", "tuple", "array", "fraction", "handle", "bytes"]), inner
        )
    ),
)


def there_and_back(value: Any) -> Any:
    def refuse(_: Any) -> int:
        raise AssertionError("plain data needs no handle")

    return decode(json.loads(json.dumps(encode(value, refuse))), refuse)


@given(VALUES)
def test_plain_data_comes_back(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@given(JSON)
def test_anything_json_can_read_is_safe(data: Any) -> None:
    with contextlib.suppress(BadData):
        decode(data, lambda handle: handle)


@pytest.mark.parametrize("value", [math.inf, -math.inf, -(2**64), "\ud800", [[[]]], ..., int, range(3)])
def test_special_values(value: Any) -> None:
    assert there_and_back(value) == value


def test_integers_of_any_size() -> None:
    assert there_and_back(10**5000) == 10**5000


def test_nan_and_minus_zero() -> None:
    assert math.isnan(there_and_back(math.nan))
    assert math.copysign(1, there_and_back(-0.0)) == -1


def test_subclasses_are_reduced() -> None:
    class Equal(list[int]):
        def __eq__(self, other: object) -> bool:
            return True

        def __iter__(self) -> Any:
            raise RuntimeError

    class Name(str):
        __slots__ = ()

    class Flag(int):
        pass

    for value, kind in ((Equal([1]), list), (Name("x"), str), (Flag(3), int)):
        assert type(there_and_back(value)) is kind
    assert there_and_back([True, Flag(1)]) == [True, 1]


def test_other_objects_become_handles() -> None:
    kept: list[Any] = []

    def keep(value: Any) -> int:
        kept.append(value)
        return len(kept) - 1

    assert encode([1, print, Exception], keep) == [1, {"handle": 0}, {"handle": 1}]
    assert kept == [print, Exception]


def test_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    for array in (numpy.arange(6).reshape(2, 3), numpy.array([1 + 2j]), numpy.array([[]]), numpy.array(3.5)):
        back = there_and_back(array)
        assert back.dtype == array.dtype and back.shape == array.shape and (back == array).all()
    assert type(there_and_back(numpy.float64(1.5))) is float
    assert there_and_back([numpy.bool_(True), numpy.int8(3)]) == [True, 3]
    for dtype in ("O", "V8", "U999999999", "i4,i4", "nonsense", "M8[s]"):
        with pytest.raises(BadData):
            decode({"array": [dtype, [1], [1]]}, int)


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(RecursionError):
        encode(cycle, int)

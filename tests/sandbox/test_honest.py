"""Odd but honest programs pass, at every level of isolation this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent

import pytest

from evalsuite.sandbox import FunctionJob, Level, Limits, SandboxFailed, Service, probe

HONEST = {
    "recursion": (
        "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)",
        "assert f(15) == 610",
    ),
    "deep_recursion": (
        "import sys\nsys.setrecursionlimit(20000)\ndef f(n):\n    return 0 if n == 0 else 1 + f(n - 1)",
        "assert f(9000) == 9000",
    ),
    "generator": (
        "def f(n):\n    for i in range(n):\n        yield i * i",
        "assert list(f(4)) == [0, 1, 4, 9]\nassert next(f(2)) == 0\nassert sum(f(3)) == 5",
    ),
    "class": (
        """
        class Stack:
            def __init__(self, items=()):
                self.items = list(items)
            def push(self, item):
                self.items.append(item)
                return self
            def __len__(self):
                return len(self.items)
            def __str__(self):
                return f"Stack{self.items}"
        """,
        "s = Stack([1])\ns.push(2).push(3)\nassert len(s) == 3 and s.items == [1, 2, 3] and str(s) == 'Stack[1, 2, 3]'",
    ),
    "linked_nodes": (
        """
        class Node:
            def __init__(self, value):
                self.value, self.next = value, None
        def total(node):
            return node.value + total(node.next) if node else 0
        """,
        "a = Node(1)\na.next = Node(2)\na.next.next = Node(3)\nassert total(a) == 6",
    ),
    "closure": (
        "def f(n):\n    def g(x):\n        return x + n\n    return g",
        "assert f(3)(4) == 7\nassert [g(1) for g in (f(1), f(2))] == [2, 3]",
    ),
    "functions_of_the_tests": (
        """
        def f(function, items):
            return [function(item) for item in items]
        def outer(function):
            def inner(*args, **kwargs):
                return function(*args, **kwargs) + 1
            return inner
        """,
        """
        seen = []
        assert f(lambda item: item * 2, [1, 2]) == [2, 4] and f(str.upper, ["a"]) == ["A"] and f(len, ["ab"]) == [2]
        assert f(lambda item: seen.append(item), [1, 2]) == [None, None] and seen == [1, 2]
        @outer
        def mine(a, *, b):
            return a + b
        assert mine(1, b=2) == 4
        assert outer(lambda n: f(lambda m: m + n, [n])[0])(3) == 7
        try:
            f(lambda item: {}[item], ["missing"])
            assert False
        except KeyError as error:
            assert error.args == ("missing",)
        """,
    ),
    "functions_called_from_threads": (
        """
        from concurrent.futures import ThreadPoolExecutor
        def f(function):
            with ThreadPoolExecutor(4) as pool:
                return sorted(pool.map(function, range(20)))
        """,
        "assert f(lambda n: n * n) == [n * n for n in range(20)]",
    ),
    "changes_its_arguments": (
        """
        def f(items, *, into=None):
            items.sort()
            if into is not None:
                into.update(a=1)
            return items
        """,
        """
        def check(candidate):
            items, names = [3, 1, 2], {"b": 2}
            assert candidate(items) == [1, 2, 3] and items == [3, 1, 2]
            candidate(items, into=names)
            assert items == [1, 2, 3] and names == {"a": 1, "b": 2}
            data = bytearray(b"ba")
            for thing in (data,):
                thing.reverse()
            assert data == b"ab"
        """,
    ),
    "objects_compared_with_each_other": (
        """
        import enum
        class Colour(enum.Enum):
            RED = 1
        class Vector:
            def __init__(self, x):
                self.x = x
            def __eq__(self, other):
                return isinstance(other, Vector) and self.x == other.x
            def __lt__(self, other):
                return self.x < other.x
            def __add__(self, other):
                return Vector(self.x + other.x)
            def __repr__(self):
                return f"V{self.x}"
        def f(x=0):
            return Colour.RED if x else Vector(1)
        """,
        """
        assert f() == Vector(1) != Vector(2) and Vector(1) + Vector(2) == Vector(3) and Vector(1) < Vector(2)
        assert isinstance(f(), Vector) and not isinstance(f(1), Vector) and not isinstance(1, Vector)
        assert f(1) is Colour.RED and f(1) == Colour.RED and f() != 1 and {f(1): 2}[Colour.RED] == 2
        assert sorted([Vector(2), Vector(1)])[0].x == 1 and repr(f()) == "V1"
        """,
    ),
    "containers_of_the_library": (
        """
        from collections import Counter, OrderedDict, deque
        def f():
            return Counter("aab"), OrderedDict(b=1, a=2), deque([1, 2])
        class Row:
            def __getitem__(self, key):
                return key
        """,
        """
        from collections import Counter, OrderedDict, deque
        counts, ordered, queue = f()
        assert counts == Counter("aab") and counts.most_common(1) == [("a", 2)]
        assert ordered == OrderedDict(b=1, a=2) != OrderedDict(a=2, b=1)
        assert queue == deque([1, 2]) and queue.popleft() == 1
        assert Row()[1:2] == slice(1, 2)
        """,
    ),
    "decorator": (
        """
        import functools
        def twice(function):
            @functools.wraps(function)
            def inner(*args, **kwargs):
                return 2 * function(*args, **kwargs)
            return inner
        @twice
        @functools.lru_cache(maxsize=None)
        def f(x, *, y=1):
            return x + y
        """,
        "assert f(2) == 6 and f(2, y=3) == 10",
    ),
    "typing_and_dataclass": (
        """
        from __future__ import annotations
        from dataclasses import dataclass, field
        from typing import Generic, NamedTuple, Optional, TypeVar
        T = TypeVar("T")
        class Point(NamedTuple):
            x: int
            y: int = 0
        @dataclass(order=True)
        class Box(Generic[T]):
            value: T
            tags: list[str] = field(default_factory=list)
        def f(x: Optional[int] = None) -> Point:
            return Point(x or Box(3).value)
        """,
        "assert f() == (3, 0) and f(4) == (4, 0)",
    ),
    "big_output": (
        "def f(n):\n    return list(range(n)), 'x' * n",
        "a, b = f(300000)\nassert len(a) == len(b) == 300000 and a[-1] == 299999",
    ),
    "big_integers": (
        "import math\ndef f(n):\n    return math.factorial(n)",
        "import math\nassert f(3000) == math.factorial(3000)",
    ),
    "numpy": (
        "import numpy as np\ndef f(n):\n    return np.arange(n) * 2",
        "import numpy as np\nassert np.array_equal(f(4), np.array([0, 2, 4, 6]))\nassert f(3).sum() == 6\n"
        "assert (f(2) == np.array([0, 2])).all()",
    ),
    "numpy_scalars": (
        "import numpy as np\ndef f(x):\n    return np.float64(x).sum(), np.mean(np.array([x, x])) > 0",
        "assert f(1.5) == (1.5, True)",
    ),
    "kinds_of_data": (
        """
        import datetime, collections, decimal, fractions
        def f(name):
            return {
                "set": {1, (2, "x")}, "frozen": frozenset([1]), "bytes": b"\\x00\\xff", "complex": 1 + 2j,
                "counter": collections.Counter("aab"), "ordered": collections.OrderedDict(a=1), "range": range(3),
                "date": datetime.date(2020, 2, 29), "delta": datetime.timedelta(days=1), "none": None,
                "fraction": fractions.Fraction(1, 3), "nan": float("nan"), "inf": float("inf"),
                "keys": {1: "a", (1, 2): []}, "decimal": decimal.Decimal("1.10"),
                "surrogate": "\\ud800", "type": int, "bool": True,
            }[name]
        """,
        """
        import datetime, decimal, fractions, math
        assert f("set") == {1, (2, "x")} and f("frozen") == frozenset([1]) and f("bytes") == b"\\x00\\xff"
        assert f("complex") == 1 + 2j and f("none") is None and f("counter") == {"a": 2, "b": 1}
        assert f("ordered") == {"a": 1} and list(f("range")) == [0, 1, 2] and f("date") == datetime.date(2020, 2, 29)
        assert f("delta").days == 1 and f("decimal") == decimal.Decimal("1.1")
        assert f("fraction") == fractions.Fraction(1, 3)
        assert math.isnan(f("nan")) and f("inf") == math.inf and f("keys") == {1: "a", (1, 2): []}
        assert f("surrogate") == "\\ud800" and f("type") is int and f("bool") is True
        """,
    ),
    "exceptions": (
        """
        class Mine(ValueError):
            def __str__(self):
                return "negative"
        def f(x):
            if x is None:
                raise Mine(f, x)
            if type(x) is bytes:
                return x.decode()
            if x < 0:
                raise Mine("?")
            return {}[x]
        """,
        """
        try:
            f(-1)
            assert False
        except ValueError as error:
            assert str(error) == "negative"
        try:
            f(None)
            assert False
        except ValueError as error:
            assert str(error) == "negative"
        try:
            f(1)
            assert False
        except KeyError as error:
            assert error.args == (1,) and str(error) == "1"
        try:
            f(b"\\xff")
            assert False
        except UnicodeDecodeError as error:
            assert error.start == 0
        """,
    ),
    "threads": (
        """
        from concurrent.futures import ThreadPoolExecutor
        def f(n):
            with ThreadPoolExecutor(3) as pool:
                return list(pool.map(lambda x: x * x, range(n)))
        """,
        "assert f(4) == [0, 1, 4, 9]",
    ),
    "asyncio": (
        "import asyncio\nasync def g(x):\n    await asyncio.sleep(0)\n    return x\n"
        "def f(x):\n    return asyncio.run(g(x))",
        "assert f(3) == 3",
    ),
    "files": (
        """
        import os, tempfile
        def f(text):
            with tempfile.NamedTemporaryFile("w", delete=False) as out:
                out.write(text)
            os.makedirs("a/b", exist_ok=True)
            os.rename(out.name, "a/b/c")
            return open("a/b/c").read()
        """,
        "assert f('hello') == 'hello'",
    ),
    "standard_library": (
        """
        import argparse, base64, csv, hashlib, io, json, random, re, sqlite3, string, time, uuid, zlib
        def f():
            db = sqlite3.connect(":memory:")
            db.execute("create table t (x)")
            db.execute("insert into t values (3)")
            time.sleep(0.001)
            row = db.execute("select x from t").fetchone()
            return row[0] + len(hashlib.md5(b"x").hexdigest()) + len(str(uuid.uuid4()))
        """,
        "assert f() == 71",
    ),
    "prints_and_reads_standard_input": (
        "import sys\ndef f():\n    print('noise', file=sys.stderr)\n    print('noise')\n    return sys.stdin.read()",
        "assert f() == ''",
    ),
    "walrus_and_match": (
        "def f(x):\n    match x:\n        case [a, *rest] if (n := len(rest)) > 1:\n            return n\n"
        "        case _:\n            return 0",
        "assert f([1, 2, 3]) == 2 and f(5) == 0",
    ),
    "main_guard": (
        "def f():\n    return 1\nif __name__ == '__main__':\n    raise SystemExit(3)",
        "assert f() == 1",
    ),
    "entry_point_named_like_a_builtin": (
        "def sum(a, b):\n    return 0 if a + b < 0 else a + b",
        "assert sum(1, 2) == 3 and sum(-5, 1) == 0",
    ),
    "types_as_arguments": (
        "def f(items, kind):\n    return [item for item in items if type(item) is kind]",
        "assert f([1, 'a', 2.0, 3], int) == [1, 3]",
    ),
    "returns_its_argument_object": (
        "class C:\n    pass\ndef f(x):\n    return x\n",
        "c = C()\nc.name = 'n'\nassert f(c).name == 'n'",
    ),
    "alarm": (
        "import signal\ndef f():\n    signal.signal(signal.SIGALRM, lambda *a: None)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01)\n    signal.pause()\n    return 1",
        "assert f() == 1",
    ),
}


@pytest.fixture(scope="module", params=list(Level), ids=lambda level: level.name.lower())
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    if probe().level < request.param:
        pytest.skip(f"this machine does not reach {request.param.name}")
    isolation = probe().at_most(request.param)
    if not isolation.is_usable:
        pytest.skip("root, and no other user can read this Python installation")
    service = Service(isolation)
    yield service
    service.close()


@pytest.mark.parametrize("name", HONEST)
def test_passes(name: str, service: Service) -> None:
    program, tests = (dedent(text) for text in HONEST[name])
    if "numpy" in name:
        pytest.importorskip("numpy")
    entry_point = "sum" if "builtin" in name else "f"
    report = service.run(FunctionJob(program, tests, entry_point, preload=("numpy",) if "numpy" in name else ()))
    assert report.reason == "", report


def test_numpy_without_preloading(service: Service) -> None:
    pytest.importorskip("numpy")
    report = service.run(
        FunctionJob("import numpy\ndef f():\n    return float(numpy.ones(3).sum())", "assert f() == 3", "f")
    )
    assert report.reason == "", report


POOL = """
import multiprocessing
def square(x):
    return x * x
def f():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(square, [1, 2, 3])
"""
FORK_WITH_THREADS = """
import logging, multiprocessing, threading
def square(x):
    logging.warning("%s", x)
    return x * x if threading.active_count() == 1 else "knows threads that it does not have"
def f():
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.map(square, [1, 2])
        pool.close()
        pool.join()
    waiting.set()
    return found
"""
SHELL = """
import os, subprocess, sys, threading
def f():
    listed = subprocess.run("echo 3 | cat", shell=True, capture_output=True, text=True, check=True).stdout
    code = "import sys; print(len(sys.argv))"
    own = subprocess.run([sys.executable, "-c", code, "x"], capture_output=True, text=True, check=True).stdout
    return listed, own
"""
TALK = """
import socket, threading
def f():
    with socket.create_server(("localhost", 0)) as server:
        client = threading.Thread(target=lambda: socket.create_connection(server.getsockname()).sendall(b"hello"))
        client.start()
        heard = server.accept()[0].recv(5)
        client.join()
    return heard
"""


@pytest.fixture
def at_full_isolation() -> Iterator[Service]:
    if probe().level < Level.NAMESPACED:
        pytest.skip("needs namespaces")
    service = Service(probe())
    yield service
    service.close()


@pytest.mark.parametrize(
    ("program", "tests", "allowed"),
    [
        (POOL, "assert f() == [1, 4, 9]", Limits(processes=4)),
        (FORK_WITH_THREADS, "assert f() == [1, 4]", Limits(processes=4)),
        (SHELL, "assert f() == ('3\\n', '2\\n')", Limits(processes=4)),
        (TALK, "assert f() == b'hello'", Limits(loopback=True)),
    ],
)
def test_what_is_allowed_on_request_only(program: str, tests: str, allowed: Limits, at_full_isolation: Service) -> None:
    assert at_full_isolation.run(FunctionJob(program, tests, "f", limits=allowed)).reason == ""
    assert at_full_isolation.run(FunctionJob(program, tests, "f")).reason == "forbidden"


def test_without_namespaces_it_cannot_be_allowed() -> None:
    isolation = probe().at_most(Level.CONFINED)
    if not isolation.is_usable or isolation.level < Level.CONFINED:
        pytest.skip("this machine does not reach CONFINED")
    service = Service(isolation)
    try:
        for limits in (Limits(processes=1), Limits(loopback=True)):
            with pytest.raises(SandboxFailed, match="need namespaces"):
                service.run(FunctionJob("def f(): pass", "f()", "f", limits=limits))
    finally:
        service.close()

from __future__ import annotations

import pytest

from evalsuite.sandbox.parsed_tests import read_context, read_tests


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("assert f(1) == 2", ("f",)),
        ("import math\nassert math.isclose(f(1), g)", ("f", "g")),
        ("def check(candidate):\n    assert candidate(1) == helper(2)", ("helper",)),
        ("x = 1\ndef check(c):\n    global y\n    y = x\n    assert y", ()),
        ("assert [i for i in f(3)] and all(j for j in range(3))", ("f",)),
        ("class T:\n    def m(self):\n        return solve(self)", ("solve",)),
        ("assert len(x := f()) == 3 and x", ("f",)),
    ],
)
def test_free_names(text: str, names: tuple[str, ...]) -> None:
    assert read_tests(text, False).free_names == names


def test_forms() -> None:
    assert read_tests("def check(candidate):\n    assert candidate", False).has_check
    assert not read_tests("def check():\n    pass\nassert check(1)", False).has_check
    assert not read_tests("assert check(1)", False).has_check
    assert read_tests("assert a\nfor i in b:\n    assert i\n", True).sites == 2
    with pytest.raises(SyntaxError):
        read_tests("assert (", False)


def test_context_may_lack_its_last_body() -> None:
    for text in ("import math\ndef f(x):\n", "def f(x):\n    '''doc'''\n", ""):
        code = read_context(text)
        assert code is not None
        exec(code, {})
    assert read_context("not python at all") is None

"""Tests that must share a process with the program (unittest suites that patch it): the weaker, declared choice.

Runs in the untrusted process. The usual tricks are made hard, not impossible: the program is loaded before the tests
exist here, what it patched in ``builtins`` and ``unittest`` is put back, and frame and object walks are refused.
"""

from __future__ import annotations

import builtins
import os
import sys
import unittest
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from evalsuite.sandbox.raised import builtin_bases

__all__ = ["Guard", "run_suite"]

_PROGRAM = "<program>"
_MOST_TEXT = 300
_WALKS = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._current_frames"})
_TRACES = frozenset({"sys.settrace", "sys.setprofile", "cpython.PyInterpreterState_New", "cpython.run_interactivehook"})
_GUARDED = (builtins, unittest.TestCase, unittest.TestResult, unittest.TestSuite, unittest.TestLoader)


class Guard:
    """Remembers what programs like to patch, and refuses what they like to look at."""

    def __init__(self) -> None:
        self._pristine: tuple[tuple[Any, Mapping[str, Any]], ...] = tuple(
            (owner, MappingProxyType(dict(vars(owner)))) for owner in _GUARDED
        )
        sys.addaudithook(self._refuse)

    def restore(self) -> None:
        """Put back what the program has changed."""
        for owner, names in self._pristine:
            for name, value in names.items():
                if vars(owner).get(name) is not value:
                    setattr(owner, name, value)

    def _refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _WALKS or event in _TRACES:
            raise PermissionError(f"{event} is not available")
        if event == "sys._getframe" and arguments[0].f_code.co_filename == _PROGRAM:
            raise PermissionError("frames are not available")
        if event.startswith("ctypes.") and _who_calls_ctypes() == _PROGRAM:
            raise PermissionError(f"{event} is not available")


def _who_calls_ctypes() -> str:
    """Return the file of the code that called into ctypes: packages may, the program may not."""
    frame = sys._getframe(2)  # past this function and the hook
    while frame.f_back is not None and f"{os.sep}ctypes{os.sep}" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_code.co_filename


def run_suite(module: ModuleType, tests: str, entry_point: str) -> dict[str, Any]:
    """Run ``tests`` in the namespace of the loaded ``module``.

    Returns how many of how many passed, the text of the first problem, and what the first error is: the names of its
    built-in classes, nearest first. Tests without a unittest class count as one.
    """
    try:
        exec(compile(tests, "<tests>", "exec"), module.__dict__)
        cases = [
            value
            for value in list(vars(module).values())
            if isinstance(value, type) and issubclass(value, unittest.TestCase)
        ]
        if not cases and "check" in vars(module):
            vars(module)["check"](vars(module)[entry_point])
    except AssertionError as unmet:  # a wrong answer; whatever else is raised is an exception of the program
        return {"passed": 0, "total": 1, "problem": f"AssertionError: {unmet}"[:_MOST_TEXT], "raised": []}
    if not cases:
        return {"passed": 1, "total": 1, "problem": "", "raised": []}
    result = _Result()
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    unittest.TestSuite(load(case) for case in cases).run(result)
    problems = [text for _, text in (*result.errors, *result.failures)]
    problems += ["unexpected success"] * len(result.unexpectedSuccesses)
    passed = result.testsRun - len(problems)
    problem = problems[0][-_MOST_TEXT:] if problems else ""
    return {"passed": max(passed, 0), "total": result.testsRun, "problem": problem, "raised": result.raised}


class _Result(unittest.TestResult):
    """Remembers what the first error was, which :class:`unittest.TestResult` keeps as text only."""

    def __init__(self) -> None:
        super().__init__()
        self.raised: list[str] = []

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        """Note an exception that is not a failed assertion."""
        self.raised = self.raised or builtin_bases(err[0])
        super().addError(test, err)

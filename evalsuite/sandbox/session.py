"""The untrusted side of tests that call a program: its objects, and proxies of what the tests lend it.

Like everything in a worker, this shares an interpreter with the program and is not trusted.
"""

from __future__ import annotations

import operator
import sys
import threading
import types
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evalsuite.sandbox.codec import decode, encode
from evalsuite.sandbox.raised import answer, rebuilt
from evalsuite.sandbox.suite import Guard, run_suite
from evalsuite.sandbox.wire import Wire

__all__ = ["PROGRAM", "Session", "new_module"]

#: What programs are called in tracebacks.
PROGRAM = "<program>"
_QUESTIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"iterate": iter, "next": next, "length": len, "truth": bool, "text": str, "representation": repr}
)


def new_module(name: str) -> types.ModuleType:
    """Return an empty module that can be imported as ``name``."""
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = PROGRAM
    return module


class Session:
    """A loaded program and the objects of it that the tests hold handles of: numbers from 0 up.

    Numbers below 0 stand for functions of the tests.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._objects: list[Any] = []
        self._handles: dict[int, int] = {}  # by identity; what has a handle lives as long as this
        self._guard: Guard | None = None
        self._turn = threading.RLock()

    def serve(self, request: Mapping[str, Any]) -> None:
        """Answer requests until the tests have gone."""
        while True:
            self._serve_one(request)
            request = self._wire.receive()

    def call_tests(self, number: int, arguments: Any) -> Any:
        """Have the tests call a function that they lent; serve what they ask meanwhile."""
        with self._turn:
            self._wire.send({"calls": number, "arguments": self._encode(arguments)})
            while "op" in (message := self._wire.receive()):
                self._serve_one(message)
        if "raised" in message:
            raise rebuilt(message)
        return self._decode(message["value"])

    def _serve_one(self, request: Mapping[str, Any]) -> None:
        self._wire.send(answer(lambda: self._obey(request), BaseException))

    def _obey(self, request: Mapping[str, Any]) -> Any:
        match request["op"]:
            case "load":
                return self._load(request["program"], request["names"])
            case "load_guarded":
                self._guard = Guard()
                return self._load(request["program"], request["names"])
            case "suite":
                return self._run_suite(request["tests"], request["entry_point"])
            case "call":
                arguments, options = self._decode(request["arguments"])
                return self._encode(self._objects[request["handle"]](*arguments, **options))
            case "call_for_effect":
                arguments, options = self._decode(request["arguments"])
                self._objects[request["handle"]](*arguments, **options)
                return self._encode((arguments, options))
            case operation:
                return self._encode(self._inspect(operation, self._objects[request["handle"]], request))

    def _inspect(self, operation: str, target: Any, request: Mapping[str, Any]) -> Any:
        match operation:
            case "attribute":
                return getattr(target, request["name"])
            case "set_attribute":
                return setattr(target, request["name"], self._decode(request["to"]))
            case "set_item":
                return operator.setitem(target, self._decode(request["key"]), self._decode(request["to"]))
            case "operator":
                return getattr(operator, request["name"])(target, self._decode(request["other"]))
            case "is_instance":
                return isinstance(self._decode(request["other"]), target)
            case _:
                return _QUESTIONS[operation](target)

    def _load(self, program: str, names: list[str]) -> dict[str, Any]:
        module = new_module("candidate")
        exec(compile(program, PROGRAM, "exec"), module.__dict__)
        return {name: self._encode(module.__dict__[name]) for name in names if name in module.__dict__}

    def _run_suite(self, tests: str, entry_point: str) -> dict[str, Any]:
        if self._guard is not None:
            self._guard.restore()
        return run_suite(sys.modules["candidate"], tests, entry_point)

    def _encode(self, value: Any) -> Any:
        try:
            return encode(value, self._keep)
        except RecursionError:
            return {"handle": self._keep(value)}

    def _keep(self, value: Any) -> int:
        if isinstance(value, _Lent):
            return value.number
        number = self._handles.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        return number

    def _decode(self, data: Any) -> Any:
        return decode(data, lambda number: self._objects[number] if number >= 0 else _Lent(self, number))


class _Lent:
    """A function that lives with the tests and is called there."""

    def __init__(self, session: Session, number: int) -> None:
        self._session = session
        self.number = number

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._session.call_tests(self.number, (arguments, options))

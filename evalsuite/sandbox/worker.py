"""The untrusted process: it runs one program and answers questions about it.

Everything here shares an interpreter with the program, which can change any of it. Nothing here is therefore trusted:
no test, expected value or verdict ever exists in this process (but for the declared weaker choice of :mod:`.suite`).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import random
import socket
import sys
import threading
import types
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TextIO

from evalsuite.sandbox.codec import decode, encode
from evalsuite.sandbox.confinement import Confinement
from evalsuite.sandbox.jobs import Limits
from evalsuite.sandbox.suite import Guard, builtin_bases, run_suite
from evalsuite.sandbox.wire import Closed, Wire

__all__ = ["run"]

_SOCKET = 3
_PROGRAM = "<program>"
_MOST_TEXT = 10_000
_QUESTIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"iterate": iter, "length": len, "truth": bool, "text": str}
)


def run(descriptors: list[int], bounds: Limits, confinement: Confinement) -> None:
    """Take ``descriptors`` (socket, standard input, standard output), confine this process, serve, and end it."""
    _arrange(descriptors)
    wire = Wire(socket.socket(fileno=_SOCKET))
    try:
        confinement.put_on(bounds)
    except (OSError, ValueError) as error:
        wire.send({"failed": str(error)})
        os._exit(1)
    wire.send({"ready": None})
    gc.enable()
    sys.dont_write_bytecode = True
    _seed()
    with contextlib.suppress(Closed):
        _serve(wire)
    os._exit(0)


def _arrange(descriptors: list[int]) -> None:
    """Leave open: the standard streams, the socket as 3, and what the confinement still needs above it."""
    os.setsid()
    end, *streams = descriptors
    for target, source in enumerate(streams):
        os.dup2(source, target)
    if len(streams) > 1:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for descriptor in streams:
        os.close(descriptor)
    if end != _SOCKET:
        os.dup2(end, _SOCKET, inheritable=False)
        os.close(end)


def _seed() -> None:
    """Make chance repeatable: the same program gets the same verdict."""
    random.seed(0)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(0)


def _serve(wire: Wire) -> None:
    request = wire.receive()
    match request["op"]:
        case "script":
            wire.send(_answer(lambda: _run_script(request["program"])))
        case _:
            _Session(wire).serve(request)


def _run_script(program: str) -> None:
    try:
        exec(compile(program, _PROGRAM, "exec"), _module("__main__").__dict__)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    finally:
        _end_script()


def _end_script() -> None:
    """Do what an interpreter does at its end, of which programs print: wait for threads, run exit functions, finalise.

    A real end would also tear down every module that the zygote has loaded, which takes longer than most programs.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush(sys.stdout)
    sys.modules.pop("__main__", None)
    gc.collect()  # files still open are written, objects finalised
    _flush(sys.__stdout__)


def _flush(stream: TextIO | None) -> None:
    if stream is not None and not stream.closed:
        stream.flush()


class _Session:
    """A loaded program and the objects of it that the tests hold handles of."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._objects: list[Any] = []
        self._guard: Guard | None = None

    def serve(self, request: Mapping[str, Any]) -> None:
        """Answer requests until the tests have gone."""
        while True:
            self._wire.send(_answer(lambda request=request: self._obey(request)))  # type: ignore[misc]
            request = self._wire.receive()

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
            case "next":
                return self._encode(next(self._objects[request["handle"]]))
            case operation:
                return self._encode(self._inspect(operation, self._objects[request["handle"]], request))

    def _inspect(self, operation: str, target: Any, request: Mapping[str, Any]) -> Any:
        match operation:
            case "attribute":
                return getattr(target, request["name"])
            case "item":
                return target[self._decode(request["key"])]
            case "set_item":
                target[self._decode(request["key"])] = self._decode(request["to"])
                return None
            case "set_attribute":
                return setattr(target, request["name"], self._decode(request["to"]))
            case _:
                return _QUESTIONS[operation](target)

    def _load(self, program: str, names: list[str]) -> dict[str, Any]:
        module = _module("candidate")
        exec(compile(program, _PROGRAM, "exec"), module.__dict__)
        return {name: self._encode(module.__dict__[name]) for name in names if name in module.__dict__}

    def _run_suite(self, tests: str, entry_point: str) -> dict[str, Any]:
        if self._guard is not None:
            self._guard.restore()
        return run_suite(sys.modules["candidate"], tests, entry_point)

    def _encode(self, value: Any) -> Any:
        before = len(self._objects)
        try:
            return encode(value, self._keep)
        except RecursionError:
            del self._objects[before:]
            return {"handle": self._keep(value)}

    def _keep(self, value: Any) -> int:
        self._objects.append(value)
        return len(self._objects) - 1

    def _decode(self, data: Any) -> Any:
        return decode(data, self._objects.__getitem__)


def _module(name: str) -> types.ModuleType:
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = _PROGRAM
    return module


def _answer(question: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": question()}
    except BaseException as error:
        kind = type(error)
        return {"raised": builtin_bases(kind), "name": kind.__name__, **_contents(error)}


def _contents(error: BaseException) -> dict[str, Any]:
    """Return the text of ``error`` and what it was made with, of which only plain data are of use to the tests."""
    try:
        return {"text": str(error)[:_MOST_TEXT], "arguments": encode(error.args, lambda _: 0)}
    except BaseException:
        return {}

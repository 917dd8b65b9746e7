"""What tests hold instead of the program's functions and objects.

A :class:`Remote` asks the worker to call, iterate or read the real thing. Answers are plain data or further remotes.
Operators are never forwarded: what a test compares with is never shown to the program, and a remote equals nothing.
"""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator
from typing import Any

from evalsuite.sandbox.codec import BadData, decode, encode
from evalsuite.sandbox.wire import Closed, Wire

__all__ = ["CannotCross", "Program", "Remote", "nearest_exception"]


class CannotCross(Exception):
    """The tests pass something to the program that cannot be sent to it, such as a function of their own."""


class Program:
    """The tests' side of one loaded program."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.raised: Exception | None = None  # the last exception that came from the program
        self.raised_text = ""
        self._kept: tuple[Exception | None, str] = (None, "")
        self.broken: Exception | None = None  # why nothing the program says counts any more

    def load(self, program: str, names: list[str], operation: str = "load") -> dict[str, Any]:
        """Run the program; return those of ``names`` that it defines."""
        found = self.ask_raw({"op": operation, "program": program, "names": names})
        if not isinstance(found, dict):
            self.broken = BadData("names expected")
            raise self.broken
        return {name: self.decode(found[name]) for name in names if name in found}

    def ask(self, request: dict[str, Any]) -> Any:
        """Send one request; return the value, or raise the built-in exception nearest to what the program raised."""
        value = self.ask_raw(request)
        try:
            return self.decode(value)
        except BadData as problem:
            self.broken = problem
            raise

    def ask_raw(self, request: dict[str, Any]) -> Any:
        """Like :meth:`ask`, but the value is left as it came."""
        try:
            self._wire.send(request)
        except Closed as problem:
            self.broken = problem
            raise
        return self.answer()

    def answer(self) -> Any:
        """Wait for the next answer, which nobody may have asked for; see :meth:`ask_raw`."""
        try:
            answer = self._wire.receive()
            if isinstance(answer, dict) and "value" in answer:
                return answer["value"]
            if not isinstance(answer, dict) or not isinstance(answer.get("raised"), list):
                raise BadData("neither a value nor an exception")
        except (BadData, Closed) as problem:
            self.broken = problem
            raise
        text = str(answer.get("text", ""))
        self.raised_text = f"{answer.get('name', '')}: {text}"
        self.raised = nearest_exception(answer["raised"], text, self._arguments(answer))
        raise self.raised

    def _arguments(self, answer: dict[str, Any]) -> tuple[Any, ...]:
        """Return what the exception of ``answer`` was made with, empty when that did not come as plain data."""
        with contextlib.suppress(BadData, LookupError):
            arguments = decode(answer.get("arguments"), dict[int, Any]().__getitem__)
            return arguments if type(arguments) is tuple else ()
        return ()

    def keep(self, problem: Exception) -> None:
        """Remember of ``problem`` whether it came from the program, whatever comes from there later."""
        if problem is self.raised:
            self._kept = problem, self.raised_text

    def words_of(self, problem: BaseException) -> str | None:
        """Return what the program said when it raised ``problem``; None when it did not."""
        said = ((self.raised, self.raised_text), self._kept)
        return next((text for raised, text in said if raised is problem), None)

    def encode(self, value: Any) -> Any:
        """Return ``value`` as it is sent to the program."""
        return encode(value, self._handle)

    def decode(self, data: Any) -> Any:
        """Return what the program sent."""
        return decode(data, lambda handle: Remote(self, handle))

    def _handle(self, value: Any) -> int:
        if isinstance(value, Remote):
            return Remote.handle_of(value)
        raise CannotCross(f"the tests pass a {type(value).__name__} to the program")


def nearest_exception(names: list[Any], text: str, arguments: tuple[Any, ...] = ()) -> Exception:
    """Return the first of ``names`` that is a built-in exception a test may meet, such that ``text`` is its text."""
    for name in names:
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            continue
        for made_with in (arguments, (text,)):
            with contextlib.suppress(TypeError, ValueError):  # a few demand more; their base class will do
                error = kind(*made_with)
                if str(error) == text or made_with == (text,):
                    return error
    return RuntimeError(text)


class Remote:
    """An object of the program: callable, iterable and readable as far as the real one is; equal to nothing."""

    __slots__ = ("__name__", "_handle", "_program")

    def __init__(self, program: Program, handle: int, name: str = "candidate") -> None:
        self._program = program
        self._handle = handle
        self.__name__ = name

    @staticmethod
    def handle_of(remote: Remote) -> int:
        """Return the number by which the program knows this object."""
        return remote._handle

    def _ask(self, operation: str, **details: Any) -> Any:
        return self._program.ask({"op": operation, "handle": self._handle, **details})

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the real thing with copies of ``arguments`` and ``options``."""
        return self._ask("call", arguments=self._program.encode((arguments, options)))

    def __iter__(self) -> Iterator[Any]:
        iterator = self._ask("iterate")
        return iterator if isinstance(iterator, Remote) else iter(iterator)

    def __next__(self) -> Any:
        return self._ask("next")

    def __len__(self) -> int:
        return int(self._ask("length"))

    def __bool__(self) -> bool:
        return self._ask("truth") is True

    def __str__(self) -> str:
        text = self._ask("text")
        return text if isinstance(text, str) else ""

    def __getitem__(self, key: Any) -> Any:
        return self._ask("item", key=self._program.encode(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask("set_item", key=self._program.encode(key), to=self._program.encode(value))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._ask("set_attribute", name=name, to=self._program.encode(value))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._ask("attribute", name=name)

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)

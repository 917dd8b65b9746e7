"""What tests hold instead of the program's functions and objects.

A :class:`Remote` asks the worker to call, iterate or read the real thing. Answers are plain data or further remotes.
Operators are forwarded between two objects of the program only: other things that a test compares with are never shown
to the program, and a remote equals none of them. Functions of the tests can be lent to the program, which calls them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

from evalsuite.sandbox.codec import BadData, decode, encode
from evalsuite.sandbox.raised import answer, rebuilt
from evalsuite.sandbox.wire import Closed, Wire

__all__ = ["CannotCross", "Program", "Remote", "for_effect"]

_OPERATORS: Final = "eq ne lt le gt ge add sub mul truediv floordiv mod matmul and or xor"


class CannotCross(Exception):
    """The tests pass something to the program that cannot be sent to it, such as an object of their own class."""


class Program:
    """The tests' side of one loaded program."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.raised: Exception | None = None  # the last exception that came from the program
        self.raised_text = ""
        self._kept: tuple[Exception | None, str] = (None, "")
        self.broken: Exception | None = None  # why nothing the program says counts any more
        self.is_over = False  # nobody is there to ask
        self._remotes: dict[int, Remote] = {}
        self._lent: list[Callable[..., Any]] = []

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
        """Wait for the next answer, which nobody may have asked for; see :meth:`ask_raw`. Serve calls meanwhile."""
        try:
            message = self._wire.receive()
            while isinstance(message, dict) and "calls" in message:
                self._serve_call(message)
                message = self._wire.receive()
            if isinstance(message, dict) and "value" in message:
                return message["value"]
            if not isinstance(message, dict) or not isinstance(message.get("raised"), list):
                raise BadData("neither a value nor an exception")
        except (BadData, Closed) as problem:
            self.broken = problem
            raise
        self.raised = rebuilt(message)
        self.raised_text = f"{message.get('name', '')}: {message.get('text', '')}"
        raise self.raised

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
        return decode(data, self._resolve)

    def _handle(self, value: Any) -> int:
        """Return the number of an object of the program, or the one below 0 of a function that is lent to it."""
        if isinstance(value, Remote):
            return Remote.handle_of(value)
        if callable(value) and not isinstance(value, type):
            self._lent.append(value)
            return -len(self._lent)
        raise CannotCross(f"the tests pass a {type(value).__name__} to the program")

    def _resolve(self, handle: int) -> Any:
        if handle >= 0:
            return self._remotes.setdefault(handle, Remote(self, handle))
        if -handle > len(self._lent):
            raise BadData("a function that nobody lent")
        return self._lent[-handle - 1]

    def _serve_call(self, message: dict[str, Any]) -> None:
        """Call a function of the tests for the program."""
        match message["calls"], self.decode(message.get("arguments")):
            case int(number), (tuple(arguments), dict(options)) if -len(self._lent) <= number < 0:
                function = self._resolve(number)
                self._wire.send(answer(lambda: self.encode(function(*arguments, **options)), Exception))
            case _:
                raise BadData("no call")


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
        return self._described("text")

    def __repr__(self) -> str:
        return self._described("representation")

    def __getitem__(self, key: Any) -> Any:
        return self._ask("operator", name="getitem", other=self._program.encode(key))

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

    def __instancecheck__(self, other: Any) -> bool:
        return isinstance(other, Remote) and self._ask("is_instance", other=self._program.encode(other)) is True

    def __hash__(self) -> int:
        return self._handle

    def _described(self, question: str) -> str:
        if self._program.is_over:  # then it is described in the message of an exception
            return "<object of the program>"
        text = self._ask(question)
        return text if isinstance(text, str) else ""

    def _operate(self, name: str, other: Any) -> Any:
        if isinstance(other, Remote):
            return self._ask("operator", name=name, other=self._program.encode(other))
        return NotImplemented


for _name in _OPERATORS.split():
    setattr(Remote, f"__{_name}__", functools.partialmethod(Remote._operate, f"__{_name}__"))


def for_effect(function: Any) -> Any:
    """Return what to call in the place of ``function`` where only its effects on its arguments are of interest.

    Elsewhere programs work on copies, so that they cannot change what tests compare with.
    """
    return functools.partial(_call_for_effect, function) if isinstance(function, Remote) else function


def _call_for_effect(remote: Remote, *arguments: Any, **options: Any) -> None:
    changed, changed_options = remote._ask("call_for_effect", arguments=remote._program.encode((arguments, options)))
    for mine, theirs in zip(arguments, changed, strict=True):
        _take_over(mine, theirs)
    for name, theirs in changed_options.items():
        _take_over(options[name], theirs)


def _take_over(mine: Any, theirs: Any) -> None:
    """Give ``mine`` the contents of ``theirs`` where it is of a kind that can change."""
    match mine:
        case list() | bytearray() if type(mine) is type(theirs):
            mine[:] = theirs
        case dict() | set() if type(mine) is type(theirs):
            mine.clear()
            mine.update(theirs)

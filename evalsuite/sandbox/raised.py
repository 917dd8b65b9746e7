"""How exceptions cross between the tests and an untrusted program: names of classes, a text, and plain arguments."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Callable
from typing import Any, Final

from evalsuite.sandbox.codec import BadData, decode, encode

__all__ = ["answer", "builtin_bases", "nearest_exception", "rebuilt"]

_MOST_TEXT: Final = 10_000


def answer(question: Callable[[], Any], expected: type[BaseException]) -> dict[str, Any]:
    """Return the message that says what ``question`` returns, or which exception of kind ``expected`` it raised."""
    try:
        return {"value": question()}
    except expected as error:
        kind = type(error)
        return {"raised": builtin_bases(kind), "name": kind.__name__, **_contents(error)}


def _contents(error: BaseException) -> dict[str, Any]:
    """Return the text of ``error`` and what it was made with, of which only plain data are of use."""
    try:
        return {"text": str(error)[:_MOST_TEXT], "arguments": encode(error.args, lambda _: 0)}
    except BaseException:
        return {}


def builtin_bases(kind: type[BaseException]) -> list[str]:
    """Return the names of the built-in exceptions that ``kind`` is, nearest first."""
    return [base.__name__ for base in kind.__mro__ if base.__module__ == "builtins"]


def rebuilt(message: dict[str, Any]) -> Exception:
    """Return the exception that ``message``, of :func:`answer` or anything, speaks of."""
    arguments: Any = ()
    with contextlib.suppress(BadData, LookupError):
        arguments = decode(message.get("arguments"), dict[int, Any]().__getitem__)
    made_with = arguments if type(arguments) is tuple else ()
    return nearest_exception(message["raised"], str(message.get("text", "")), made_with)


def nearest_exception(names: list[Any], text: str = "", arguments: tuple[Any, ...] = ()) -> Exception:
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

"""A stream of tokens with a bound on nesting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evalsuite.verifiers.math.syntax import Token, Unreadable

__all__ = ["TokenStream"]

_MAX_DEPTH = 40
_END = Token("end of text", "")


class TokenStream:
    """Looks at tokens and takes them, one by one."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def peek(self, ahead: int = 0) -> Token:
        """Return a token without taking it; past the end one of kind ``"end of text"``."""
        index = self._position + ahead
        return self._tokens[index] if index < len(self._tokens) else _END

    def take(self) -> Token:
        """Return the next token and move on."""
        token = self.peek()
        self._position += 1
        return token

    def accept(self, kind: str) -> bool:
        """Take the next token if it is of this kind."""
        if self.peek().kind != kind:
            return False
        self._position += 1
        return True

    def expect(self, kind: str) -> None:
        """Take the next token, which must be of this kind."""
        if not self.accept(kind):
            raise Unreadable(f"{self.peek().text!r} where {kind!r} was expected")

    def accept_command(self, *names: str) -> bool:
        """Take the next token if it is one of these commands."""
        token = self.peek()
        if token.kind != "command" or token.text not in names:
            return False
        self._position += 1
        return True

    def replace(self, token: Token) -> None:
        """Put ``token`` in the place of the next one."""
        self._tokens[self._position] = token

    def mark(self) -> int:
        """Return the position, for :meth:`rewind`."""
        return self._position

    def rewind(self, position: int) -> None:
        """Go back to a marked position."""
        self._position = position

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Count one level of nesting; raise :class:`Unreadable` when there are too many."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Unreadable("nested too deeply")
        yield
        self._depth -= 1

"""Messages between the sandbox's processes: a length and a JSON text; descriptors travel beside them."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final, Protocol

__all__ = ["Closed", "Descriptors", "Malformed", "TooLarge", "Wire", "receive_datagram", "send_datagram"]

_HEADER: Final = 8
_DATAGRAM: Final = 65536
_CHUNK: Final = 1 << 20
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode


class Closed(Exception):
    """The other side is gone."""


class Malformed(Closed):
    """The other side sent what is not a message; nothing after it can be read."""


class TooLarge(Closed):
    """The other side sent more than it may."""


class _Stream(Protocol):
    """What of a socket a wire needs."""

    def fileno(self) -> int: ...

    def recv(self, count: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def close(self) -> None: ...


class Descriptors:
    """Two descriptors in the place of a socket: one to read from, one to write to."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._reading

    def recv(self, count: int, /) -> bytes:
        """Return at most ``count`` bytes, none at the end."""
        return os.read(self._reading, count)

    def sendall(self, data: bytes, /) -> None:
        """Write all of ``data``."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._writing, left) :]

    def close(self) -> None:
        """Close both."""
        os.close(self._reading)
        os.close(self._writing)


class Wire:
    """One end of a stream of messages. ``largest`` bounds the bytes of one received message, ``budget`` of all."""

    def __init__(self, end: _Stream, largest: int = sys.maxsize, budget: int = sys.maxsize) -> None:
        self._end = end
        self._largest = largest
        self._budget = budget

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def send(self, message: Any) -> None:
        """Send one message; raise :class:`Closed` when nobody listens."""
        body = _to_json(message).encode()
        try:
            self._end.sendall(len(body).to_bytes(_HEADER, "big") + body)
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self) -> Any:
        """Return the next message; raise :class:`Closed`, :class:`Malformed` or :class:`TooLarge`."""
        size = int.from_bytes(self._exactly(_HEADER), "big")
        self._budget -= size
        if size > self._largest or self._budget < 0:
            raise TooLarge("the program returned more data than it may")
        body = self._exactly(size)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"not a message: {type(error).__name__}") from None

    def _exactly(self, count: int) -> bytes:
        chunks: list[bytes] = []
        while count:
            try:
                chunk = self._end.recv(min(count, _CHUNK))
            except OSError as error:
                raise Closed(str(error)) from error
            if not chunk:
                raise Closed("the other side is gone")
            chunks.append(chunk)
            count -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def send_datagram(end: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send one small message with ``descriptors``; raise :class:`Closed` when nobody listens."""
    try:
        socket.send_fds(end, [json.dumps(message).encode()], descriptors)
    except OSError as error:
        raise Closed(str(error)) from error


def receive_datagram(end: socket.socket, most_descriptors: int = 0) -> tuple[Any, list[int]]:
    """Return the next small message and its descriptors; raise :class:`Closed` at the end."""
    try:
        body, descriptors, _, _ = socket.recv_fds(end, _DATAGRAM, most_descriptors)
    except OSError as error:
        raise Closed(str(error)) from error
    if not body:
        raise Closed("the other side is gone")
    return json.loads(body), descriptors

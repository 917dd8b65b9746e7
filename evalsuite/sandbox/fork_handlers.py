"""What modules of the library want done at every fork, put off until a process may fork that has threads.

The sandbox's processes have one thread each, and no lock of theirs is ever held by another. What ``threading``,
``random`` and ``logging`` do in a forked child is then of no use, and takes a tenth of the time of a short program.
"""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["catch_up", "put_off"]


class _PutOff:
    """Stands in the place of :func:`os.register_at_fork`."""

    def __init__(self) -> None:
        self.register = os.register_at_fork
        self.waiting: list[dict[str, Callable[[], object]]] = []

    def __call__(self, **handlers: Callable[[], object]) -> None:
        self.waiting.append(handlers)


def put_off() -> None:
    """From now on register nothing; to be called before the modules are imported."""
    os.register_at_fork = _PutOff()  # type: ignore[assignment]


def catch_up() -> None:
    """Register all that was put off."""
    later = os.register_at_fork
    if isinstance(later, _PutOff):
        os.register_at_fork = later.register
        for handlers in later.waiting:
            later.register(**handlers)

"""Which processor the tester, the zygote and the worker of one job run on.

The three take turns and are never busy at once, so a short job is fastest when they share one processor: waking a
sleeping one costs more than a test. A job that turns out long is let loose, so that nobody waits behind it.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Final

__all__ = ["SHORT_S", "current", "let_loose", "stay_on"]

#: For how long the processes of a job stay together.
SHORT_S: Final = 0.025


@cache
def _everywhere() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))


def current() -> int:
    """Return the number of the processor that this process runs on now."""
    return int(_libc().sched_getcpu())


def stay_on(processor: int) -> None:
    """Keep this process and those it forks on ``processor``, if it may run there."""
    if processor in _everywhere():
        os.sched_setaffinity(0, {processor})


def let_loose(process: int = 0) -> None:
    """Let ``process`` (0: this one) run wherever this one could when it started."""
    os.sched_setaffinity(process, _everywhere())


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)

"""A time limit on the tests themselves, which the program can drag out through what it returns."""

from __future__ import annotations

import contextlib
import math
import resource
import signal
import time
from collections.abc import Iterator
from types import FrameType

from evalsuite.sandbox import placement
from evalsuite.sandbox.jobs import Limits

__all__ = ["TestsOverran", "deadline"]

_GRACE_S = 1.0  # the zygote's watch over the program ends first


class TestsOverran(BaseException):
    """The tests took longer than the program may; not an Exception, so that no test catches it."""


def _let_die_after(cpu_s: float) -> None:
    """Have the kernel send SIGXCPU, which nobody handles, after ``cpu_s`` more of this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + cpu_s), hard))


@contextlib.contextmanager
def deadline(limits: Limits) -> Iterator[None]:
    """Raise :class:`TestsOverran` in the block after ``cpu_s`` of this process or ``wall_s``. Main thread only.

    Where nothing can be raised, because one call into C takes for ever, the kernel ends this process soon after.
    Until the job proves to be a long one, this process also stays on its processor (:mod:`.placement`).
    """
    armed = True

    def ring(number: int, frame: FrameType | None) -> None:
        if armed:
            raise TestsOverran("the tests took too long")

    def spread(number: int, frame: FrameType | None) -> None:
        placement.let_loose()
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, limits.wall_s + _GRACE_S if armed else 0)

    _let_die_after(limits.cpu_s + 2 * _GRACE_S)
    signal.signal(signal.SIGPROF, ring)
    signal.signal(signal.SIGALRM, spread)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s + _GRACE_S)
    signal.setitimer(signal.ITIMER_REAL, placement.SHORT_S)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)

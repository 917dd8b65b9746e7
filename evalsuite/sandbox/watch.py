"""Keeping time over one untrusted process."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence

from evalsuite.sandbox import placement
from evalsuite.sandbox.census import Census
from evalsuite.sandbox.jobs import Limits

__all__ = ["Watch"]

_TICK_S = 0.05  # how often it is looked at what no kernel limit bounds
_SHORTEST_S = 0.002


class Watch:
    """Waits for one process: it ends, a master says stop or is gone, or a limit is passed."""

    def __init__(
        self,
        process: int,
        masters: Sequence[int],
        limits: Limits,
        census: Census,
        fills_disk: Callable[[int, Limits], bool],
    ) -> None:
        self._process = process
        self._clock = (~process << 3) | 2  # CLOCK_PROCESS_CPUTIME_ID of another process
        self._limits = limits
        self._census = census
        self._fills_disk = fills_disk
        self._ended = os.pidfd_open(process)
        self._deadline = time.monotonic() + limits.wall_s
        self._poll = select.poll()
        for descriptor in masters:
            self._poll.register(descriptor, select.POLLIN)
        self._poll.register(self._ended, select.POLLIN)

    def close(self) -> None:
        """Release the descriptor of the process."""
        os.close(self._ended)

    def until_end(self) -> str:
        """Return why the wait is over, and kill nothing.

        ``ended``, ``stopped``, or the limit that was passed: ``cpu``, ``wall``, ``disk`` or ``processes``.
        """
        pause = min(placement.SHORT_S, self._pause())
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll(max(_SHORTEST_S, pause) * 1000)}
            if ready - {self._ended}:
                return "stopped"
            if ready:
                return "ended"
            passed = self._limit_passed()
            if passed:
                return passed
            placement.let_loose(self._process)
            pause = self._pause()

    def _pause(self) -> float:
        return min(self._limits.cpu_s - self._cpu_s(), self._deadline - time.monotonic(), _TICK_S)

    def _limit_passed(self) -> str:
        if self._cpu_s() >= self._limits.cpu_s:
            return "cpu"
        if time.monotonic() >= self._deadline:
            return "wall"
        if self._fills_disk(self._process, self._limits):
            return "disk"
        if self._census.is_exceeded(self._limits):
            return "processes"
        return ""

    def _cpu_s(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it has just ended
            return 0.0

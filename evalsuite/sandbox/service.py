"""The harness's side of the sandbox: testers started when needed, shared by all threads, replaced when they die."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from functools import cache
from typing import Any, Final

from evalsuite.cancellation import stop_if_cancelled, stopped_by_cancelling
from evalsuite.errors import EvalsuiteError, InvalidInput
from evalsuite.sandbox.isolation import Isolation, Level
from evalsuite.sandbox.jobs import Job, Limits, Report
from evalsuite.sandbox.lane import Lane, LaneDied, LaneHung
from evalsuite.sandbox.outer import UNWRAPPED, OuterLayer
from evalsuite.sandbox.probe import probe

__all__ = ["SandboxFailed", "Service", "default_service", "require"]

_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 2
_JOBS_PER_LANE: Final = 2000
_starting: Final = threading.Lock()


class SandboxFailed(EvalsuiteError):
    """The sandbox itself did not work; says nothing about the program it was given."""


def require(level: Level, outer: OuterLayer = UNWRAPPED) -> None:
    """Make sure that ``outer`` works on this machine, and that programs reach ``level`` inside it.

    Raises:
        InvalidInput: they do not; the message says which layer is missing and why.
    """
    found = probe(outer)
    if outer != UNWRAPPED and not found.works(str(outer)):
        why = "; ".join(layer.detail for layer in found.missing)
        raise InvalidInput(f"sandbox {outer} cannot be used here: {why} ('--sandbox none' does without)")
    if not found.is_usable:
        raise InvalidInput(f"programs cannot be run safely here: {'; '.join(map(str, found.missing))}")
    if found.level < level:
        missing = "; ".join(map(str, found.missing))
        reached = found.level.name.lower()
        where = "this machine" if outer == UNWRAPPED else f"sandbox {outer} on this machine"
        raise InvalidInput(f"isolation {level.name.lower()!r} is required, {where} reaches {reached!r} ({missing})")


class Service:
    """As many testers as there are processors, each with its own zygotes. Safe from any number of threads."""

    def __init__(self, isolation: Isolation, outer: OuterLayer = UNWRAPPED) -> None:
        """``isolation`` is what works inside ``outer``."""
        if not isolation.is_usable:
            raise InvalidInput("programs cannot be run safely here: " + "; ".join(map(str, isolation.missing)))
        self.isolation = isolation
        self._outer = outer
        self._plan = _plan(isolation, outer)
        self._most = len(os.sched_getaffinity(0))
        self._changed = threading.Condition()
        self._idle: list[tuple[Lane, int]] = []  # a lane and how many jobs it has done
        self._count = 0

    def run(self, job: Job) -> Report:
        """Run ``job``; waits for a free tester first, which does not count against the job's limits.

        Raises:
            SandboxFailed: twice in a row the sandbox failed.
            UnusableTests: the tests cannot be used.
            Cancelled: the work that the job is part of was given up.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return self._run_once(job)
            except LaneHung:
                return Report("timeout", "the tests never came to an end")
            except LaneDied as problem:
                _log.warning("a sandbox process was lost (%s); attempt %d of %d", problem, attempt + 1, _ATTEMPTS)
                if attempt == _ATTEMPTS - 1:
                    raise SandboxFailed(f"the sandbox failed: {problem}") from problem
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End all idle testers. The service can be used again afterwards."""
        with self._changed:
            lanes, self._idle = self._idle, []
            self._count -= len(lanes)
            self._changed.notify_all()
        for lane, _ in lanes:
            lane.close()

    def abandon(self) -> None:
        """Let go of the testers in a forked child: they belong to the parent."""
        self._changed = threading.Condition()
        for lane, _ in self._idle:
            lane.abandon()
        self._idle = []
        self._count = 0

    def _run_once(self, job: Job) -> Report:
        lane, done = self._take()
        healthy = False
        try:
            with stopped_by_cancelling(lane.interrupt):
                report = lane.run(job)
            healthy = True
            return report
        except (LaneDied, LaneHung):
            raise
        except Exception:
            healthy = True
            raise
        finally:
            self._give(lane, done + 1, healthy)

    def _take(self) -> tuple[Lane, int]:
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._count < self._most)
            stop_if_cancelled()
            while self._idle:
                lane, done = self._idle.pop()
                if not lane.is_gone:
                    return lane, done
                lane.close()
                self._count -= 1
            self._count += 1
        try:
            return Lane(self._outer, self._plan), 0
        except BaseException:
            self._forget()
            raise

    def _give(self, lane: Lane, done: int, healthy: bool) -> None:
        if healthy and done < _JOBS_PER_LANE:
            with self._changed:
                self._idle.append((lane, done))
                self._changed.notify()
            return
        lane.close()
        self._forget()

    def _forget(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()


def default_service(outer: OuterLayer = UNWRAPPED) -> Service:
    """Return this process's service inside ``outer``, at the strongest isolation there; ended when the process ends."""
    with _starting:  # many threads ask for the first one at once, and a cache alone would start one for each
        return _only_service(outer)


@cache
def _only_service(outer: OuterLayer) -> Service:
    require(Level.BASIC, outer)
    isolation = probe(outer)
    if isolation.lacks:
        lacks = "; ".join(map(str, isolation.lacks))
        _log.warning("programs run at isolation level %r, without %s", isolation.level.name.lower(), lacks)
    service = Service(isolation, outer)
    atexit.register(service.close)
    os.register_at_fork(after_in_child=service.abandon)
    return service


def _plan(isolation: Isolation, outer: OuterLayer) -> dict[str, Any]:
    return {
        "seccomp": isolation.works("seccomp"),
        "landlock": isolation.works("landlock"),
        "namespaces": isolation.works("namespaces"),
        "box": "",
        "disk_mb": Limits().disk_mb,
        "packages": outer.packages(),
    }

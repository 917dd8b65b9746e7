"""One tester process and the harness's line to it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import Any, Final

from evalsuite.sandbox.jobs import Job, Report, StdioJob
from evalsuite.sandbox.outer import OuterLayer
from evalsuite.sandbox.wire import Closed, Wire

__all__ = ["Lane", "LaneDied", "LaneHung", "UnusableTests"]

_START_S: Final = 60.0  # starting an interpreter in a container on a busy machine
_SLACK_S: Final = 15.0  # starting a zygote on a busy machine
_FAREWELL_S: Final = 5.0


class LaneDied(Exception):
    """The tester or its zygote is gone; says nothing about the program."""


class LaneHung(Exception):
    """The tester did not answer in time, although it has its own limits: it is stuck in what the program returned."""


class UnusableTests(Exception):
    """The tests are not Python, or need to share a process with the program."""


class Lane:
    """Runs one job at a time. Not for several threads at once.

    Raises:
        LaneDied: the tester does not start.
    """

    def __init__(self, outer: OuterLayer, plan: Mapping[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        self._lifeline, held = os.pipe()  # at end of file, all processes of the lane on this machine are gone
        self._wire = Wire(ours)
        try:
            self._process = subprocess.Popen(
                outer.command("warden", json.dumps(plan)),
                env=outer.environment,
                cwd="/",
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                pass_fds=(held,),
                start_new_session=True,
            )
        except OSError as error:
            self.abandon()
            raise LaneDied(str(error)) from error
        finally:
            theirs.close()
            os.close(held)
        self._socket = ours
        self._await_tester()

    @property
    def is_gone(self) -> bool:
        """Whether its processes have ended, by whatever hand."""
        return bool(select.select([self._lifeline], [], [], 0)[0])

    def run(self, job: Job) -> Report:
        """Return what became of ``job``.

        Raises:
            LaneDied: the sandbox failed; the lane must be closed.
            LaneHung: no answer in time; the lane must be closed.
            UnusableTests: the tests cannot be used; the lane is fine.
        """
        patience = _patience(job)
        self._socket.settimeout(patience)
        started = time.monotonic()
        try:
            self._wire.send({"kind": job.kind, "job": dataclasses.asdict(job)})
            answer = self._wire.receive()
        except Closed as error:
            if time.monotonic() - started >= patience:
                raise LaneHung from error
            raise LaneDied(f"tester gone: {error}") from error
        if "report" in answer:
            return Report(**answer["report"])
        if "unusable" in answer:
            raise UnusableTests(answer["unusable"])
        if "hung" in answer:
            raise LaneHung
        raise LaneDied(str(answer.get("failed")))

    def interrupt(self) -> None:
        """Hang up, which ends everything; whoever waits learns that no answer will come, and closes the lane."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up, which ends the warden and with it everything, and wait until all of it is gone."""
        if self._lifeline < 0:
            return
        self._wire.close()
        select.select([self._lifeline], [], [], _FAREWELL_S)
        self._process.kill()
        self._process.wait()
        self.abandon()

    def abandon(self) -> None:
        """Let go of the tester without ending it: for a forked child, in which the lane is not its own."""
        with contextlib.suppress(OSError):
            os.close(self._lifeline)
        self._lifeline = -1
        self._wire.close()

    def _await_tester(self) -> None:
        self._socket.settimeout(_START_S)
        try:
            self._wire.receive()
        except Closed as error:
            self.close()
            raise LaneDied(f"tester did not start: {error}") from error


def _patience(job: Job) -> float:
    cases = len(job.inputs) if isinstance(job, StdioJob) else 1
    return 2 * job.limits.wall_s * max(cases, 1) + _SLACK_S

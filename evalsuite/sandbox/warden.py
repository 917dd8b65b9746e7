"""The first process of a lane: it starts the tester, and when the harness is gone, so is everything else.

It does nothing but wait, so that nothing can keep it from noticing: a tester may be stuck in what a program returned.
When the kernel has ended one for that, it says so.
Inside an outer layer it is the first process of a process namespace, whose end the kernel makes everybody's end.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Sequence
from typing import Final

from evalsuite.sandbox.bootstrap import ENVIRONMENT, arguments
from evalsuite.sandbox.packages import package_folders
from evalsuite.sandbox.wire import Closed, Descriptors, Wire

__all__ = ["main"]

_LINE: Final = 0
_HANG_UP_ONLY: Final = 0  # always told; what the harness writes is for the tester


def main(rest: Sequence[str]) -> None:
    """Start a tester on standard input and output by the plan in ``rest``; end with it, or when the line is dead."""
    plan = json.loads(rest[0])
    if plan["packages"] is None:
        plan["packages"] = package_folders()
    leash, _held = os.pipe()  # zygotes see its end when this process ends
    os.set_inheritable(leash, True)
    command = arguments("tester", json.dumps({**plan, "leash": leash}))
    tester = os.posix_spawn(command[0], command, ENVIRONMENT)
    watch = select.poll()
    watch.register(_LINE, _HANG_UP_ONLY)
    watch.register(os.pidfd_open(tester), select.POLLIN)
    watch.poll()
    _, status = os.waitpid(tester, os.WNOHANG)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        with contextlib.suppress(Closed):
            Wire(Descriptors(_LINE, _LINE)).send({"hung": None})
    os._exit(0)

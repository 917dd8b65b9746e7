"""The small, warm interpreter that every untrusted process is forked from.

It never sees a program or a test: it forks, watches the clock, kills, sweeps up and reports how the process ended. One
process at a time. The tester drives it over a datagram socket: a job (limits and descriptors), then always one "stop",
which is answered once nothing of the job is left. The leash is a pipe that ends when the harness does, however it ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import site
import socket
import sys
from collections.abc import Sequence
from typing import Final

from evalsuite.sandbox import placement, worker
from evalsuite.sandbox.census import Census
from evalsuite.sandbox.confinement import Confinement, Plan
from evalsuite.sandbox.jobs import Limits
from evalsuite.sandbox.sweep import Sweeper
from evalsuite.sandbox.watch import Watch
from evalsuite.sandbox.wire import Closed, receive_datagram, send_datagram

__all__ = ["main"]

_DESCRIPTORS = 3  # socket, standard input, standard output

#: What programs of benchmarks import most: loaded once here instead of once per program.
_STANDARD: Final = (
    "abc array bisect cmath collections contextlib copy dataclasses datetime decimal enum fractions functools hashlib "
    "heapq io itertools json math numbers operator queue random re statistics string struct textwrap threading time "
    "typing unittest"
)


def main(arguments: Sequence[str]) -> None:
    """Serve jobs on the socket whose descriptor is ``arguments[0]`` until it closes."""
    settings = json.loads(arguments[1])
    control = socket.socket(fileno=int(arguments[0]))
    plan = Plan.from_json(settings["plan"])
    sys.path += plan.packages
    sys.argv = [""]
    try:
        census = Census()
        confinement = Confinement(plan)
        _preload(settings["preload"])
    except OSError as error:
        send_datagram(control, {"failed": str(error)})
        return
    sweeper = Sweeper(confinement)
    send_datagram(control, {"ready": None})
    try:
        while True:
            _serve_one(control, settings["leash"], confinement, sweeper, census)
    except Closed:
        sweeper.sweep()
        sweeper.leave()


def _preload(modules: Sequence[str]) -> None:
    """Import ``modules`` now; a missing one is the program's business later."""
    site.setquit()  # exit() and quit(), which this interpreter started without
    gc.disable()
    for module in (*_STANDARD.split(), *modules):
        try:
            importlib.import_module(module)
        except ImportError:
            continue
    gc.collect()
    gc.freeze()


def _serve_one(control: socket.socket, leash: int, confinement: Confinement, sweeper: Sweeper, census: Census) -> None:
    request, descriptors = receive_datagram(control, _DESCRIPTORS)
    limits = Limits(**request["limits"])
    placement.stay_on(request["processor"])
    child = os.fork()
    if child == 0:
        control.close()
        try:
            worker.run(descriptors, limits, confinement)
        finally:  # whatever a program makes of an exception, this process never goes on as a zygote
            os._exit(1)
    for descriptor in descriptors:
        os.close(descriptor)
    watch = Watch(child, (control.fileno(), leash), limits, census, sweeper.fills_disk)
    try:
        cause = watch.until_end()
    finally:
        watch.close()
        status, cpu_s = sweeper.end(child)
    receive_datagram(control)
    send_datagram(control, {"cause": cause, "status": status, "cpu_s": cpu_s})

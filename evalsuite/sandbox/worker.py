"""The untrusted process: it runs one program and answers questions about it.

Everything here shares an interpreter with the program, which can change any of it. Nothing here is therefore trusted:
no test, expected value or verdict ever exists in this process (but for the declared weaker choice of :mod:`.suite`).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import random
import socket
import sys
import threading
from typing import TextIO

from evalsuite.sandbox import fork_handlers
from evalsuite.sandbox.confinement import Confinement
from evalsuite.sandbox.jobs import Limits
from evalsuite.sandbox.raised import answer
from evalsuite.sandbox.session import PROGRAM, Session, new_module
from evalsuite.sandbox.wire import Closed, Wire

__all__ = ["run"]

_SOCKET = 3


def run(descriptors: list[int], bounds: Limits, confinement: Confinement) -> None:
    """Take ``descriptors`` (socket, standard input, standard output), confine this process, serve, and end it."""
    _arrange(descriptors)
    wire = Wire(socket.socket(fileno=_SOCKET))
    try:
        confinement.put_on(bounds)
    except (OSError, ValueError) as error:
        wire.send({"failed": str(error)})
        os._exit(1)
    wire.send({"ready": None})
    if bounds.processes:
        fork_handlers.catch_up()
    gc.enable()
    sys.dont_write_bytecode = True
    _seed()
    with contextlib.suppress(Closed):
        _serve(wire)
    os._exit(0)


def _arrange(descriptors: list[int]) -> None:
    """Leave open: the standard streams, the socket as 3, and what the confinement still needs above it."""
    os.setsid()
    end, *streams = descriptors
    for target, source in enumerate(streams):
        os.dup2(source, target)
    if len(streams) > 1:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for descriptor in streams:
        os.close(descriptor)
    if end != _SOCKET:
        os.dup2(end, _SOCKET, inheritable=False)
        os.close(end)


def _seed() -> None:
    """Make chance repeatable: the same program gets the same verdict."""
    random.seed(0)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(0)


def _serve(wire: Wire) -> None:
    request = wire.receive()
    match request["op"]:
        case "script":
            wire.send(answer(lambda: _run_script(request["program"]), BaseException))
        case _:
            Session(wire).serve(request)


def _run_script(program: str) -> None:
    try:
        exec(compile(program, PROGRAM, "exec"), new_module("__main__").__dict__)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    finally:
        _end_script()


def _end_script() -> None:
    """Do what an interpreter does at its end, of which programs print: wait for threads, run exit functions, finalise.

    A real end would also tear down every module that the zygote has loaded, which takes longer than most programs.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush(sys.stdout)
    sys.modules.pop("__main__", None)
    gc.collect()  # files still open are written, objects finalised
    _flush(sys.__stdout__)


def _flush(stream: TextIO | None) -> None:
    if stream is not None and not stream.closed:
        stream.flush()

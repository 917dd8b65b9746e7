"""The inside of a worker process: read a job, call the function, write the result.

The other side is :mod:`evalsuite.verifiers.workers`. The process dies with its parent: at end of input, and on Linux by
a signal from the kernel even in the middle of a job.
"""

from __future__ import annotations

import importlib
import os
import pickle
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

__all__ = ["serve"]

_HEADER = struct.Struct("!Q")
_PR_SET_PDEATHSIG = 1


def serve(memory_bytes: int, preload: Sequence[str], parent: int) -> None:
    """Answer jobs from standard input on standard output until the input ends."""
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs = os.fdopen(os.dup(0), "rb")
    results = os.fdopen(os.dup(1), "wb")
    _silence_standard_streams()
    for module in preload:
        importlib.import_module(module)
    # After the imports: a limit too small for them would be a misconfiguration, not a verdict.
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _send(results, ("done", None, "ready"))
    while (job := _receive(jobs)) is not None:
        result = _perform(job)
        _send(results, result)
        if result[0] == "memory":
            return


def _perform(job: bytes) -> tuple[str, Any, str]:
    try:
        function, args = pickle.loads(job)
        module, _, name = function.partition(":")
        value = getattr(importlib.import_module(module), name)(*args)
        pickle.dumps(value)
    except MemoryError:
        return ("memory", None, "memory limit")
    except Exception as problem:  # process boundary: the caller gets every failure as data
        return ("raised", None, f"{type(problem).__name__}: {str(problem)[:500]}")
    return ("done", value, "")


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)


def _silence_standard_streams() -> None:
    """Keep what a job prints or reads away from the pipes that carry results."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _receive(source: BinaryIO) -> bytes | None:
    header = source.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    (size,) = _HEADER.unpack(header)
    return source.read(size)


def _send(target: BinaryIO, result: tuple[str, Any, str]) -> None:
    body = pickle.dumps(result)
    target.write(_HEADER.pack(len(body)) + body)
    target.flush()

"""The program inside the fresh interpreter: reads one job on stdin, runs it, writes one line."""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any


def _limit(request: dict[str, Any]) -> None:
    cpu, memory, file = int(request["cpu_s"] + 0.999), request["memory_mb"] << 20, request["file_mb"] << 20
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file, file))
    resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _outcome(request: dict[str, Any]) -> str:
    scope: dict[str, Any] = {"__name__": "candidate"}
    call = f"\ncheck({request['entry_point']})" if "def check(" in request["tests"] else ""
    try:
        exec(compile(f"{request['program']}\n{request['tests']}{call}", "<candidate>", "exec"), scope)
    except SyntaxError:
        return "syntax_error"
    except AssertionError:
        return "wrong_answer"
    except MemoryError:
        return "memory"
    except PermissionError:
        return "forbidden"
    except BaseException:
        return "exception"
    return "passed"


def main() -> None:
    """Judge the job on stdin."""
    request = json.load(sys.stdin)
    verdict_fd, silence = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    nonce = request.pop("nonce")
    _limit(request)
    os.write(verdict_fd, f"{nonce} {_outcome(request)}".encode())
    os._exit(0)


if __name__ == "__main__":
    main()

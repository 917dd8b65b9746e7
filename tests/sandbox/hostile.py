"""The hostile corpus, and a look at the machine for what a program may have left behind."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "data" / "hostile_programs"
KINDS = sorted(path.stem for path in CORPUS.glob("*.txt"))

TESTS = """
def check(candidate):
    secret = 8675309
    assert candidate(2, 3) == 5
    assert candidate([1, 2], [3]) == [1, 2, 3]
    assert candidate("a", "b") == "ab"
    assert abs(candidate(0.1, 0.2) - 0.3) < 1e-9
    assert candidate(1000000, 7) == 1000007
    assert all(len(candidate("x" * n, "y")) == n + 1 for n in (1, 5, 9))
"""
HONEST = "def solve(a, b):\n    return a + b\n"


@dataclass(frozen=True)
class Outside:
    """What stands outside the sandbox for hostile programs to reach for."""

    folder: Path
    server: socket.socket
    mailbox: socket.socket

    @property
    def canary(self) -> Path:
        return self.folder / "canary"

    def fill_in(self, program: str) -> str:
        values = {
            "{canary}": str(self.canary),
            "{mailbox}": self.mailbox.getsockname(),
            "{port}": str(self.server.getsockname()[1]),
            "{parent}": str(os.getpid()),
            "{nul}": "\0",
        }
        for name, value in values.items():
            program = program.replace(name, value)
        return program

    def was_called(self) -> bool:
        for listener in (self.server, self.mailbox):
            listener.setblocking(False)
        for call in (self.server.accept, lambda: self.mailbox.recv(1)):
            with contextlib.suppress(BlockingIOError):
                call()
                return True
        return False


def programs(kind: str) -> dict[str, str]:
    """Return the programs of one kind by name."""
    parts = (CORPUS / f"{kind}.txt").read_text().split("### ")[1:]
    return {name: body for name, _, body in (part.partition("\n") for part in parts)}


def workers() -> list[int]:
    """Return the processes forked from zygotes of this process's sandbox, or started by what they ran.

    Whoever got away from every sandbox counts too; those in the sandbox of another test run on this machine do not.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        line = _ancestors(int(folder.name))
        commands = [command for _, command in line[:2]]
        suspicious = len(commands) == 2 and (b"4242" in commands[0] or all(map(_is_zygote, commands)))
        elsewhere = any(b"\0warden\0" in command for _, command in line) and os.getpid() not in dict(line)
        if suspicious and not elsewhere:
            found.append(int(folder.name))
    return found


def _ancestors(process: int) -> list[tuple[int, bytes]]:
    """Return number and command of a process, its parent, and so on, as far as they still live."""
    line: list[tuple[int, bytes]] = []
    while process:
        try:
            folder = Path(f"/proc/{process}")
            line.append((process, (folder / "cmdline").read_bytes()))
            process = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            break
    return line


def leftovers() -> set[str]:
    """Return what lies where hostile programs like to leave things."""
    places = (Path("/dev/shm"), Path("/var/tmp"), Path("/tmp"))
    return {str(path) for place in places for path in place.glob("*hostile*")} | {
        str(path) for path in Path("/tmp").glob("evalsuite-box-*/*")
    }


def _is_zygote(command: bytes) -> bool:
    return b"\0zygote\0" in command

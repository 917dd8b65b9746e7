"""The few Linux calls that Python's ``os`` lacks, through ctypes. Used inside sandbox processes only."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Final

from evalsuite.sandbox.syscalls import numbers

__all__ = [
    "NOBODY",
    "LinuxCall",
    "become_nobody",
    "call",
    "drop_capabilities",
    "forbid_new_privileges",
    "hide_memory",
    "kill_with_parent",
    "limit_capabilities",
    "own_orphans",
    "prctl",
]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION_3: Final = 0x20080522
_LAST_POSSIBLE_CAPABILITY: Final = 63
_SIGKILL: Final = 9

#: The number of the user and the group that own nothing.
NOBODY: Final = 65534

Argument = int | bytes | None | ctypes.Array[ctypes.c_char]


class LinuxCall(OSError):
    """A system call that failed; the message names it."""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Argument) -> int:
    """Make the system call ``name``; raise :class:`LinuxCall` when it fails or the machine's number is unknown."""
    number = numbers().get(name)
    if number is None:
        raise LinuxCall(38, f"{name}: unknown on this machine")
    converted = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = int(_libc().syscall(ctypes.c_long(number), *converted))
    if result < 0:
        error = ctypes.get_errno()
        raise LinuxCall(error, f"{name}: {os.strerror(error)}")
    return result


def prctl(option: int, *arguments: int) -> None:
    """Set one attribute of this process; raise :class:`LinuxCall` on failure."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    call("prctl", option, *padded)


def forbid_new_privileges() -> None:
    """Make sure that no later exec gives this process more rights."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def kill_with_parent() -> None:
    """Die when the thread that forked this process dies."""
    prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def own_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Close ``/proc/<pid>/mem`` of this process to unprivileged processes of the same user."""
    prctl(_PR_SET_DUMPABLE, 0)


def become_nobody() -> None:
    """Give up root for the user that owns nothing."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def limit_capabilities() -> None:
    """Make sure that no later exec regains a capability; those held now stay until :func:`drop_capabilities`."""
    for capability in range(_LAST_POSSIBLE_CAPABILITY + 1):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except LinuxCall:  # past the kernel's last capability, or without CAP_SETPCAP: then nothing can be regained
            break


def drop_capabilities() -> None:
    """Give up every capability, root's included."""
    header = _CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    call("capset", header, bytes(24))

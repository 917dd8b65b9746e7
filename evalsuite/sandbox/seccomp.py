"""The system-call filter: a short allow list, everything else answers "operation not permitted".

Written as classic BPF (linux/filter.h), so that nothing but the kernel is needed. What is allowed only with some
arguments: threads but no processes, internet sockets where there is no internet, pairs of sockets that reach nobody
else, signals and resource limits only to oneself, no signals from files to others, terminal queries only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from evalsuite.sandbox.jobs import Limits
from evalsuite.sandbox.linux import call
from evalsuite.sandbox.syscalls import ALWAYS_ALLOWED, AUDIT_ARCH, LOOPBACK_CALLS, PROCESS_CALLS, numbers

__all__ = ["build_filter", "install"]

_LOAD, _RETURN = 0x20, 0x06
_JUMP_EQUAL, _JUMP_GREATER, _JUMP_GREATER_OR_EQUAL, _JUMP_ANY_BIT = 0x15, 0x25, 0x35, 0x45
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NOT_PERMITTED, _NOT_IMPLEMENTED = 0x00050000 | 1, 0x00050000 | 38
_NUMBER_OFFSET, _ARCH_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_X32_BIT: Final = 0x40000000

_OWN_PID: Final = 0x7ABCDEF1  # a number no process, flag or call has

_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW_NAMESPACE: Final = 0x7E020080
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032)
_IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
_INTERNET = (2, 10)
_LOCAL, _NO_STREAM = 1, 2  # a bit that the kinds of sockets have which send to any address
_PRCTL_OPTIONS = (15, 16, 0x53564D41)

Instruction = tuple[int, int, int, int]


def build_filter(limits: Limits, refused: Collection[str] = ()) -> bytes:
    """Return the filter program for any process that may start others, or use a network, as far as ``limits`` say.

    ``refused`` are calls that are normally allowed.
    Which process it is for is filled in by :func:`install`.

    Raises:
        OSError: this machine's system calls are not known here.
    """
    arch = AUDIT_ARCH.get(platform.machine())
    if arch is None:
        raise OSError(38, f"no system-call table for {platform.machine()}")
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_OFFSET),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_JUMP_GREATER_OR_EQUAL, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
    ]
    program += _rule("clone3", [(_RETURN, 0, 0, _NOT_IMPLEMENTED)])  # its flags cannot be seen; libc falls back
    if limits.processes:
        program += _rule("clone", _unless_any_bit(0, _CLONE_NEW_NAMESPACE))
        program += _rule("kill", [(_RETURN, 0, 0, _ALLOW)]) + _rule("tgkill", [(_RETURN, 0, 0, _ALLOW)])
    else:
        program += _rule("clone", _if_any_bit(0, _CLONE_THREAD))
        program += _rule("kill", _if_one_of(0, (_OWN_PID,))) + _rule("tgkill", _if_one_of(0, (_OWN_PID,)))
    program += _rule("socketpair", [*_unless_equal(0, _LOCAL), *_unless_any_bit(1, _NO_STREAM)])
    program += _rule("prlimit64", _if_one_of(0, (0,)))
    program += _rule("fcntl", _if_one_of(1, _FCNTL_COMMANDS))
    program += _rule("ioctl", _if_one_of(1, _IOCTL_REQUESTS))
    program += _rule("prctl", _if_one_of(0, _PRCTL_OPTIONS))
    if limits.loopback:
        program += _rule("socket", _if_one_of(0, _INTERNET))
    names = {*ALWAYS_ALLOWED, *(PROCESS_CALLS * bool(limits.processes)), *(LOOPBACK_CALLS * limits.loopback)}
    program += _search(_ranges(numbers()[name] for name in names.difference(refused) if name in numbers()))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def install(program: bytes) -> None:
    """Put this process and all its threads and children under ``program`` for good; needs no_new_privs."""
    program = program.replace(struct.pack("I", _OWN_PID), struct.pack("I", os.getpid()))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    call("seccomp", 1, 0, header)


def _rule(name: str, action: Sequence[Instruction]) -> list[Instruction]:
    """Return ``action`` guarded by the call's number; empty where the machine has no such call."""
    number = numbers().get(name)
    if number is None:
        return []
    return [(_JUMP_EQUAL, 0, len(action), number), *action]


def _ranges(allowed: Iterable[int]) -> list[tuple[int, int]]:
    """Return the numbers as ranges without gaps, ascending, both ends included."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(allowed):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def _search(ranges: Sequence[tuple[int, int]]) -> list[Instruction]:
    """Return a binary search: the kernel runs the filter for every call there is when it is installed."""
    if len(ranges) == 1:
        ((low, high),) = ranges
        return [
            (_JUMP_GREATER_OR_EQUAL, 0, 2, low),
            (_JUMP_GREATER, 1, 0, high),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _NOT_PERMITTED),
        ]
    middle = len(ranges) // 2
    lower = _search(ranges[:middle])
    return [(_JUMP_GREATER_OR_EQUAL, len(lower), 0, ranges[middle][0]), *lower, *_search(ranges[middle:])]


def _if_one_of(argument: int, accepted: Sequence[int]) -> list[Instruction]:
    checks = [(_JUMP_EQUAL, len(accepted) - index, 0, value) for index, value in enumerate(accepted)]
    return [_low_half(argument), *checks, (_RETURN, 0, 0, _NOT_PERMITTED), (_RETURN, 0, 0, _ALLOW)]


def _if_any_bit(argument: int, mask: int) -> list[Instruction]:
    return [
        _low_half(argument),
        (_JUMP_ANY_BIT, 1, 0, mask),
        (_RETURN, 0, 0, _NOT_PERMITTED),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _unless_any_bit(argument: int, mask: int) -> list[Instruction]:
    return [
        _low_half(argument),
        (_JUMP_ANY_BIT, 0, 1, mask),
        (_RETURN, 0, 0, _NOT_PERMITTED),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _unless_equal(argument: int, accepted: int) -> list[Instruction]:
    """Return what refuses another value, and goes on with the right one."""
    return [_low_half(argument), (_JUMP_EQUAL, 1, 0, accepted), (_RETURN, 0, 0, _NOT_PERMITTED)]


def _low_half(argument: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * argument)

"""The filter, run by a small interpreter of classic BPF, says what the module promises for every call there is."""

from __future__ import annotations

import platform
import re
import struct
from pathlib import Path

import pytest

from evalsuite.sandbox.jobs import Limits
from evalsuite.sandbox.seccomp import build_filter
from evalsuite.sandbox.syscalls import ALWAYS_ALLOWED, AUDIT_ARCH, LOOPBACK_CALLS, PROCESS_CALLS, numbers

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
OWN_PID = 0x7ABCDEF1

pytestmark = pytest.mark.skipif(platform.machine() not in AUDIT_ARCH, reason="no table for this machine")


def decide(program: bytes, number: int, *arguments: int, arch: int | None = None) -> int:
    machine = AUDIT_ARCH[platform.machine()] if arch is None else arch
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("IIQ6Q", number, machine, 0, *padded)
    position, value = 0, 0
    while True:
        code, if_true, if_false, operand = struct.unpack_from("HBBI", program, 8 * position)
        position += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("I", data, operand)
            case 0x06:
                return int(operand)
            case 0x15:
                position += if_true if value == operand else if_false
            case 0x25:
                position += if_true if value > operand else if_false
            case 0x35:
                position += if_true if value >= operand else if_false
            case 0x45:
                position += if_true if value & operand else if_false
            case _:
                raise AssertionError(f"unexpected instruction {code:#x}")


BY_ARGUMENT = {"clone", "clone3", "kill", "tgkill", "prlimit64", "fcntl", "ioctl", "prctl", "socketpair"}


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("processes", [0, 1])
def test_every_call_by_number(processes: int, loopback: bool) -> None:
    program = build_filter(Limits(processes=processes, loopback=loopback))
    names = {*ALWAYS_ALLOWED, *(PROCESS_CALLS if processes else ()), *(LOOPBACK_CALLS if loopback else ())}
    allowed = {numbers()[name] for name in names if name in numbers()}
    special = {numbers()[name] for name in (*BY_ARGUMENT, *(["socket"] if loopback else [])) if name in numbers()}
    for number in range(600):
        if number not in special:
            assert decide(program, number) == (ALLOW if number in allowed else EPERM), number


@pytest.mark.parametrize(
    ("name", "arguments", "decision"),
    [
        ("clone3", (0,), ENOSYS),
        ("clone", (17,), EPERM),
        ("clone", (0x3D0F00,), ALLOW),
        ("kill", (OWN_PID, 9), ALLOW),
        ("kill", (1, 9), EPERM),
        ("kill", (0xFFFFFFFF, 9), EPERM),
        ("tgkill", (OWN_PID, 5, 9), ALLOW),
        ("tgkill", (5, 5, 9), EPERM),
        ("prlimit64", (0, 7), ALLOW),
        ("prlimit64", (5, 7), EPERM),
        ("fcntl", (3, 3), ALLOW),
        ("fcntl", (3, 8), EPERM),
        ("fcntl", (3, 10), EPERM),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), EPERM),
        ("socketpair", (1, 1), ALLOW),
        ("socketpair", (1, 0x80801), ALLOW),
        ("socketpair", (1, 5), ALLOW),
        ("socketpair", (1, 2), EPERM),  # one that can send to any path
        ("socketpair", (1, 0x80802), EPERM),
        ("socketpair", (1, 3), EPERM),
        ("socketpair", (30, 1), EPERM),
        ("prctl", (15,), ALLOW),
        ("prctl", (22,), EPERM),
    ],
)
def test_calls_judged_by_argument(name: str, arguments: tuple[int, ...], decision: int) -> None:
    assert decide(build_filter(Limits()), numbers()[name], *arguments) == decision


def test_sockets_are_of_the_internet_and_only_on_request() -> None:
    for family in (1, 2, 10, 16, 17, 40):  # unix, inet, inet6, netlink, packet, vsock
        allowed = decide(build_filter(Limits(loopback=True)), numbers()["socket"], family)
        assert allowed == (ALLOW if family in (2, 10) else EPERM)
        assert decide(build_filter(Limits()), numbers()["socket"], family) == EPERM


def test_new_namespaces_are_refused_even_with_processes() -> None:
    program = build_filter(Limits(processes=1))
    assert decide(program, numbers()["clone"], 17) == ALLOW
    for flag in (0x10000000, 0x20000000, 0x00020000, 0x40000000, 0x02000000, 0x80):
        assert decide(program, numbers()["clone"], 17 | flag) == EPERM


def test_other_calling_conventions_are_killed() -> None:
    program = build_filter(Limits())
    assert decide(program, 1, arch=0x40000003) == KILL
    assert decide(program, 0x40000001) == KILL


def test_numbers_are_the_kernels() -> None:
    headers = list(Path("/usr/include").glob("*/asm/unistd_64.h"))
    if platform.machine() != "x86_64" or not headers:
        pytest.skip("no kernel headers here")
    found = dict(re.findall(r"#define __NR_(\w+)\s+([0-9]+)", headers[0].read_text()))
    assert {name: int(found[name]) for name in numbers()} == dict(numbers())

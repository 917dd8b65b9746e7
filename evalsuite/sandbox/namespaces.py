"""User, process, mount, network, IPC and host-name namespaces, and a file system of read-only mounts and one tmpfs.

No root is needed where the kernel allows unprivileged user namespaces. Inside there is no /proc, no network device but
loopback, no process but the sandbox's own, and nothing to write but one directory of bounded size, which ``/tmp`` leads
to (unless the interpreter itself is installed below ``/tmp``).
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from evalsuite.sandbox.linux import call

__all__ = ["BOX", "HOSTS", "enter", "fresh_box", "outermost"]

#: The only writable directory inside. Not ``/tmp``: the interpreter itself may be installed below that.
BOX: Final = "/evalsuite-box"

#: What names there are: localhost, and no other.
HOSTS: Final = "/etc/hosts"

_NEW_MOUNTS, _NEW_UTS, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_NO_SUID, _NO_DEVICES = 0x2, 0x4
_DETACH: Final = 2
_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_ATTR_READ_ONLY, _ATTR_NO_SUID, _ATTR_NO_DEVICES = 0x1, 0x2, 0x4
_INSIDE_ID: Final = 1000
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_FILES: Final = 4096
_HOST: Final = "sandbox"
_SET_DEVICE_FLAGS: Final = 0x8914
_DEVICE_UP: Final = 1


def enter(readable: Iterable[str], disk_mb: int) -> None:
    """Move the calling program into new namespaces; it returns in the first process of the new process namespace.

    The process that called ends, successfully, once the new one runs. Needs a program with a single thread.

    Raises:
        OSError: this machine does not allow it. The process may then be half moved and is good for nothing.
    """
    user, group = os.getuid(), os.getgid()
    call("unshare", _NEW_USER | _NEW_PIDS | _NEW_MOUNTS | _NEW_NETWORK | _NEW_IPC | _NEW_UTS)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{_INSIDE_ID} {user} 1")
    _write("/proc/self/gid_map", f"{_INSIDE_ID} {group} 1")
    socket.sethostname(_HOST)
    _raise_loopback()
    _change_root(readable, disk_mb)
    if os.fork():
        os._exit(0)


def fresh_box(disk_mb: int) -> None:
    """Throw away everything below :data:`BOX` and start with an empty one."""
    call("umount2", _path(BOX), _DETACH)
    _mount_box(BOX, disk_mb)


def outermost(paths: Iterable[str]) -> list[str]:
    """Return the existing ones of ``paths`` that are not below another, symbolic links kept as they are."""
    chosen: list[str] = []
    for path in sorted({str(Path(path).absolute()) for path in paths if os.path.lexists(path)}):
        if not any(path == outer or path.startswith(outer + "/") for outer in chosen):
            chosen.append(path)
    return chosen


def _raise_loopback() -> None:
    """Make 127.0.0.1 work: the new network namespace has that one device, and it is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_DEVICE_FLAGS, struct.pack("16sh14x", b"lo", _DEVICE_UP))


def _change_root(readable: Iterable[str], disk_mb: int) -> None:
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    new_root = "/sys"  # any directory that is never a source; covered in this namespace only
    _mount("tmpfs", new_root, "tmpfs", _NO_SUID, b"size=1m,mode=755")
    for path in outermost(readable):
        _show(path, new_root + path)
    for path in _DEVICES:
        _show(path, new_root + path, devices=0)
    Path(new_root + BOX).mkdir()
    Path(new_root + HOSTS).parent.mkdir(exist_ok=True)
    Path(new_root + HOSTS).write_text("127.0.0.1 localhost\n::1 localhost\n")
    Path(new_root + "/dev/shm").symlink_to(BOX)  # named semaphores and shared memory count as files of the box
    if not os.path.lexists(new_root + "/tmp"):
        Path(new_root + "/tmp").symlink_to(BOX)
    os.chdir(new_root)
    call("pivot_root", _path("."), _path("."))
    call("umount2", _path("."), _DETACH)
    os.chdir("/")
    _seal("/", _ATTR_READ_ONLY | _ATTR_NO_SUID, 0)
    _mount_box(BOX, disk_mb)


def _show(source: str, target: str, devices: int = _ATTR_NO_DEVICES) -> None:
    """Make ``source`` visible, read-only, at ``target``; a symbolic link is copied as one."""
    original, copy = Path(source), Path(target)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if original.is_symlink():
        copy.symlink_to(original.readlink())
        return
    if original.is_dir():
        copy.mkdir()
    else:
        copy.touch()
    _mount(source, target, None, _BIND | _RECURSIVE)
    _seal(target, _ATTR_READ_ONLY | _ATTR_NO_SUID | devices, _AT_RECURSIVE)


def _mount_box(target: str, disk_mb: int) -> None:
    options = f"size={disk_mb}m,nr_inodes={_FILES},mode=700"
    _mount("tmpfs", target, "tmpfs", _NO_SUID | _NO_DEVICES, options.encode())


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: bytes | None = None) -> None:
    call("mount", _path(source) if source else None, _path(target), _path(kind) if kind else None, flags, options)


def _seal(target: str, attributes: int, flags: int) -> None:
    call("mount_setattr", _AT_FDCWD, _path(target), flags, struct.pack("QQQQ", attributes, 0, 0, 0), 32)


def _path(path: str) -> bytes:
    return os.fsencode(path)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)

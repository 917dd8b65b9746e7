"""How much of the disk a program holds, where no file system of its own bounds it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["bytes_held"]

_LEAST: Final = 16384  # an empty file costs, too: to make, to find, to remove
_DELETED: Final = " (deleted)"


def bytes_held(box: str, process: int, file_bytes: int) -> int:
    """Return the bytes below ``box`` and in deleted files that ``process`` still holds.

    Those it has mapped and closed cannot be looked at: each counts as ``file_bytes``, the most a file can have.
    """
    return _below(box) + _open_and_deleted(box, process) + file_bytes * _mapped_and_deleted(box, process)


def _below(box: str) -> int:
    """A tree too deep to walk is endless."""
    total, folders = 0, [box]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    total += max(entry.stat(follow_symlinks=False).st_blocks * 512, _LEAST)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return sys.maxsize
    return total


def _open_and_deleted(box: str, process: int) -> int:
    total = 0
    with contextlib.suppress(OSError), os.scandir(f"/proc/{process}/fd") as descriptors:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                if _is_deleted(str(Path(descriptor.path).readlink()), box):
                    total += descriptor.stat().st_blocks * 512  # of the file, not of the link
    return total


def _mapped_and_deleted(box: str, process: int) -> int:
    """Return how many files are mapped; each line of the map ends in device, number and path of a file."""
    try:
        lines = Path(f"/proc/{process}/maps").read_text(errors="replace").splitlines()
    except OSError:  # it has just ended
        return 0
    files = (line.split(maxsplit=5)[3:] for line in lines if line.endswith(_DELETED))
    return len({(device, number) for device, number, path in files if _is_deleted(path, box)})


def _is_deleted(path: str, box: str) -> bool:
    return path.startswith(f"{box}/") and path.endswith(_DELETED)

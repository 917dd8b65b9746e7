"""After a program: nothing it started lives on, nothing it wrote stays."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from pathlib import Path

from evalsuite.sandbox import linux
from evalsuite.sandbox.confinement import Confinement
from evalsuite.sandbox.disk import bytes_held
from evalsuite.sandbox.jobs import Limits

__all__ = ["Sweeper"]


class Sweeper:
    """Ends processes and empties the box of one zygote."""

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement
        self._box = confinement.box
        self._has_namespaces = confinement.plan.namespaces
        linux.own_orphans()

    def end(self, process: int) -> tuple[int, float]:
        """Kill ``process`` and all it started, empty the box; return its wait status and processor seconds."""
        os.kill(process, signal.SIGKILL)
        _, status, usage = os.wait4(process, 0)
        self.sweep()
        return status, usage.ru_utime + usage.ru_stime

    def sweep(self) -> None:
        """Kill every other process under this one, and empty the box."""
        if self._has_namespaces:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # everything else in this process namespace, at once
            _reap()
        else:
            _kill_descendants()
        self._empty()

    def leave(self) -> None:
        """Remove the box itself."""
        if not self._has_namespaces:
            Path(self._box).rmdir()

    def _empty(self) -> None:
        if self._has_namespaces:
            if _touched(self._box):
                self._confinement.renew_box()
            return
        _delete_below(self._box)

    def fills_disk(self, process: int, limits: Limits) -> bool:
        """Whether ``process`` holds more of the disk than ``limits`` allow; in namespaces its box holds no more."""
        if self._has_namespaces:
            return False
        return bytes_held(self._box, process, limits.file_mb << 20) > limits.disk_mb << 20


def _touched(box: str) -> bool:
    try:
        with os.scandir(box) as entries:
            return next(entries, None) is not None or stat.S_IMODE(Path(box).stat().st_mode) != 0o700
    except OSError:
        return True


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _kill_descendants() -> None:
    """Kill every descendant. Orphans become this process's children, so nobody gets away by forking twice."""
    me = os.getpid()
    while True:
        children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
        if not children:
            return
        for child in children:
            os.kill(int(child), signal.SIGKILL)
            os.waitpid(int(child), 0)


def _delete_below(box: str) -> None:
    """Empty ``box`` whatever permissions and depth it was left with; links are removed, never followed.

    What a folder holds is moved up before the folder is removed, so that no path is ever longer than two names.
    """
    moved = 0
    while True:
        Path(box).chmod(0o700)
        with os.scandir(box) as listing:
            entries = list(listing)
        if not entries:
            return
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                Path(entry).unlink()
                continue
            Path(entry).chmod(0o700)
            with os.scandir(entry.path) as listing:
                inner = [Path(found) for found in listing]
            for path in inner:
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o700)  # a folder that its owner may not write to cannot be moved
                moved += 1
                path.rename(f"{box}/.{os.getpid()}-{moved}")
            Path(entry).rmdir()

"""Resource limits of one untrusted process (setrlimit), the layer that works everywhere."""

from __future__ import annotations

import math
import resource

from evalsuite.sandbox.jobs import Limits

__all__ = ["apply", "lower"]

_SECONDS_PAST_THE_WATCH = 1  # the zygote's finer clock decides; the kernel's whole seconds are the net below it


def apply(limits: Limits) -> None:
    """Bound this process for good: hard limits equal the soft ones."""
    seconds = math.ceil(limits.cpu_s) + _SECONDS_PAST_THE_WATCH
    wanted = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: limits.memory_mb << 20,
        resource.RLIMIT_FSIZE: limits.file_mb << 20,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for which, value in wanted.items():
        lower(which, value)


def lower(which: int, value: int) -> None:
    """Bound one resource of this process for good, at ``value`` or where it is bounded already."""
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))

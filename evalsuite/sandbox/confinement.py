"""Shutting a freshly forked process in: everything it does before it reads the program it will run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalsuite.sandbox import landlock, limits, linux, namespaces, seccomp
from evalsuite.sandbox.jobs import Limits

__all__ = ["Confinement", "Plan", "readable_paths"]

_SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/lib", "/lib64")
_SYSTEM_FILES = ("/etc/ld.so.cache",)
_DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which layers to use, where programs may write, and how much, and what they may read besides the interpreter."""

    seccomp: bool
    landlock: bool
    namespaces: bool
    box: str
    disk_mb: int
    packages: tuple[str, ...]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Plan:
        """Rebuild a plan from its fields as they came over a socket."""
        return cls(**{**fields, "packages": tuple(fields["packages"])})


def readable_paths(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths an interpreter needs to import the standard library and ``packages`` directories."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    libraries = {f"{prefix}/lib" for prefix in prefixes} | {f"{prefix}/lib64" for prefix in prefixes}
    return (*sorted(libraries), *packages, *_SYSTEM_LIBRARIES, *_SYSTEM_FILES)


class Confinement:
    """The layers of a plan, prepared once in the zygote and put on by every process it forks."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        readable = readable_paths(plan.packages)
        if plan.namespaces:
            namespaces.enter(readable, plan.disk_mb)
        linux.limit_capabilities()
        self.box = namespaces.BOX if plan.namespaces else plan.box
        self._rules = landlock.ruleset((*readable, *_DEVICES), (self.box, os.devnull)) if plan.landlock else None
        self._filters = {count: seccomp.build_filter(count) for count in (0, 1)} if plan.seccomp else {}

    @property
    def has_namespaces(self) -> bool:
        """Whether this process is the first of its own process namespace."""
        return self._plan.namespaces

    def put_on(self, bounds: Limits) -> None:
        """Confine this process for good. Only standard streams and the socket to the tester are open afterwards."""
        linux.kill_with_parent()
        limits.apply(bounds)
        os.chdir(self.box)
        linux.forbid_new_privileges()
        if self._rules is not None:
            landlock.restrict(self._rules)
            os.close(self._rules)
        linux.drop_capabilities()
        if self._filters:
            seccomp.install(self._filters[min(bounds.processes, 1)])

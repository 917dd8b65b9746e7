"""What verifiers that run programs have in common: limits, isolation, batches, and how a report becomes a verdict."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, get_args

from evalsuite.cancellation import map_in_threads
from evalsuite.sandbox import (
    Job,
    Level,
    Limits,
    OuterLayer,
    Report,
    UnusableTests,
    chosen_outer_layer,
    default_service,
    outer_layer,
    probe,
    require,
)
from evalsuite.verifiers.base import BadReference, TextVerifier
from evalsuite.verifiers.verdict import Verdict

__all__ = ["SandboxedVerifier", "Score", "check_choice"]

Network = Literal["none", "loopback"]
Score = Literal["all", "fraction"]

_WALL_FACTOR = 3.0


@dataclass(frozen=True)
class SandboxedVerifier(TextVerifier):
    """Runs the completion as a program, confined as far as the machine allows.

    ``timeout`` is in seconds of processor time; a program that sleeps is ended after three times that. ``memory_mb``
    bounds the address space. ``score`` is ``"all"`` (1 if every test passes, else 0) or ``"fraction"`` (of the tests).
    ``processes`` is how many other processes a program may have at once, ``network`` is ``"none"`` or ``"loopback"``
    (it may talk to itself over 127.0.0.1); both need namespaces.
    ``preload`` names packages that are imported once instead of once per program (numpy is noticed by itself).
    ``require_isolation`` (``"basic"``, ``"confined"``, ``"namespaced"``) makes it an error to run with less.
    ``sandbox`` is what stands around it all, ``"none"``, ``"bwrap"``, ``"docker:IMAGE"`` or ``"podman:IMAGE"``; empty
    leaves it to ``EVALSUITE_SANDBOX``.

    Raises:
        ValueError: a parameter has an impossible value.
    """

    timeout: float = 3.0
    score: Score = "all"
    memory_mb: int = 1024
    processes: int = 0
    network: Network = "none"
    preload: Sequence[str] = ()
    require_isolation: str = "basic"
    sandbox: str = ""

    runs_in_processes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.memory_mb <= 0 or self.processes < 0:
            raise ValueError("timeout and memory_mb must be positive, processes not negative")
        check_choice("score", self.score, get_args(Score))
        check_choice("network", self.network, get_args(Network))
        Level.parse(self.require_isolation)
        if self.sandbox:
            outer_layer(self.sandbox)
        object.__setattr__(self, "preload", tuple(self.preload))

    def verify_batch(self, completions: Sequence[str], references: Sequence[Any]) -> list[Verdict]:
        """Return one verdict per completion, in order, judging as many at once as there are processors."""
        pairs = zip(completions, references, strict=True)
        return map_in_threads(lambda pair: self.verify(*pair), pairs, _processors())

    def resources(self) -> dict[str, str]:
        """Return how far programs are shut in on this machine, inside what, and which Python they run on."""
        outer = self._outer()
        found = probe(outer)
        return {"isolation": found.level.name.lower(), "sandbox": str(outer), "python": found.python}

    def inside(self, sandbox: str) -> Self:
        """Return the same with another outer layer, unless ``sandbox`` is empty."""
        return replace(self, sandbox=sandbox) if sandbox else self

    def limits(self) -> Limits:
        """Return the bounds on one program."""
        return Limits(
            cpu_s=self.timeout,
            wall_s=_WALL_FACTOR * self.timeout,
            memory_mb=self.memory_mb,
            processes=self.processes,
            loopback=self.network == "loopback",
        )

    def preloaded(self, *texts: str) -> tuple[str, ...]:
        """Return what to import before the program is, which imports what ``texts`` say."""
        noticed = ("numpy",) if any("numpy" in text for text in texts) and "numpy" not in self.preload else ()
        return (*noticed, *self.preload)

    def run(self, job: Job) -> Report:
        """Run ``job``; raise :class:`BadReference` when its tests cannot be used."""
        needed = Level.NAMESPACED if job.limits.needs_namespaces else Level.BASIC
        outer = self._outer()
        require(max(needed, Level.parse(self.require_isolation)), outer)
        try:
            return default_service(outer).run(job)
        except UnusableTests as problem:
            raise BadReference(str(problem)) from problem

    def verdict(self, report: Report, code: str, mark: str = "") -> Verdict:
        """Return the verdict on ``code``; ``mark`` is added to the reason."""
        reason = ":".join(part for part in (report.reason, mark) if part)
        if not report.reason:
            return Verdict.correct(code, reason)
        if self.score == "fraction" and report.total:
            return Verdict.graded(report.passed / report.total, code, reason)
        return Verdict.incorrect(code, reason)

    def _outer(self) -> OuterLayer:
        return chosen_outer_layer(self.sandbox)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1  # elsewhere all there is to say is why not


def check_choice(name: str, value: str, valid: Sequence[str]) -> None:
    """Raise ValueError when ``value`` is not one of ``valid``."""
    if value not in valid:
        raise ValueError(f"{name} must be one of {', '.join(valid)}, not {value!r}")

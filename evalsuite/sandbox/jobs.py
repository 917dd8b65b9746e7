"""What the sandbox is asked and what it answers: plain frozen data, nothing is run here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FunctionJob", "Limits", "Report"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one program: processor seconds, wall seconds, memory and file sizes in MiB."""

    cpu_s: float = 3.0
    wall_s: float = 9.0
    memory_mb: int = 1024
    file_mb: int = 16


@dataclass(frozen=True, slots=True)
class FunctionJob:
    """A program that defines ``entry_point``, and the tests that call it."""

    program: str
    tests: str
    entry_point: str
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a program: ``reason`` is empty when every test passed, else a short stable code."""

    reason: str

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return not self.reason

"""Running programs that nobody trusts: fresh, confined processes that leave nothing behind."""

from __future__ import annotations

from evalsuite.sandbox.jobs import FunctionJob, Limits, Report
from evalsuite.sandbox.run import run

__all__ = ["FunctionJob", "Limits", "Report", "run"]

"""evalsuite: an evaluation harness that also trains.

The public names below are imported when they are first used, so that ``import evalsuite`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalsuite.rewards import reward_function
    from evalsuite.runner.evaluate import evaluate
    from evalsuite.tasks.model import Task
    from evalsuite.tasks.registry import load_suite, load_task
    from evalsuite.verifiers.registry import load_verifier
    from evalsuite.verifiers.verdict import Verdict

__all__ = ["Task", "Verdict", "evaluate", "load_suite", "load_task", "load_verifier", "reward_function"]

try:
    __version__ = version("evalsuite")
except PackageNotFoundError:
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    match name:
        case "evaluate":
            module = "evalsuite.runner.evaluate"
        case "load_suite" | "load_task":
            module = "evalsuite.tasks.registry"
        case "load_verifier":
            module = "evalsuite.verifiers.registry"
        case "reward_function":
            module = "evalsuite.rewards"
        case "Task":
            module = "evalsuite.tasks.model"
        case "Verdict":
            module = "evalsuite.verifiers.verdict"
        case _:
            raise AttributeError(f"module 'evalsuite' has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Every error evalsuite raises on purpose.

EvalsuiteError                 exit code 1: the run failed, and not because of what the user typed
├── EngineError                the model could not be loaded, or died while it ran
└── UserError                  exit code 2: one clear line (what, where, nearest valid name, what to type)
    ├── UnknownName            a task, verifier, suite, engine or key that does not exist
    ├── InvalidTask            a task file that does not say what a task file must say
    ├── InvalidRecipe          the same for a training recipe
    ├── InvalidInput           a file or value given on the command line that cannot be used
    ├── MissingExtra           an optional package that is not installed
    ├── DataUnavailable        neither the Hub, nor a mirror, nor an installed package has the rows
    ├── DataMismatch           rows that differ from what the task file promises
    ├── RunMismatch            a run folder that belongs to another model, task or sampling
    └── SplitViolation         development would see an unseen task
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

__all__ = [
    "DataMismatch",
    "DataUnavailable",
    "EngineError",
    "EvalsuiteError",
    "InvalidInput",
    "InvalidRecipe",
    "InvalidTask",
    "MissingExtra",
    "RunMismatch",
    "SplitViolation",
    "UnknownName",
    "UserError",
    "blaming",
    "first_line",
    "nearest",
]


class EvalsuiteError(Exception):
    """Base of everything raised on purpose; the message is one line fit for a terminal."""

    exit_code = 1


class EngineError(EvalsuiteError):
    """The model could not be loaded, or its engine died while it ran."""


class UserError(EvalsuiteError):
    """A mistake the user can put right; never printed with a traceback."""

    exit_code = 2


class UnknownName(UserError):
    """A name that is not in a closed list; answers with the nearest valid ones."""

    def __init__(self, kind: str, name: str, valid: Iterable[str], *, hint: str = "") -> None:
        names = sorted(valid)
        close = nearest(name, names)
        if close:
            suggestion = f"did you mean {' or '.join(close)}?"
        else:
            listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            suggestion = f"valid: {listed}" if names else "there is none"
        super().__init__(f"unknown {kind} {name!r}: {suggestion}{f' {hint}' if hint else ''}")


class InvalidTask(UserError):
    """A task file is malformed; the message names the file and the key."""


class InvalidRecipe(UserError):
    """A training recipe is malformed; the message names the file and the key."""


class InvalidInput(UserError):
    """A file or a value given by the user cannot be used."""


class MissingExtra(UserError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'evalsuite[{extra}]'")


class DataUnavailable(UserError):
    """The rows of a dataset cannot be reached from here."""


class DataMismatch(UserError):
    """Rows were read, but they are not the rows the task file describes."""


class RunMismatch(UserError):
    """A run folder was made with another model, task definition or sampling."""


class SplitViolation(UserError):
    """Something on the development side asked for an unseen task."""


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Put the file at fault in front of the message of a user's mistake that comes to light inside."""
    try:
        yield
    except UserError as problem:
        problem.args = (f"{path}: {problem}",)
        raise


def first_line(problem: BaseException) -> str:
    """Return the first line of what a library says went wrong, or the kind of error where it says nothing."""
    lines = str(problem).strip().splitlines()
    return lines[0] if lines else type(problem).__name__


def nearest(name: str, valid: Iterable[str], count: int = 2) -> list[str]:
    """Return up to ``count`` valid names that look like ``name``, best first."""
    return get_close_matches(name, list(valid), n=count, cutoff=0.6)

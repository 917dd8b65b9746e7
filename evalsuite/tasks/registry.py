"""Tasks by name, by suite and by path. A task file is read when it is asked for, never at import."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from evalsuite.errors import InvalidInput, InvalidTask, SplitViolation, UnknownName, nearest
from evalsuite.split import Split, split_of
from evalsuite.tasks.keys import set_key
from evalsuite.tasks.model import DataSource, Task
from evalsuite.tasks.quirks import split_quirks, switch_quirks

__all__ = [
    "bundled_data",
    "load_suite",
    "load_task",
    "read_task",
    "require_own_data",
    "suite_names",
    "suite_of",
    "task_groups",
    "task_paths",
    "unseen_owner",
]

#: What a task's place says, and its file does not.
_GIVEN = frozenset({"name", "path", "group"})

#: What stands beside a dataset's name: ``owner/name@revision`` in an address, ``datasets--owner--name`` in a cache.
_REVISION_OR_CACHE = re.compile("@|--")


def bundled_data(kind: str) -> Path:
    """Return a folder of bundled data (``tasks``, ``train``, ``leaderboards``): in the wheel, or beside the package."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_data" / kind
    return shipped if shipped.is_dir() else package.parent / kind


def suite_names() -> list[str]:
    """Return the bundled suites, sorted: the folders in ``tasks/``, and every split even while it has no task."""
    folders = {folder.name for folder in bundled_data("tasks").iterdir() if folder.is_dir()}
    return sorted(folders | {str(split) for split in Split})


def suite_of(path: Path) -> str | None:
    """Return the suite a task file belongs to, None for a task of one's own."""
    root = bundled_data("tasks")
    return path.relative_to(root).parts[0] if path.is_relative_to(root) else None


def group_of(path: Path) -> str | None:
    """Return the group a bundled task file belongs to: a folder inside its suite that is not named after a split."""
    root = bundled_data("tasks")
    folders = path.relative_to(root).parts[1:-1] if path.is_relative_to(root) else ()
    return next((name for name in reversed(folders) if name not in set(Split)), None)


def task_groups(suite: str | None = None) -> dict[str, list[str]]:
    """Return the groups of the bundled tasks and their members' names, both sorted.

    A group is one benchmark made of several tasks: its score is the unweighted mean of theirs.
    """
    groups: dict[str, list[str]] = {}
    for name, path in task_paths(suite).items():
        group = group_of(path)
        if group is not None:
            groups.setdefault(group, []).append(name)
    return {group: sorted(groups[group]) for group in sorted(groups)}


def task_paths(suite: str | None = None) -> dict[str, Path]:
    """Return the bundled task files by name, sorted by suite and name."""
    root = bundled_data("tasks")
    if suite is not None and suite not in suite_names():
        raise UnknownName("suite", suite, suite_names())
    return {path.stem: path for path in sorted((root / suite if suite else root).rglob("*.toml"))}


def load_suite(suite: str, overrides: Mapping[str, Any] | None = None) -> list[Task]:
    """Return every task of a suite."""
    return [read_task(path, overrides) for path in task_paths(suite).values()]


def load_task(name: str, overrides: Mapping[str, Any] | None = None) -> Task:
    """Return one task, by bundled name (``"gsm8k"``) or by the path of a TOML file of one's own.

    ``overrides`` maps dotted keys to values: ``{"sampling.max_tokens": 4096}``.

    Raises:
        UnknownName: no such task, or no such key.
        InvalidTask: the file does not say what a task file must say.
    """
    if name.endswith(".toml"):
        return read_task(Path(name), overrides)
    paths = task_paths()
    if name not in paths:
        groups = task_groups()
        if name in groups:
            raise InvalidInput(f"{name} is a group of tasks; name one of them: {', '.join(groups[name])}")
        raise UnknownName("task", name, [*paths, *groups], hint="('evalsuite list' shows all)")
    return read_task(paths[name], overrides)


def read_task(path: Path, overrides: Mapping[str, Any] | None = None) -> Task:
    """Read and validate one task file.

    Raises:
        InvalidTask: it does not say what a task file must say.
        SplitViolation: it brings the data of an unseen task to another side of the wall.
    """
    table = _read_table(path)
    quirks, others = split_quirks(overrides or {})
    switch_quirks(table, quirks, path)
    for key, value in others.items():
        set_key(table, key, value)
    for key in _GIVEN & table.keys():
        raise InvalidTask(f"{path}: unknown key {key!r}: a task is named after its file, and its folder is its split")
    # Absolute, so that the split does not depend on the directory the command was typed in.
    place = path.resolve()
    try:
        task = Task.model_validate({**table, "name": path.stem, "path": place, "group": group_of(place)})
    except ValidationError as problem:
        raise InvalidTask(f"{path}: {explain(problem, Task)}") from problem
    require_own_data(task, task.data.hubs)
    return task


def require_own_data(task: Task, places: Iterable[str]) -> None:
    """Check that a task reads no dataset (any split of it, for docs or exemplars) that a bundled unseen task reads.

    Raises:
        SplitViolation: one of the ``places`` it reads is such a dataset, and the task is not unseen itself.
    """
    if task.split is Split.UNSEEN:
        return
    for place in sorted(places):
        owner = unseen_owner(place)
        if owner is not None:
            raise SplitViolation(
                f"{task.path}: data.hub {place} belongs to the unseen task {owner}: "
                f"a {task.split} task may not use it (to report on it, put the file into a folder called 'unseen')"
            )


def unseen_owner(place: str) -> str | None:
    """Return the bundled unseen task that reads a dataset; ``place`` is its id on the Hub, an address or a path."""
    parts = f"/{posixpath.normpath(_REVISION_OR_CACHE.sub('/', place.casefold()))}/"
    return next((owner for hub, owner in _unseen_datasets().items() if f"/{hub}/" in parts), None)


@cache
def _unseen_datasets() -> Mapping[str, str]:
    """Return the datasets of the bundled unseen tasks (folded case) and the first task that reads each."""
    owners: dict[str, str] = {}
    for name, path in task_paths().items():
        if split_of(path) is Split.UNSEEN:
            data = _read_table(path).get("data", {})
            for hub in _hubs(data):
                owners.setdefault(hub.casefold(), name)
    return MappingProxyType(owners)


def _hubs(data: object) -> frozenset[str]:
    try:
        return DataSource.model_validate(data).hubs
    except ValidationError:  # said when the task itself is read
        return frozenset()


def _read_table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidInput(f"task file {path} cannot be read: {problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InvalidTask(f"{path}: not valid TOML: {problem}") from problem


def explain(problem: ValidationError, model: type[BaseModel]) -> str:
    """Return one validation error in one line: key, what is wrong, nearest valid key.

    An unknown key goes before a missing one, which it may be a misspelling of.
    """
    errors = problem.errors()
    error = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    parts = [str(part) for part in error["loc"]]
    key = ".".join(parts)
    if error["type"] == "extra_forbidden":
        valid = _keys_at(model, parts[:-1])
        close = nearest(parts[-1], valid)
        suggestion = f"did you mean {' or '.join(close)}?" if close else f"valid: {', '.join(valid)}"
        return f"unknown key {key!r}: {suggestion}"
    if error["type"] == "missing":
        return f"missing key {key!r}"
    where = f"{key}: " if key else ""
    more = f" (and {len(errors) - 1} more problems)" if len(errors) > 1 else ""
    return f"{where}{_said(error['msg'], error['input'])}{more}"


def _said(message: str, value: object) -> str:
    """Return what is wrong with a value, without pydantic's words around our own, and with the value beside its own."""
    said = message.removeprefix("Value error, ")
    expected = said.removeprefix("Input ")
    return said if said == expected else f"{expected}, not {value!r:.80}"


def _keys_at(model: type[BaseModel], parents: Sequence[str]) -> list[str]:
    for name in parents:
        field = model.model_fields.get(name)
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return sorted(set(model.model_fields) - _GIVEN) if model is Task else sorted(model.model_fields)

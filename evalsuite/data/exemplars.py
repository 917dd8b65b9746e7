"""Few-shot exemplars, read at run time from where their authors put them; none are bundled."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalsuite.data.lm_eval_files import lm_eval_exemplars
from evalsuite.data.load import Row, hash_rows, load_split
from evalsuite.data.mirror import declared_by
from evalsuite.errors import DataMismatch, InvalidTask, blaming
from evalsuite.prompts.templates import render_text
from evalsuite.tasks.model import Fewshot, Task, leaks

__all__ = ["Exemplars", "load_exemplars"]


@dataclass(frozen=True, slots=True)
class Exemplars:
    """The solved rows of a task: the same for every doc, or for every doc of a subtask."""

    by_subtask: Mapping[str, Sequence[Row]]
    """Under ``""`` when all docs share them."""
    sha256: str | None
    """Content hash of the chosen rows, None when there are none."""
    held_out: frozenset[int] = frozenset()
    """Numbers of the docs that became exemplars, for want of others, and cannot be asked."""

    @property
    def partial(self) -> str:
        """Why these are not the published exemplars, empty when they are."""
        count = len(self.held_out)
        return f"{count} docs became the exemplars, which the mirror declares not to have" if count else ""

    def of(self, subtask: str) -> Sequence[Row]:
        """Return the exemplars of a doc of this subtask."""
        return self.by_subtask.get(subtask, self.by_subtask.get("", ()))


def load_exemplars(task: Task, mirror: Path | None, subtasks: Sequence[str] = ()) -> Exemplars:
    """Return the exemplar rows of a task (eval spec §2.2).

    ``subtasks`` are those of the docs that will be asked; only a task whose exemplars differ by subtask needs them.

    Raises:
        InvalidTask: the source is malformed or has too few rows.
        MissingExtra: the package that ships them is not installed.
        DataMismatch: they are not the rows whose hash the task file states.
    """
    fewshot = task.fewshot
    if fewshot is None or fewshot.shots == 0:
        return Exemplars({}, None)
    if _is_substituted(task, fewshot, mirror):
        return _held_out(task, fewshot, mirror)
    if fewshot.differs_by_subtask:
        chosen = {name: _choose(task, fewshot, rows) for name, rows in _pools(task, fewshot, mirror, subtasks).items()}
    else:
        chosen = {"": _choose(task, fewshot, _pool(task, fewshot.source, mirror))}
    found = hash_rows(row for name in sorted(chosen) for row in chosen[name])
    if fewshot.sha256 is not None and found != fewshot.sha256:
        raise DataMismatch(
            f"{task.name}: the exemplars of {fewshot.source} have changed (hash {found}, {task.path} states "
            f"{fewshot.sha256}); scores would not be comparable; accept them with --set fewshot.sha256={found}"
        )
    return Exemplars(chosen, found)


def _is_substituted(task: Task, fewshot: Fewshot, mirror: Path | None) -> bool:
    kind, _, split = fewshot.source.partition(":")
    if kind != "split" or fewshot.substitute == "none":
        return False
    places = [task.data.place(config) for config in task.data.configs]
    declared = [(declared_by(mirror, hub), inner) for hub, inner in places]
    return all(declaration is not None and declaration.lacks(inner, split) for declaration, inner in declared)


def _held_out(task: Task, fewshot: Fewshot, mirror: Path | None) -> Exemplars:
    rows = load_split(task, task.data.split, mirror)
    numbers = random.Random(fewshot.seed).sample(range(len(rows)), fewshot.shots)
    chosen = [rows[number] for number in numbers]
    return Exemplars({"": chosen}, hash_rows(chosen), frozenset(numbers))


def _choose(task: Task, fewshot: Fewshot, rows: Sequence[Row]) -> list[Row]:
    if len(rows) < max([fewshot.shots, *(number + 1 for number in fewshot.rows)]):
        wanted = f"rows = {fewshot.rows}" if fewshot.rows else f"shots = {fewshot.shots}"
        raise InvalidTask(f"{task.path}: fewshot.{wanted}, but {fewshot.source} has {len(rows)} rows")
    if fewshot.rows:
        return [rows[number] for number in fewshot.rows[: fewshot.shots]]
    if fewshot.order == "first":
        return list(rows[: fewshot.shots])
    return random.Random(fewshot.seed).sample(list(rows), fewshot.shots)


def _pools(task: Task, fewshot: Fewshot, mirror: Path | None, subtasks: Sequence[str]) -> dict[str, list[Row]]:
    names = sorted(set(subtasks))
    if not fewshot.by_subtask:
        where = f"{task.path}: fewshot.source"
        return {name: _pool(task, render_text(fewshot.source, {"subtask": name}, where), mirror) for name in names}
    pools: dict[str, list[Row]] = {name: [] for name in names}
    for row in _pool(task, fewshot.source, mirror):
        if row["subtask"] in pools:
            pools[row["subtask"]].append(row)
    return pools


def _pool(task: Task, source: str, mirror: Path | None) -> list[Row]:
    kind, _, location = source.partition(":")
    match kind:
        case "split":
            if leaks(source, task.data.split) and not (task.fewshot and task.fewshot.rows):
                # Checked with the task file too; a template over the subtask says which split only now.
                raise InvalidTask(f"{task.path}: fewshot.source {source!r} is being evaluated: exemplars would leak")
            return load_split(task, location, mirror)
        case "lm-eval":
            with blaming(task.path):
                return lm_eval_exemplars(location)
        case _:
            raise InvalidTask(f"{task.path}: fewshot.source {source!r} must start with 'split:' or 'lm-eval:'")

"""Rows of a task: from a mirror directory, an installed package, the Hub or a procedural generator."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalsuite.data.folder_cache import folder_cache
from evalsuite.data.hub import hub_errors
from evalsuite.data.hub_file import file_format
from evalsuite.data.mirror import declared_by
from evalsuite.data.prepare import prepare_rows
from evalsuite.data.procedural import generate
from evalsuite.errors import DataMismatch, DataUnavailable, InvalidTask, blaming, first_line
from evalsuite.prompts.templates import render_text, render_value
from evalsuite.tasks.model import DataSource, Task
from evalsuite.tasks.registry import require_own_data

__all__ = ["Doc", "LoadedRows", "Row", "hash_rows", "load_docs", "load_split", "require_in_mirror"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Doc:
    """One row of a dataset as a task sees it; ``id`` is unique within its subtask, ``row`` includes ``subtask``."""

    id: str
    subtask: str
    row: Row


@dataclass(frozen=True, slots=True)
class LoadedRows:
    """The docs of a task and where they came from, for the run's record."""

    docs: list[Doc]
    origin: str
    sha256: str
    """Content hash over all rows, first 16 hex digits."""
    partial: str = ""
    """Why these are not the published rows: a mirror that declares to have fewer, or another version."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one configuration; ``version`` and ``declared`` say what a mirror declares of them."""

    rows: list[Row]
    origin: str
    version: str
    declared: str


def load_docs(task: Task, mirror: Path | None) -> LoadedRows:
    """Return every doc of a task, in dataset order.

    ``mirror`` is a directory with the Hub's layout; it wins over an installed package, which wins over the Hub. Fewer
    rows than published, or another version of them, are taken only from a mirror that declares to have just those (see
    ``evalsuite.data.mirror``), and the docs then say so in ``partial``.

    Raises:
        DataUnavailable: the rows cannot be reached; the message names the ways to provide them.
        DataMismatch: the number of rows is not the published one, or two docs have the same id.
        SplitViolation: the mirror's folder is a dataset of an unseen task under another name.
    """
    parts = [_part(task, config, task.data.split, mirror) for config in task.data.configs]
    docs = [_doc(task, number, row) for part in parts for number, row in enumerate(part.rows)]
    _require_unique(task, docs)
    partial = "; ".join(filter(None, [_missing_rows(task, parts), parts[-1].version]))
    origin = parts[-1].origin + (f" ({partial})" if partial else "")
    return LoadedRows(docs, origin, hash_rows(doc.row for doc in docs), partial)


def load_split(task: Task, split: str, mirror: Path | None) -> list[Row]:
    """Return all rows of another split of the task's dataset, over all its configurations, with their subtasks."""
    return [row for config in task.data.configs for row in _part(task, config, split, mirror).rows]


def require_in_mirror(source: DataSource, mirror: Path) -> None:
    """Check that a mirror has a folder for every dataset of a task, without reading it.

    Raises:
        DataUnavailable: it has not; the message says how to get the data.
    """
    for hub in sorted(source.hubs):
        if not (mirror / hub).is_dir():
            hint = f"; {source.access}" if source.access else ""
            raise DataUnavailable(f"{hub} is not in the mirror {mirror}: add it there, or run without --data{hint}")


def hash_rows(rows: Iterable[Row]) -> str:
    """Return a content hash of rows, independent of column order and of where they were read from."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, default=str, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def _part(task: Task, config: str | None, split: str, mirror: Path | None) -> _Part:
    """Return one configuration's rows as the task wants them, each with its ``subtask``."""
    source = task.data
    hub, inner = source.place(config)
    if mirror is not None and hub is not None:
        require_own_data(task, [os.path.realpath(mirror / hub)])  # whatever it is called there
    found, version = _version(source, config, split, mirror)
    rows, origin = _read(source, config, found, mirror)
    declaration = declared_by(mirror, hub)
    declared = declaration.completeness if declaration and declaration.is_part(inner, found, len(rows)) else ""
    return _Part(_prepared(task, config, rows), origin, version, declared)


def _version(source: DataSource, config: str | None, split: str, mirror: Path | None) -> tuple[str, str]:
    """Return the split to read, and a remark when the mirror declares to have only another version."""
    hub, inner = source.place(config)
    declaration, other = declared_by(mirror, hub), source.mirror_split
    if split != source.split or other is None or declaration is None or not declaration.lacks(inner, split):
        return split, ""
    return other, f"version {other} instead of {split}, which the mirror declares not to have"


def _prepared(task: Task, config: str | None, rows: list[Row]) -> list[Row]:
    source = task.data
    if source.where is not None:
        kept = [row for row in rows if render_value(source.where, row, f"{task.path}: data.where")]
        if rows and not kept:
            raise DataMismatch(f"{task.path}: data.where is true of none of the {len(rows)} rows")
        rows = kept
    if source.columns:
        rows = [{name: row[name] for name in source.columns if name in row} for row in rows]
    if source.prepare is not None:
        with blaming(task.path):
            rows = prepare_rows(source.prepare, rows)
    own = config if isinstance(source.config, list) and config else ""
    where = f"{task.path}: data.subtask"
    subtasks = [own if source.subtask is None else render_text(source.subtask, row, where) for row in rows]
    added = {subtask: _subtask_columns(task, subtask) for subtask in set(subtasks)}
    return [{**row, **added[subtask], "subtask": subtask} for row, subtask in zip(rows, subtasks, strict=True)]


def _subtask_columns(task: Task, subtask: str) -> dict[str, str]:
    columns = {}
    for name, values in task.data.subtask_columns.items():
        value = values.get(subtask, values.get(""))
        if value is None:
            raise InvalidTask(f"{task.path}: data.subtask_columns.{name} has nothing for the subtask {subtask!r}")
        columns[name] = value
    return columns


def _missing_rows(task: Task, parts: Sequence[_Part]) -> str:
    """Return a remark when there are fewer rows than published and the mirror declares that.

    Raises:
        DataMismatch: it does not, or there are more.
    """
    found, published = sum(len(part.rows) for part in parts), task.data.rows
    if found == published:
        return ""
    if found < published and all(part.declared or part.version for part in parts):
        return f"{found:,} of {published:,} rows, as the mirror declares: {parts[-1].declared}"
    raise DataMismatch(
        f"{task.name}: {parts[-1].origin} has {found} rows, {task.path} promises {published}; "
        f"accept them with --set data.rows={found}"
    )


def _doc(task: Task, number: int, row: Row) -> Doc:
    doc_id = str(number) if task.data.id is None else render_text(task.data.id, row, f"{task.path}: data.id")
    return Doc(doc_id, row["subtask"], row)


def _require_unique(task: Task, docs: Sequence[Doc]) -> None:
    seen: set[str] = set()
    for doc in docs:
        name = "/".join(filter(None, [doc.subtask, doc.id]))  # as in a request's id
        if name in seen:
            raise DataMismatch(f"{task.name}: two docs have the id {name!r}; change data.id in {task.path}")
        seen.add(name)


def _read(source: DataSource, config: str | None, split: str, mirror: Path | None) -> tuple[list[Row], str]:
    if source.generator is not None:
        return generate(source.generator, source.params), f"generator {source.generator}"
    hub, inner = source.place(config)
    if mirror is not None:
        require_in_mirror(source, mirror)
        return _load_dataset(source, str(mirror / str(hub)), inner, split), f"mirror {source.label}"
    packaged = _package_file(source)
    if packaged is not None:
        return _read_jsonl(packaged), f"package {source.package}"
    file = source.file_of(config, split)
    if file is None:
        rows = _load_dataset(source, str(hub), inner, split, revision=source.revision)
    else:
        rows = _load_dataset(source, file_format(file), None, split, data_files={split: file})
    return rows, f"hub {source.label}@{source.revision or 'main'}"


def _load_dataset(source: DataSource, path: str, config: str | None, split: str, **options: Any) -> list[Row]:
    import datasets

    datasets.disable_progress_bars()
    try:
        return list(datasets.load_dataset(path, config, split=split, **options, **folder_cache(path)))
    except hub_errors() as problem:
        name = " ".join(filter(None, [*options.get("data_files", {path: path}).values(), config, split]))
        raise DataUnavailable(
            f"dataset {name} cannot be loaded ({first_line(problem)[:200]}): give a mirror directory with the Hub's "
            "layout (--data DIR or EVALSUITE_DATA), or connect to the Hub"
            f"{f'; {source.access}' if source.access else ''}"
        ) from problem


def _package_file(source: DataSource) -> Path | None:
    if source.package is None:
        return None
    module, _, inside = source.package.partition(":")
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / inside


def _read_jsonl(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]

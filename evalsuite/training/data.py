"""Training rows: from generators, the Hub or a mirror, local files and tasks; one source or a mix. No model is needed.

Nothing here lets evaluation data of the unseen side through: a source that is an unseen task, or a dataset that one
reads (any split of it), is a :class:`~evalsuite.errors.SplitViolation`.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.data.demo_training import TRAINING_GENERATORS, generate_training
from evalsuite.data.folder_cache import folder_cache
from evalsuite.data.hub import hub_errors
from evalsuite.data.hub_file import file_address, file_format
from evalsuite.data.load import Row, hash_rows, load_docs
from evalsuite.data.procedural import GENERATORS
from evalsuite.errors import DataMismatch, DataUnavailable, InvalidInput, InvalidRecipe, SplitViolation, first_line
from evalsuite.prompts.messages import ChatPrompt
from evalsuite.prompts.render import render_prompt, render_target
from evalsuite.prompts.templates import render_value
from evalsuite.split import Split, split_of
from evalsuite.tasks.registry import load_task, unseen_owner
from evalsuite.training.dialogues import split_dialogue
from evalsuite.training.recipe import Recipe, Source, TrainingData

__all__ = ["LoadedData", "load_data", "prompt_text"]


@dataclass(frozen=True, slots=True)
class LoadedData:
    """Rows with the columns a stage asks for, where they came from, and their content hash (16 hex digits)."""

    rows: Sequence[Row]
    sources: Sequence[str]
    sha256: str


def load_data(recipe: Recipe, name: str, mirror: Path | None) -> LoadedData:
    """Return the training rows of a recipe called ``name``.

    Raises:
        SplitViolation: a source is on the unseen side, or makes evaluation prompts.
        DataUnavailable: a dataset can be reached neither in the mirror nor on the Hub.
        DataMismatch: there are more or fewer rows than promised, or they lack the columns the stage needs.
        InvalidRecipe: templates or shares make no sense.
    """
    table = recipe.data
    where = f"recipe {name}: data"
    sources = [table] if table.mix is None else list(table.mix)
    parts = [_rows(source, where, mirror, recipe.seed + number) for number, source in enumerate(sources)]
    rows = parts[0] if table.mix is None else _mixed(table, sources, parts, where, recipe.seed)
    if len(rows) != table.rows:
        raise DataMismatch(
            f"{where}: {' + '.join(describe(source) for source in sources)} made {len(rows)} rows, data.rows promises "
            f"{table.rows}; accept them with --set data.rows={len(rows)}"
        )
    _require_columns(recipe, rows, where)
    return LoadedData(rows, [describe(source) for source in sources], hash_rows(rows))


def describe(source: Source) -> str:
    """Return a source in a few words, for cards and messages."""
    if source.generator is not None:
        return f"generator {source.generator}"
    if source.hub is not None:
        return " ".join(filter(None, [source.hub, source.config, source.split or "train"]))
    return f"task {source.task}" if source.task is not None else f"file {Path(source.file or '').name}"


def prompt_text(row: Row) -> str:
    """Return what of a training row is prompt: the user's turns (eval spec §8), or a text that has no turns."""
    said: Any = next((row[name] for name in ("messages", "prompt", "chosen", "text") if name in row), "")
    if isinstance(said, str):
        return said
    return "\n".join(turn["content"] for turn in said if turn["role"] == "user")


def _rows(source: Source, where: str, mirror: Path | None, seed: int) -> list[Row]:
    """Return a source's rows as the recipe wants them.

    One is read at a time: CodeContests has gigabytes of programs in other languages, which no row keeps.
    """
    rows = [made for row in _read(source, where, mirror) if (made := _made(source, row, where)) is not None]
    if source.take is not None:
        if source.take > len(rows):
            raise DataMismatch(f"{where}: take = {source.take}, but {describe(source)} has {len(rows)} rows")
        rows = random.Random(seed).sample(rows, source.take)
    return rows


def _made(source: Source, row: Row, where: str) -> Row | None:
    """Return what training gets of a row, None where the source leaves it out."""
    if source.parse is not None:
        row = row | {column: _parsed(row, column, where) for column in source.parse}
    if source.layout == "hh":
        row = split_dialogue(row, where)
    if source.where is not None and not _render(source.where, row, f"{where}.where"):
        return None
    if source.columns is None:
        return row
    return {name: _render(template, row, f"{where}.columns.{name}") for name, template in source.columns.items()}


def _read(source: Source, where: str, mirror: Path | None) -> Iterable[Row]:
    if source.generator is not None:
        return _generated(source, where)
    if source.task is not None:
        return _task_rows(source.task, where, mirror)
    if source.file is not None:
        return _file_rows(Path(source.file), where)
    return _hub_rows(source, where, mirror)


def _generated(source: Source, where: str) -> list[Row]:
    if source.generator in GENERATORS:
        raise SplitViolation(
            f"{where}.generator {source.generator!r} makes evaluation prompts; "
            f"for training there are {', '.join(TRAINING_GENERATORS)}"
        )
    return generate_training(source.generator or "", source.params)


def _task_rows(name: str, where: str, mirror: Path | None) -> list[Row]:
    task = load_task(name)
    if task.split == Split.UNSEEN:
        raise SplitViolation(f"{where}.task {name!r} is an unseen task: it may be reported on, never trained on")
    rows = []
    for doc in load_docs(task, mirror).docs:
        prompt = render_prompt(task, doc.row, [], chat=True)
        said = (
            [{"role": turn.role, "content": turn.content} for turn in prompt.messages]
            if isinstance(prompt, ChatPrompt)
            else prompt.text
        )
        rows.append({"prompt": said, "reference": render_target(task, doc.row), "task": task.name, "id": doc.id})
    return rows


def _file_rows(path: Path, where: str) -> list[Row]:
    if split_of(path.resolve()) == Split.UNSEEN:
        raise SplitViolation(f"{where}.file {path} lies in a folder called 'unseen': it may not be trained on")
    _require_own_data(os.path.realpath(path), f"{where}.file {path}")
    rows = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    rows.append(json.loads(line))
                    if not isinstance(rows[-1], dict):
                        raise InvalidInput(f"{where}.file {path}:{number}: not a JSON object")
    except OSError as problem:
        raise InvalidInput(f"{where}.file {path} cannot be read: {problem.strerror}") from problem
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"{where}.file {path}:{len(rows) + 1}: not valid JSON: {problem}") from problem
    return rows


def _hub_rows(source: Source, where: str, mirror: Path | None) -> Iterable[Row]:
    import datasets

    dataset, split = source.hub or "", source.split or "train"
    path, config, options = dataset, source.config, dict[str, Any](revision=source.revision)
    if mirror is not None and (mirror / dataset).is_dir():
        path, options = os.path.realpath(mirror / dataset), {}
    for place in (dataset, path):
        _require_own_data(place, f"{where}.hub {dataset}")
    if path == dataset and source.hub_file is not None:
        file = file_address(dataset, source.hub_file, config=config, split=split, revision=source.revision)
        path, config, options = file_format(file), None, {"data_files": {split: file}}
    datasets.disable_progress_bars()
    try:
        rows: Iterable[Row] = datasets.load_dataset(path, config, split=split, **options, **folder_cache(path))
        return rows
    except hub_errors() as problem:
        raise DataUnavailable(
            f"{where}: dataset {describe(source)} cannot be loaded ({first_line(problem)[:200]}): give a mirror "
            f"directory with the Hub's layout (--data DIR or EVALSUITE_DATA), or connect to the Hub"
        ) from problem


def _require_own_data(place: str, what: str) -> None:
    """Check that no unseen task reads this dataset, under whatever path its copy lies."""
    owner = unseen_owner(place)
    if owner is not None:
        raise SplitViolation(f"{what} belongs to the unseen task {owner}: it may not be trained on")


def _parsed(row: Row, column: str, where: str) -> Any:
    """Return what a column of JSON text says; an empty text says nothing."""
    try:
        return json.loads(row[column], parse_int=_integer) if row[column] else None
    except (KeyError, TypeError, json.JSONDecodeError) as problem:
        raise DataMismatch(f"{where}.parse: column {column!r} holds no JSON text in some row ({problem})") from problem


def _integer(digits: str) -> int | str:
    """Return a number of JSON text, or its digits where Python refuses to count so far (APPS has 9,131 in one)."""
    try:
        return int(digits)
    except ValueError:
        return digits


def _render(template: str, row: Row, where: str) -> Any:
    return render_value(template, row, where)


def _mixed(
    table: TrainingData, sources: Sequence[Source], parts: Sequence[list[Row]], where: str, seed: int
) -> list[Row]:
    """Return the rows of all sources, shuffled: all of each, or where they have weights, each its share."""
    weights = [source.weight for source in sources]
    if any(weight is not None for weight in weights):
        free = table.rows - sum(len(part) for part, weight in zip(parts, weights, strict=True) if weight is None)
        if free <= 0:
            raise InvalidRecipe(f"{where}: the sources without a weight leave no rows of {table.rows} for the others")
        parts = _shares(parts, weights, free, random.Random(seed))
    rows = [row for part in parts for row in part]
    random.Random(seed).shuffle(rows)
    return rows


def _shares(
    parts: Sequence[list[Row]], weights: Sequence[float | None], free: int, rng: random.Random
) -> list[list[Row]]:
    """Give every weighted source its share of ``free`` rows, the rounding going to the first ones."""
    total = sum(weight or 0.0 for weight in weights)
    counts = [int(free * (weight or 0.0) / total) for weight in weights]
    for index in [i for i, weight in enumerate(weights) if weight is not None][: free - sum(counts)]:
        counts[index] += 1
    return [
        part if weight is None else _drawn(part, count, rng)
        for part, weight, count in zip(parts, weights, counts, strict=True)
    ]


def _drawn(rows: Sequence[Row], count: int, rng: random.Random) -> list[Row]:
    """Return ``count`` rows: the whole source as often as it fits, and a sample of it for the rest."""
    if not rows:
        return []
    whole, rest = divmod(count, len(rows))
    return [*rows] * whole + rng.sample(list(rows), rest)


def _require_columns(recipe: Recipe, rows: Sequence[Row], where: str) -> None:
    wanted = recipe.columns
    present = set.intersection(*(set(row) for row in rows)) if rows else set()
    if wanted and not any(set(names) <= present for names in wanted):
        ways = " or ".join(" + ".join(names) for names in wanted)
        raise DataMismatch(
            f"{where}: stage {recipe.stage!r} needs the columns {ways}; the rows have "
            f"{', '.join(sorted(present)) or 'none'} (data.columns makes new ones from templates)"
        )

"""Leaderboards as CSV: one row a model, merged from runs; ``dev.csv`` and ``unseen.csv``."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evalsuite.errors import InvalidInput
from evalsuite.leaderboard.rows import BOARDS, RunRows, TaskCell
from evalsuite.runs.folder import write_atomically
from evalsuite.split import Split, split_of
from evalsuite.tasks.registry import suite_names, suite_of, task_paths

__all__ = ["board_columns", "merge", "read_board", "write_boards"]

Row = dict[str, str]

_WHO = ("model", "date")
_HOW = ("status", "engine", "task_set", "git_commit", "evalsuite", "model_hash")
_COMPLETE = "complete"
_CELL_SUFFIXES = ("", "_stderr", "_n", "_task_hash")


def write_boards(runs: Sequence[RunRows], directory: Path) -> list[Path]:
    """Merge runs into the boards of a directory and return the files that now hold them.

    A model's row keeps the tasks that these runs do not have; merging the same runs twice changes nothing.
    """
    written = []
    for board in BOARDS:
        if any(run.cells[board] for run in runs):
            path = directory / f"{board}.csv"
            rows = merge(read_board(path), runs, board)
            write_atomically(path, _to_csv(rows, board))
            written.append(path)
    return written


def read_board(path: Path) -> list[Row]:
    """Return the rows of a board, none when there is no file.

    Raises:
        InvalidInput: the file is not a board.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = {*_WHO, *_HOW} - set(reader.fieldnames or ())
        if missing:
            raise InvalidInput(f"{path} is not a leaderboard: it has no column {min(missing)!r}")
        return [{key: value or "" for key, value in row.items() if key} for row in reader]


def merge(rows: Iterable[Row], runs: Iterable[RunRows], board: Split) -> list[Row]:
    """Return rows with the runs' cells put in, sorted by model."""
    by_model = {(row["model"], row["model_hash"]): dict(row) for row in rows}
    for run in runs:
        if run.cells[board]:
            row = by_model.setdefault((run.model, run.model_hash), {})
            new = _without_lesser_cells(run, row, board)
            row.update(_cells(new, board))
            row.update(_about(new) | {"status": _status(row.get("status", ""), new)})
    for row in by_model.values():
        row["task_set"] = _task_set(row)
        row.update(_averages(row, board))
    return [by_model[key] for key in sorted(by_model)]


def board_columns(rows: Sequence[Mapping[str, str]], board: Split) -> list[str]:
    """Return the columns in their stable order: who, averages, tasks by name, how."""
    tasks = sorted({task for row in rows for task in _tasks_of(row)})
    cells = [f"{task}{suffix}" for task in tasks for suffix in _CELL_SUFFIXES]
    averages = [f"average_{suite}" for suite in _suites(board) if any(row.get(f"average_{suite}") for row in rows)]
    return [*_WHO, *averages, *cells, *_HOW]


def _cells(run: RunRows, board: Split) -> Row:
    cells: Row = {}
    for cell in run.cells[board]:
        values = (f"{cell.score:.2f}", f"{cell.stderr:.2f}", str(cell.n), cell.task_hash)
        cells.update({f"{cell.task}{suffix}": value for suffix, value in zip(_CELL_SUFFIXES, values, strict=True)})
    return cells


def _without_lesser_cells(run: RunRows, row: Mapping[str, str], board: Split) -> RunRows:
    """Return the run without tasks that the row has on more docs already: a quick look never replaces a whole run."""

    def is_lesser(cell: TaskCell) -> bool:
        same = row.get(f"{cell.task}_task_hash") == cell.task_hash
        return same and int(row.get(f"{cell.task}_n") or 0) > cell.n

    lesser = tuple(f"{cell.task} " for cell in run.cells[board] if is_lesser(cell))
    kept = tuple(cell for cell in run.cells[board] if not is_lesser(cell))
    problems = tuple(problem for problem in run.problems if not (lesser and problem.startswith(lesser)))
    return replace(run, cells={**run.cells, board: kept}, problems=problems)


def _about(run: RunRows) -> Row:
    return {
        "model": run.model,
        "date": run.date,
        "engine": run.engine,
        "git_commit": run.git_commit,
        "evalsuite": run.evalsuite,
        "model_hash": run.model_hash,
    }


def _status(before: str, run: RunRows) -> str:
    """Return the run's problems and those of the tasks the row keeps: a good run does not mend another task."""
    renewed = tuple(f"{cell.task} " for cells in run.cells.values() for cell in cells)
    kept = [part for part in before.split("; ") if part not in ("", _COMPLETE) and not part.startswith(renewed)]
    return "; ".join(sorted({*kept, *run.problems})) or _COMPLETE


def _tasks_of(row: Mapping[str, str]) -> list[str]:
    suffix = "_task_hash"
    return [key.removesuffix(suffix) for key, value in row.items() if key.endswith(suffix) and value]


def _task_set(row: Mapping[str, str]) -> str:
    hashes = sorted(f"{task}={row[f'{task}_task_hash']}" for task in _tasks_of(row))
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:8]


def _averages(row: Mapping[str, str], board: Split) -> Row:
    """Return the unweighted mean over each suite's tasks on this board, empty unless the row has them all."""
    averages = {}
    for suite, tasks in _suites(board).items():
        scores = [float(row[task]) for task in tasks if row.get(task)]
        averages[f"average_{suite}"] = f"{sum(scores) / len(tasks):.2f}" if len(scores) == len(tasks) else ""
    return averages


def _suites(board: Split) -> dict[str, list[str]]:
    suites: dict[str, list[str]] = {name: [] for name in suite_names()}
    for name, path in task_paths().items():
        if split_of(path) == board:
            suites[str(suite_of(path))].append(name)
    return {suite: tasks for suite, tasks in suites.items() if tasks}


def _to_csv(rows: Sequence[Row], board: Split) -> str:
    columns = board_columns(rows, board)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

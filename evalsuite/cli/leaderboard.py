"""``evalsuite leaderboard``: runs → CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalsuite.cli.console import Column, print_table, say
from evalsuite.errors import InvalidInput

__all__ = ["leaderboard"]


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    output: Annotated[Path, typer.Option(help="Directory of dev.csv and unseen.csv.")] = Path("leaderboards"),
    publish: Annotated[
        bool, typer.Option("--publish", help="Refuse runs that are unfinished, limited or have errors.")
    ] = False,
) -> None:
    """Merge runs into dev.csv and unseen.csv, one row a model.

    Scores are on a 0–100 scale. A row that is not complete says why in its "status" column.

    Examples:

        evalsuite leaderboard runs/demo-* --output boards

        evalsuite leaderboard runs/my-model-dev-1a2b3c4d --publish
    """
    from evalsuite.leaderboard.board import read_board, write_boards
    from evalsuite.leaderboard.rows import read_run

    rows = [read_run(run) for run in runs]
    if publish:
        for row in rows:
            if row.problems:
                raise InvalidInput(f"{row.folder} is not publishable: {'; '.join(row.problems)}")
    written = write_boards(rows, output)
    if not written:
        raise InvalidInput("these runs have no scored development or unseen task")
    for path in written:
        _print_board(path.stem, read_board(path))
        say(f"wrote {path}")


def _print_board(title: str, rows: list[dict[str, str]]) -> None:
    """Print models against scores; the CSV has everything else."""
    suffix = "_task_hash"
    names = [key.removesuffix(suffix) for key in rows[0] if key.endswith(suffix)]
    averages = [key for key in rows[0] if key.startswith("average_")]
    columns = [Column("model"), *(Column(name.replace("_", " "), "right", wrap=True) for name in [*averages, *names])]
    cells = [[row["model"], *(row[key] for key in averages), *(_score(row, name) for name in names)] for row in rows]
    print_table(title, columns, cells)


def _score(row: dict[str, str], task: str) -> str:
    return f"{row[task]} ± {row[f'{task}_stderr']}" if row[task] else ""

"""``metrics.jsonl`` and its mirrors in TensorBoard and W&B."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from evalsuite.errors import EvalsuiteError, InvalidInput, first_line
from evalsuite.runs.folder import write_atomically
from evalsuite.training.stage import Step

__all__ = ["MetricsLog", "Sink", "append_rows", "drop_rows_after", "open_sinks", "read_rows"]

#: Package and what it takes to write there.
_PACKAGES = (("tensorboard", "tensorboard"), ("wandb", "wandb"))


class Sink(Protocol):
    """Somewhere metrics go beside the file."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one step."""

    def close(self) -> None:
        """Write what is left."""


class MetricsLog:
    """Writes every step as one line, flushed, and into the sinks."""

    def __init__(self, path: Path, sinks: Sequence[Sink]) -> None:
        self._path = path
        self._sinks = sinks

    def write(self, step: Step) -> None:
        """Append one step.

        Raises:
            EvalsuiteError: its loss is no number any more.
        """
        row = step.to_json()
        append_rows(self._path, [row])
        for sink in self._sinks:
            sink.write(step.step, flat(row))
        if not math.isfinite(step.loss):
            raise EvalsuiteError(f"the loss is {step.loss} at step {step.step}: lower optimizer.learning_rate")

    def close(self) -> None:
        """Close the sinks."""
        for sink in self._sinks:
            sink.close()


def flat(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row under names such as ``solved/math``; NaN and infinity are left out."""
    values: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            values |= {f"{name}/{key}": number for key, number in flat(value).items()}
        elif isinstance(value, int | float) and math.isfinite(value) and name != "step":
            values[name] = float(value)
    return values


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append JSON lines; a torn last line of an earlier crash is dropped by :func:`read_rows`."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_lines(rows))


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file; nothing where there is none, without a torn last line."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def drop_rows_after(path: Path, step: int) -> None:
    """Forget rows of steps that will be taken again, and a torn last line."""
    kept = [row for row in read_rows(path) if row["step"] <= step]
    write_atomically(path, _lines(kept))


def open_sinks(
    wanted: Sequence[str], folder: Path, name: str, config: Mapping[str, Any], *, after: int = 0
) -> list[Sink]:
    """Return the sinks a recipe asks for; a run that goes on after step ``after`` goes on there as well.

    Raises:
        InvalidInput: one of them is not installed, or cannot be written to.
    """
    for package, install in _PACKAGES:
        if package in wanted and find_spec(package) is None:
            raise InvalidInput(f"log.to = {package!r}: {package} is not installed (pip install {install})")
    sinks: list[Sink] = []
    if "tensorboard" in wanted:
        sinks.append(_TensorBoard(folder / "tensorboard", after))
    if "wandb" in wanted:
        sinks.append(_Wandb(folder, name, config))
    return sinks


class _TensorBoard:
    def __init__(self, folder: Path, after: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What an interrupted run wrote of steps that are taken again is not shown.
        self._writer = SummaryWriter(str(folder), purge_step=after + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """One W&B run a folder: its id is kept there, and a resumed training goes on in it."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        import wandb

        kept = folder / "wandb-run-id.txt"
        if not kept.is_file():
            write_atomically(kept, secrets.token_hex(4) + "\n")
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "evalsuite"),
                id=kept.read_text(encoding="utf-8").strip(),
                name=name,
                dir=str(folder),
                config=dict(config),
                resume="allow",
                settings=wandb.Settings(console="off"),  # the terminal is the live display's
            )
        except wandb.Error as problem:
            reason = first_line(problem).rstrip(".")
            raise InvalidInput(
                f"log.to = 'wandb': {reason}; or set WANDB_MODE=offline and sync later. Then go on with --resume"
            ) from problem
        # An axis of our own: W&B's counts calls and takes no step twice, as a run that goes on does.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def close(self) -> None:
        self._run.finish()

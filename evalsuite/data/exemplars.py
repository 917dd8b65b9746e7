"""Few-shot exemplars, read at run time from where their authors put them; none are bundled."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalsuite.data.load import Row, hash_rows, load_split
from evalsuite.errors import DataMismatch, InvalidTask, MissingExtra
from evalsuite.tasks.model import Fewshot, Task

__all__ = ["load_exemplars"]


def load_exemplars(task: Task, mirror: Path | None) -> list[Row]:
    """Return the exemplar rows of a task, the same for every doc (eval spec §2.2).

    Raises:
        InvalidTask: the source is malformed or has too few rows.
        MissingExtra: the package that ships them is not installed.
        DataMismatch: they are not the rows whose hash the task file states.
    """
    fewshot = task.fewshot
    if fewshot is None or fewshot.shots == 0:
        return []
    rows = _pool(task, fewshot, mirror)
    if len(rows) < fewshot.shots:
        raise InvalidTask(f"{task.path}: fewshot.shots = {fewshot.shots}, but {fewshot.source} has {len(rows)} rows")
    chosen = _choose(rows, fewshot)
    found = hash_rows(chosen)
    if fewshot.sha256 is not None and found != fewshot.sha256:
        raise DataMismatch(
            f"{task.name}: the exemplars of {fewshot.source} have changed (hash {found}, {task.path} states "
            f"{fewshot.sha256}); scores would not be comparable; accept them with --set fewshot.sha256={found}"
        )
    return chosen


def _choose(rows: list[Row], fewshot: Fewshot) -> list[Row]:
    if fewshot.order == "first":
        return rows[: fewshot.shots]
    return random.Random(fewshot.seed).sample(rows, fewshot.shots)


def _pool(task: Task, fewshot: Fewshot, mirror: Path | None) -> list[Row]:
    kind, _, location = fewshot.source.partition(":")
    match kind:
        case "split":
            return load_split(task, location, mirror)
        case "lm-eval":
            return _lm_eval_samples(location)
        case _:
            raise InvalidTask(f"{task.path}: fewshot.source {fewshot.source!r} must start with 'split:' or 'lm-eval:'")


def _lm_eval_samples(location: str) -> list[Row]:
    import yaml

    spec = find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("lm-eval", "lm-eval", f"reading the exemplars in lm-eval's {location}")
    path = Path(spec.submodule_search_locations[0]) / "tasks" / location
    if not path.is_file():
        raise InvalidTask(f"fewshot.source: the installed lm-eval has no file tasks/{location}")
    samples = yaml.load(path.read_text(encoding="utf-8"), Loader=_plain_loader())["fewshot_config"]["samples"]
    return [dict(sample) for sample in samples]


def _plain_loader() -> type[Any]:
    """Return a YAML loader that reads lm-eval's ``!function`` tags as text and never imports them."""
    import yaml

    class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML is untyped
        """Reads unknown tags as plain text."""

    PlainLoader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    return PlainLoader

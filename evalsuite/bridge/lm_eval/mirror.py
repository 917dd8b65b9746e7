"""lm-eval's datasets from a mirror with the Hub's layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evalsuite.data.folder_cache import folder_cache
from evalsuite.data.mirror import declared_by
from evalsuite.errors import DataUnavailable, InvalidInput

__all__ = ["declared_parts", "read_datasets_from"]

_ALIASES = (
    ("SaylorTwift/bbh", "lukaemon/bbh"),
    ("gsm8k", "openai/gsm8k"),
    ("hails/mmlu_no_train", "cais/mmlu"),
    ("truthful_qa", "truthfulqa/truthful_qa"),
    ("wis-k/instruction-following-eval", "google/IFEval"),
)
"""Copies on the Hub of datasets that a mirror may hold under their first name."""

_FORMATS = frozenset({"arrow", "csv", "json", "pandas", "parquet", "text", "xml"})
_COMPLETE = "complete"


def declared_parts(mirror: Path | None, datasets: Iterable[str]) -> str:
    """Return what a mirror declares of datasets that it does not have whole, empty when it has.

    lm-eval does not state how many rows a task has, so whatever is said to be missing counts.
    """
    found = {}
    for dataset in datasets:
        for name in _names(dataset):
            declared = declared_by(mirror, name)
            if declared is not None and declared.completeness != _COMPLETE:
                found[name] = f"{name}: {declared.completeness}"
    return "; ".join(found.values())


def read_datasets_from(mirror: str | None) -> None:
    """Make every ``datasets.load_dataset`` of this process read the mirror, whichever of lm-eval's code calls it."""
    import datasets

    original = getattr(datasets.load_dataset, "__wrapped__", datasets.load_dataset)

    class Partial(datasets.DatasetDict):  # type: ignore[misc]
        """Splits of a mirror; one that it does not have is empty, since lm-eval reads some that it never uses."""

        def __missing__(self, split: str) -> Any:
            return next(iter(self.values())).select([])

    def load_dataset(path: str | None, *args: Any, **kwargs: Any) -> Any:
        if path is None:
            raise InvalidInput("a task names no dataset_path: does a group name a task that does not exist?")
        if mirror is None:
            return original(path, *args, **(kwargs | folder_cache(path)))
        for key in ("download_mode", "revision"):  # a mirror is read as it stands
            kwargs.pop(key, None)
        place = _place(str(path), Path(mirror))
        found = original(place, *args, **(kwargs | folder_cache(place)))
        return Partial(found) if isinstance(found, datasets.DatasetDict) else found

    load_dataset.__wrapped__ = original  # type: ignore[attr-defined]
    datasets.load_dataset = load_dataset


def _place(path: str, mirror: Path) -> str:
    if path in _FORMATS or Path(path).exists():
        return path
    for name in _names(path):
        if (mirror / name).is_dir():
            return str(mirror / name)
    raise DataUnavailable(f"{path} is not in the mirror {mirror}: add it there, or run without --data")


def _names(dataset: str) -> list[str]:
    return [dataset, *(first for copy, first in _ALIASES if copy == dataset)]

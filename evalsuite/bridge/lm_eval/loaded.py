"""lm-eval's task objects, built once and kept. Runs in lm-eval's process.

Seeds are those of lm-eval's ``simple_evaluate``, set before every name is loaded, so that tasks which shuffle with the
global generator are the same whatever was loaded before.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evalsuite.bridge.lm_eval.find import Registry, find_entry, tasks_folder
from evalsuite.bridge.lm_eval.mirror import read_datasets_from
from evalsuite.bridge.lm_eval.options import LmEvalOptions
from evalsuite.bridge.lm_eval.wire import DocKey, LeafInfo, Source, UnitInfo, WireDoc
from evalsuite.errors import InvalidInput

__all__ = ["Leaf", "Unit", "describe", "load", "row_hash"]

_RANDOM_SEED, _NUMPY_SEED = 0, 1234
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_LIKELIHOOD_METRICS = MappingProxyType({"loglikelihood": "acc", "multiple_choice": "exact_match"})
"""Per output type the metric that asks whether a continuation is greedy."""


@dataclass
class Leaf:
    """One task of lm-eval's, its docs, and what has been scored so far."""

    task: Any
    scored: dict[DocKey, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Filter → metrics as ``process_results`` returned them."""

    @property
    def name(self) -> str:
        """lm-eval's name of it."""
        return str(self.task.task_name)

    @cached_property
    def docs(self) -> list[Any]:
        """Every doc; read once, since a task may shuffle each time it is asked."""
        return [doc for _, doc in self.task.doc_iterator(rank=0, limit=None, world_size=1)]

    @cached_property
    def hashes(self) -> list[str]:
        """Content hash of every doc."""
        return [row_hash(doc) for doc in self.docs]

    @property
    def has_own_scoring(self) -> bool:
        """Whether a Python function of the task's makes metrics of answers."""
        return callable(self.task.get_config("process_results")) or not hasattr(self.task, "_metric_fn_list")

    @property
    def filters(self) -> list[str]:
        """The names under which answers are judged, in lm-eval's order."""
        return [ensemble.name for ensemble in getattr(self.task, "_filters", [])] or ["none"]

    @property
    def metrics(self) -> list[str]:
        """Return ``"metric,filter"``, metrics that are better when higher first, filters in lm-eval's order."""
        higher = self.task.higher_is_better()
        names = sorted(self.task.aggregation(), key=lambda name: not higher.get(name, True))
        return [f"{name},{filter_name}" for name in names for filter_name in self.filters]


@dataclass
class Unit:
    """What becomes one row of results: a task alone, or a group that lm-eval aggregates."""

    name: str
    leaves: dict[str, Leaf]
    group: Any = None
    rendered: list[WireDoc] = field(default_factory=list)

    @property
    def metrics(self) -> list[str]:
        """Return ``"metric,filter"``, of a group those that it aggregates."""
        if self.group is None:
            return next(iter(self.leaves.values())).metrics
        wanted = [config.metric for config in self.group.aggregate_metric_list]
        found = dict.fromkeys(name for leaf in self.leaves.values() for name in leaf.metrics)
        return [name for metric in wanted for name in found if name.rpartition(",")[0] == metric] or list(found)


@cache
def load(source: Source) -> dict[str, Unit]:
    """Return the units a name stands for: itself, the tasks of a tag, or the parts of a group without a score."""
    _be_quiet()
    import numpy as np
    from lm_eval.tasks._factory import TaskFactory

    options = LmEvalOptions.model_validate_json(source.options)
    read_datasets_from(source.mirror)
    random.seed(_RANDOM_SEED)
    np.random.seed(_NUMPY_SEED)
    registry = Registry(tasks_folder(), _own_folder(source.name, options))
    entry = find_entry(source.name, registry)
    if (entry.cfg or {}).get("unsafe_code"):  # before its metric is built, which loads the code that runs programs
        _require_confirmation(source.name, options)
    built = TaskFactory(meta=dict(options.metadata)).build(entry, overrides=None, registry=registry)
    units = {unit.name: unit for unit in _units(built)}
    for unit in units.values():
        for leaf in unit.leaves.values():
            _configure(leaf, options)
    return units


def describe(source: Source) -> list[UnitInfo]:
    """Load a name and tell what it stands for."""
    return [
        UnitInfo(
            name=unit.name,
            title=str(getattr(unit.group, "alias", None) or unit.name),
            leaves=tuple(_leaf_info(leaf, source.mirror) for leaf in unit.leaves.values()),
            metrics=tuple(unit.metrics),
        )
        for unit in load(source).values()
    ]


def row_hash(doc: Any) -> str:
    """Return 16 hex digits over a doc."""
    return hashlib.sha256(json.dumps(doc, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _own_folder(name: str, options: LmEvalOptions) -> Path | None:
    """Return where tasks of the user's own lie: the folder asked for, else the one of the file that was named."""
    if options.include_path is None:
        return Path(name).parent if name.endswith(".yaml") else None
    folder = Path(options.include_path)
    if not folder.is_dir():
        raise InvalidInput(f"lm_eval.include_path: {folder} is not a directory")
    return folder


def _units(built: Any) -> Iterator[Unit]:
    from lm_eval.api.group import Group

    if isinstance(built, Group):
        if built.has_aggregation:
            yield Unit(built.name, {task.task_name: Leaf(task) for task in built.get_all_tasks()}, built)
        else:
            for child in built:
                yield from _units(child)
    elif isinstance(built, list):
        for task in built:
            yield from _units(task)
    else:
        yield Unit(built.task_name, {built.task_name: Leaf(built)})


def _configure(leaf: Leaf, options: LmEvalOptions) -> None:
    """Change a task as ``simple_evaluate`` does.

    Raises:
        InvalidInput: a task that needs more than text, or that runs what the model wrote.
    """
    task = leaf.task
    if getattr(task, "MULTIMODAL", False):
        raise InvalidInput(f"lm-eval/{leaf.name} has pictures or sound in its prompts, which the engines cannot take")
    if getattr(task, "UNSAFE_CODE", False):
        _require_confirmation(leaf.name, options)
    if options.gen_kwargs and task.get_config("output_type") == "generate_until":
        task.set_config(key="generation_kwargs", value=dict(options.gen_kwargs), update=True)
    stated = task.get_config("num_fewshot")
    if options.num_fewshot is not None and stated != 0:
        task.set_config(key="num_fewshot", value=options.num_fewshot)
    elif stated is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=options.fewshot_seed)


def _require_confirmation(name: str, options: LmEvalOptions) -> None:
    if not options.confirm_run_unsafe_code:
        raise InvalidInput(
            f"lm-eval/{name} runs what the model wrote, in lm-eval's way, without a sandbox: use a task of evalsuite's "
            "if there is one, or --set lm_eval.confirm_run_unsafe_code=true"
        )


def _places(dataset: str, arguments: Mapping[str, Any], mirror: str | None) -> Iterator[str]:
    """Yield real paths of what a task reads: its dataset's folder and its data files, in whatever shape those stand."""
    yield os.path.realpath(Path(mirror or "") / dataset)
    waiting = [arguments.get(name) for name in ("data_dir", "data_files")]
    while waiting:
        files = waiting.pop()
        if isinstance(files, str):
            yield files if "://" in files else os.path.realpath(files)
        elif files:
            waiting += files.values() if isinstance(files, Mapping) else files


def _leaf_info(leaf: Leaf, mirror: str | None) -> LeafInfo:
    task = leaf.task
    config = task.dump_config()
    dataset = str(config.get("dataset_path") or task.DATASET_PATH or "lm-eval")
    return LeafInfo(
        name=leaf.name,
        rows=len(leaf.docs),
        sha256=row_hash(leaf.hashes),
        definition=_definition(task, config),
        dataset=dataset,
        places=(dataset, *_places(dataset, config.get("dataset_kwargs") or {}, mirror)),
        config=config.get("dataset_name"),
        split=str(config.get("test_split") or config.get("validation_split") or "test"),
        shots=int(config.get("num_fewshot") or 0),
        chat=task.OUTPUT_TYPE != "loglikelihood_rolling",
        needs_greedy=not leaf.has_own_scoring and _LIKELIHOOD_METRICS.get(task.OUTPUT_TYPE) in task.aggregation(),
        metrics=tuple(leaf.metrics),
    )


def _definition(task: Any, config: Mapping[str, Any]) -> str:
    """Hash a resolved configuration, without where its file lies; functions stand in it as their source."""
    metadata = {key: value for key, value in (config.get("metadata") or {}).items() if key != "config_source"}
    content = json.dumps({**config, "metadata": metadata}, sort_keys=True, default=_named)
    text = f"{type(task).__module__}.{type(task).__name__} {task.VERSION} {_ADDRESS.sub('', content)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _named(value: Any) -> str:
    return str(getattr(value, "__qualname__", value))


def _be_quiet() -> None:
    """Leave telling to this program: no progress bars, no log lines about each task, no warnings about each doc."""
    os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported
    import datasets

    datasets.disable_progress_bars()
    warnings.simplefilter("ignore")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)

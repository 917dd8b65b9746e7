"""Names that begin with ``lm-eval/`` → tasks of a run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalsuite.bridge.lm_eval.options import OPTION_ROOT, LmEvalOptions, read_options
from evalsuite.bridge.lm_eval.process import LmEvalProcess
from evalsuite.bridge.lm_eval.wire import LeafInfo, Source, UnitInfo
from evalsuite.errors import InvalidInput, UnknownName
from evalsuite.split import Split
from evalsuite.tasks.model import About, DataSource, Fewshot, Format, Task, VerifierConfig
from evalsuite.tasks.registry import unseen_owner

__all__ = ["PREFIX", "VERIFIER", "definition_of", "is_lm_eval", "load_lm_eval_tasks", "without_lm_eval_options"]

PREFIX = "lm-eval/"
VERIFIER = "lm_eval"

_UNSEEN_NAMES = re.compile(
    r"(?:^|[_/-])(?:agi_?eval|bigcodebench|deepmind_math|gpqa|href|if_?bench|mmlu[_-]prox?)(?=$|[_-])", re.IGNORECASE
)
"""lm-eval's names for what is unseen here, in whichever language or variant."""


def is_lm_eval(task: Task) -> bool:
    """Whether a task is lm-eval's."""
    return task.verifier.name == VERIFIER


def without_lm_eval_options(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that are for evalsuite's own tasks."""
    return {key: value for key, value in overrides.items() if key.partition(".")[0] != OPTION_ROOT}


def load_lm_eval_tasks(names: Sequence[str], overrides: Mapping[str, Any], mirror: Path | None) -> list[Task]:
    """Return the tasks that names stand for; a group that lm-eval does not aggregate, or a tag, is several.

    Raises:
        UserError: no such task, no such option or metric, or its rows cannot be read.
    """
    options = read_options(overrides)
    place = str(mirror.resolve()) if mirror else None
    found = []
    for name in (name.removeprefix(PREFIX) for name in names):
        named = str(Path(name).resolve()) if name.endswith(".yaml") else name
        source = Source(named, options.model_dump_json(), place)
        found += [(source, unit) for unit in LmEvalProcess(source).describe()]
    _require_metric(options, [unit for _, unit in found])
    return [_task(source, unit, options) for source, unit in found]


def definition_of(unit: UnitInfo, options: LmEvalOptions) -> str:
    """Return 16 hex digits over the resolved configurations of a unit's tasks and what was changed in them."""
    decides = options.model_dump(exclude={"metric", "confirm_run_unsafe_code", "bootstrap_iters", "include_path"})
    definitions = [[leaf.name, leaf.definition, leaf.shots] for leaf in unit.leaves]
    return hashlib.sha256(json.dumps([definitions, decides], sort_keys=True).encode()).hexdigest()[:16]


def _require_metric(options: LmEvalOptions, units: Sequence[UnitInfo]) -> None:
    if options.metric is not None and not any(_matching(options.metric, unit) for unit in units):
        valid = {metric for unit in units for metric in unit.metrics}
        raise UnknownName("metric of these lm-eval tasks", options.metric, valid, hint="(--set lm_eval.metric=NAME)")


def _matching(metric: str, unit: UnitInfo) -> str | None:
    """Return the first metric of a unit that is called so, with or without its filter."""
    return next((name for name in unit.metrics if metric in (name, name.rpartition(",")[0])), None)


def _task(source: Source, unit: UnitInfo, options: LmEvalOptions) -> Task:
    if not unit.metrics:
        raise InvalidInput(f"{PREFIX}{unit.name} states no metric")
    primary = (_matching(options.metric, unit) if options.metric else None) or unit.metrics[0]
    split = Split.UNSEEN if any(map(_is_unseen, unit.leaves)) else Split.DEV
    first = unit.leaves[0]
    params = {
        "name": source.name,
        "unit": unit.name,
        "metric": primary,
        "options": options.model_dump(),
        "definition": definition_of(unit, options),
        "lm_eval": version("lm_eval"),
    }
    rows = sum(leaf.rows for leaf in unit.leaves)
    shots = max(leaf.shots for leaf in unit.leaves)
    return Task(
        name=f"{PREFIX}{unit.name}",
        path=Path("lm-eval") / split / f"{unit.name.replace('/', '-')}.yaml",
        title=unit.title,
        skill="lm-eval",
        prompt="",
        target="",
        data=DataSource(hub=first.dataset, config=first.config, split=first.split, rows=max(1, rows)),
        format=Format(chat=options.apply_chat_template),
        fewshot=Fewshot(shots=shots, source="lm-eval") if shots else None,
        verifier=VerifierConfig(name=VERIFIER, params=params),
        about=About(source=f"lm-eval {params['lm_eval']}, task {unit.name}"),
    )


def _is_unseen(leaf: LeafInfo) -> bool:
    """Whether a task asks what is unseen here: going by its name, and by what it reads."""
    return any(map(_UNSEEN_NAMES.search, (leaf.name, leaf.dataset))) or any(map(unseen_owner, leaf.places))

"""A task of lm-eval's → every request of a run, as ``plan_task`` makes them of a task file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from evalsuite.bridge.lm_eval.mirror import declared_parts
from evalsuite.bridge.lm_eval.options import LmEvalOptions
from evalsuite.bridge.lm_eval.process import LmEvalProcess
from evalsuite.bridge.lm_eval.sampling import sampling_of
from evalsuite.bridge.lm_eval.tasks import definition_of
from evalsuite.bridge.lm_eval.verifier import LmEvalVerifier
from evalsuite.bridge.lm_eval.wire import Instance, Source, UnitInfo, WireDoc
from evalsuite.data.load import Doc, LoadedRows, hash_rows
from evalsuite.engines.base import GenerateRequest, LogLikelihoodRequest
from evalsuite.errors import InvalidInput, RunMismatch
from evalsuite.prompts.messages import ChatPrompt, Message, Prompt, TextPrompt
from evalsuite.runner.plan import PlannedRequest, TaskPlan, spread
from evalsuite.tasks.model import Task

__all__ = ["lm_eval_questions", "lm_eval_verifier", "plan_lm_eval_task"]

Request = GenerateRequest | LogLikelihoodRequest


def plan_lm_eval_task(task: Task, *, mirror: Path | None, limit: int | None, chat: bool, seed: int) -> TaskPlan:
    """Have lm-eval build the requests of a task's docs.

    ``limit`` keeps the first docs, of a group spread evenly over its tasks.

    Raises:
        InvalidInput: the chat template is asked for, and the model has none.
    """
    options = LmEvalOptions.model_validate(task.verifier.params["options"])
    if options.apply_chat_template and not chat:
        raise InvalidInput("lm_eval.apply_chat_template: this model has no chat template")
    verifier, unit = _verifier(task, mirror)
    grouped = len(unit.leaves) > 1
    docs = [Doc(str(number), leaf.name if grouped else "", {}) for leaf in unit.leaves for number in range(leaf.rows)]
    chosen = docs if limit is None else spread(docs, limit)
    counts = Counter(doc.subtask or unit.leaves[0].name for doc in chosen)
    wired = verifier.process.render(unit.name, counts)
    origin = f"lm-eval {task.verifier.params['lm_eval']}, {'mirror ' if mirror else ''}{task.data.hub}"
    rows = LoadedRows(docs, origin, hash_rows({"rows": leaf.sha256} for leaf in unit.leaves))
    requests = tuple(_planned(task, doc, doc.leaf if grouped else "", options, seed) for doc in wired)
    return TaskPlan(
        task=task,
        verifier=verifier,
        rows=rows,
        exemplars_hash=None,
        partial=declared_parts(mirror, [leaf.dataset for leaf in unit.leaves]),
        requests=requests,
        summarise=verifier.summarise,
    )


def lm_eval_verifier(task: Task, mirror: Path | None) -> LmEvalVerifier:
    """Return what judges a task as a run has recorded it.

    Raises:
        RunMismatch: the installed lm-eval defines the task otherwise.
    """
    verifier, unit = _verifier(task, mirror)
    params = task.verifier.params
    if definition_of(unit, LmEvalOptions.model_validate(params["options"])) != params["definition"]:
        raise RunMismatch(
            f"{task.name}: the installed lm-eval ({version('lm_eval')}) defines it otherwise than the one that made "
            f"the run ({params['lm_eval']})"
        )
    return verifier


def lm_eval_questions(task: Task, mirror: Path | None) -> list[tuple[str, str]]:
    """Return the docs' names and what they ask, without exemplars, description and system message."""
    verifier, unit = _verifier(task, mirror)
    return verifier.process.questions(unit)


def _verifier(task: Task, mirror: Path | None) -> tuple[LmEvalVerifier, UnitInfo]:
    params = task.verifier.params
    options = LmEvalOptions.model_validate(params["options"])
    process = LmEvalProcess(
        Source(params["name"], options.model_dump_json(), str(mirror.resolve()) if mirror else None)
    )
    unit = next((unit for unit in process.describe() if unit.name == params["unit"]), None)
    if unit is None:
        raise RunMismatch(f"the installed lm-eval has no {task.name} any more")
    greedy = {leaf.name: leaf.needs_greedy for leaf in unit.leaves}
    return LmEvalVerifier(process, unit.name, params["metric"], greedy), unit


def _planned(task: Task, doc: WireDoc, subtask: str, options: LmEvalOptions, seed: int) -> PlannedRequest:
    name = "/".join(filter(None, [task.name, subtask, str(doc.number)]))
    groups = [list(group) for _, group in groupby(doc.instances, key=_asked_together)]
    first, *more = (
        _request(name if number == 0 else f"{name}#{number}", group, options, seed, task.name)
        for number, group in enumerate(groups)
    )
    reference = {
        "doc": doc.sha256,
        "target": doc.target,
        "repeats": [group[0].repeats for group in groups if group[0].generation is not None],
        "gold": [_gold(group) for group in groups],
    }
    return PlannedRequest(first, task.name, subtask, str(doc.number), reference, None, tuple(more))


def _asked_together(instance: Instance) -> Any:
    """Continuations of the same context are one request; every generation is one by itself."""
    return id(instance) if instance.generation is not None else json.dumps(instance.context)


def _request(name: str, group: Sequence[Instance], options: LmEvalOptions, seed: int, task: str) -> Request:
    first = group[0]
    prompt = _prompt(first.context)
    if first.generation is None:
        return LogLikelihoodRequest(name, prompt, tuple(instance.continuation for instance in group))
    return GenerateRequest(
        name, prompt, sampling_of(first.generation, first.repeats, options.sampling, task, name, seed)
    )


def _gold(group: Sequence[Instance]) -> Any:
    return group[0].gold if group[0].generation is not None else [instance.gold for instance in group]


def _prompt(context: str | tuple[tuple[str, str], ...]) -> Prompt:
    if isinstance(context, str):
        return TextPrompt(context)
    messages = [Message(role, content) for role, content in context]
    prefix = messages.pop().content if messages[-1].role == "assistant" else ""
    return ChatPrompt(tuple(messages), prefix)

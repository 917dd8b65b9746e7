"""Is a task sound? Gold answers must score 1, spoilt ones 0, and prompts must be the ones that were agreed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

from evalsuite.runner.answers import corrupted_answers, gold_answers
from evalsuite.runner.plan import TaskPlan, plan_task, prompts_hash
from evalsuite.tasks.model import Task
from evalsuite.verifiers.verdict import Verdict

__all__ = ["CheckReport", "check_task"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found; the task is sound when ``problems`` is empty."""

    task: str
    rows: int
    origin: str
    prompts: str
    """Hash of every prompt, the golden value for the task file's ``[check]``."""
    problems: tuple[str, ...]


def check_task(task: Task, mirror: Path | None, limit: int | None = None) -> CheckReport:
    """Check one task on its real rows, without a model.

    ``limit`` checks the answers of the first docs only; prompts are hashed over all of them either way.
    """
    plan = plan_task(task, mirror=mirror, limit=None, chat=True, seed=0)
    found = prompts_hash(plan.requests)
    problems = [] if task.check.prompts in (None, found) else [_changed_prompts(task, found)]
    asked = plan if limit is None else plan_task(task, mirror=mirror, limit=limit, chat=True, seed=0)
    problems += _wrong(asked, gold_answers([asked]), 1.0, "gold answer")
    problems += _wrong(asked, corrupted_answers([asked]), 0.0, "corrupted gold answer")
    return CheckReport(task.name, len(plan.rows.docs), plan.rows.origin, found, tuple(problems))


def _changed_prompts(task: Task, found: str) -> str:
    return f"prompts have changed: their hash is {found}, {task.path} states check.prompts = {task.check.prompts!r}"


def _wrong(plan: TaskPlan, answers: Mapping[str, Any], expected: float, what: str) -> list[str]:
    verdicts = _judge(plan, answers)
    wrong = [
        (planned.request.id, verdict)
        for planned, verdict in zip(plan.requests, verdicts, strict=True)
        if verdict.score != expected
    ]
    shown = [
        f"{name}: the {what} scores {verdict.score}, not {expected:.0f} ({verdict.reason or verdict.outcome})"
        for name, verdict in wrong[:_SHOWN]
    ]
    return [*shown, f"... and {len(wrong) - _SHOWN} more of {len(verdicts)}"] if len(wrong) > _SHOWN else shown


def _judge(plan: TaskPlan, answers: Mapping[str, Any]) -> Sequence[Verdict]:
    completions = [answers[planned.request.id] for planned in plan.requests]
    references = [planned.reference for planned in plan.requests]
    if not plan.verifier.runs_in_processes:
        return plan.verifier.verify_batch(completions, references)
    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(plan.verifier.verify, completions, references))

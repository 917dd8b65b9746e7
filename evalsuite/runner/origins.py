"""Whose task it is decides how it is loaded, planned and judged, and what it asks: a task file's, or lm-eval's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.bridge.lm_eval.plan import lm_eval_questions, lm_eval_verifier, plan_lm_eval_task
from evalsuite.bridge.lm_eval.tasks import PREFIX, is_lm_eval, load_lm_eval_tasks, without_lm_eval_options
from evalsuite.data.load import load_docs, require_in_mirror
from evalsuite.errors import InvalidInput
from evalsuite.prompts.templates import render_text
from evalsuite.runner.plan import TaskPlan, plan_task
from evalsuite.runner.results import Summarise
from evalsuite.runner.win_rate import summariser
from evalsuite.tasks.model import Task
from evalsuite.tasks.registry import load_task
from evalsuite.verifiers.base import Verifier
from evalsuite.verifiers.isolated import load_bounded

__all__ = ["grading_of", "load_tasks", "own_overrides", "plan_any_task", "questions_of", "require_data"]


def load_tasks(names: Sequence[str], overrides: Mapping[str, Any], mirror: Path | None) -> list[Task]:
    """Return tasks by name or path, evalsuite's first.

    Raises:
        UserError: one of them does not exist, or an override does not fit.
    """
    foreign = [name for name in names if name.startswith(PREFIX)]
    if not foreign:
        return [load_task(name, own_overrides(overrides)) for name in names]
    own = without_lm_eval_options(overrides)
    tasks = [load_task(name, own) for name in names if not name.startswith(PREFIX)]
    return [*tasks, *load_lm_eval_tasks(foreign, overrides, mirror)]


def own_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides of a run without tasks of lm-eval's.

    Raises:
        InvalidInput: some are for such tasks.
    """
    own = without_lm_eval_options(overrides)
    foreign = sorted(overrides.keys() - own.keys())
    if foreign:
        raise InvalidInput(f"--set {foreign[0]}: none of the tasks is lm-eval's ({PREFIX}NAME)")
    return own


def require_data(task: Task, mirror: Path | None) -> None:
    """Check as far as it costs nothing that a task's rows can be read.

    Raises:
        DataUnavailable: they are not in the mirror; the message says how to get them.
    """
    if mirror is not None and not is_lm_eval(task):  # lm-eval's have read theirs
        require_in_mirror(task.data, mirror)


def plan_any_task(task: Task, *, mirror: Path | None, limit: int | None, chat: bool, seed: int) -> TaskPlan:
    """Read a task's rows and build every request; see :func:`~evalsuite.runner.plan.plan_task`."""
    plan = plan_lm_eval_task if is_lm_eval(task) else plan_task
    return plan(task, mirror=mirror, limit=limit, chat=chat, seed=seed)


def questions_of(task: Task, mirror: Path | None) -> list[tuple[str, str]]:
    """Return the id of every doc and what it asks, without exemplars and descriptions.

    Raises:
        UserError: the rows cannot be read here, or are not what the task says.
    """
    if is_lm_eval(task):
        return lm_eval_questions(task, mirror)
    where = f"{task.path}: prompt"
    return [(doc.id, render_text(task.prompt, doc.row, where)) for doc in load_docs(task, mirror).docs]


def grading_of(task: Task, mirror: Path | None) -> tuple[Verifier[Any], Summarise]:
    """Return what judges a recorded task, and what sums its verdicts up.

    Raises:
        RunMismatch: the installed lm-eval defines the task otherwise than when it was recorded.
    """
    if not is_lm_eval(task):
        return load_bounded(task.verifier.name, task.verifier.params), summariser(task, mirror)
    verifier = lm_eval_verifier(task, mirror)
    return verifier, verifier.summarise

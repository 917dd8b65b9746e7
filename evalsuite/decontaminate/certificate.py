"""The check for overlap between training prompts and the evaluations of both splits, as a record that can be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.bridge.lm_eval.tasks import is_lm_eval
from evalsuite.data.hub import hub_problem
from evalsuite.decontaminate.overlap import (
    CONTAMINATED_SHARE,
    LONG,
    MATCHED_SHARE,
    NGRAM,
    SHORT,
    SHORT_SHARE,
    find_overlaps,
)
from evalsuite.errors import DataMismatch, DataUnavailable, MissingExtra
from evalsuite.runner.origins import questions_of
from evalsuite.split import Split
from evalsuite.tasks.model import Task
from evalsuite.tasks.registry import load_task, task_paths

__all__ = ["Certificate", "TaskOverlap", "check_overlap", "evaluation_tasks"]

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class TaskOverlap:
    """What was found for one task: instances in all and overlapping ones, and ids of the first few of those.

    ``over_half`` counts the instances of which more than half is matched, whatever their length: Tülu 3's own rule.
    """

    split: str
    instances: int
    overlapping: int
    over_half: int
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the task's instances that overlap."""
        return self.overlapping / self.instances if self.instances else 0.0

    @property
    def contaminated(self) -> bool:
        """Whether that is more than the rule allows."""
        return self.share > CONTAMINATED_SHARE


@dataclass(frozen=True, slots=True)
class Certificate:
    """The result for every task that was to be checked: what was found, or why it could not be read."""

    prompts: int
    checked: dict[str, TaskOverlap]
    unchecked: dict[str, str]

    @property
    def contaminated(self) -> list[str]:
        """Tasks with more overlap than the rule allows, the worst first."""
        names = [name for name, found in self.checked.items() if found.contaminated]
        return sorted(names, key=lambda name: -self.checked[name].share)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the rule it was made by."""
        return {
            "rule": {
                "ngram": NGRAM,
                "matched_share": {"from_tokens": LONG, "above": MATCHED_SHARE},
                "matched_share_of_short": {"to_tokens": SHORT, "above": SHORT_SHARE},
                "contaminated_share": CONTAMINATED_SHARE,
            },
            "prompts": self.prompts,
            "checked": {
                name: {
                    "split": found.split,
                    "instances": found.instances,
                    "overlapping": found.overlapping,
                    "over_half": found.over_half,
                    "share": round(found.share, 5),
                    "contaminated": found.contaminated,
                    "examples": list(found.examples),
                }
                for name, found in self.checked.items()
            },
            "unchecked": self.unchecked,
        }


def evaluation_tasks() -> list[Task]:
    """Return every bundled task of the two splits."""
    tasks = [load_task(name) for name in task_paths()]
    return [task for task in tasks if task.split in (Split.DEV, Split.UNSEEN)]


def check_overlap(
    prompts: Sequence[str], tasks: Iterable[Task], mirror: Path | None, tell: Callable[[str], None] = lambda name: None
) -> Certificate:
    """Check training prompts against the questions of tasks (without exemplars and descriptions).

    ``tell`` is told the name of each task before it is read. A task whose rows cannot be read here is listed with the
    reason; where the Hub is not there, or goes away, the tasks that need it are not tried one by one.
    """
    asked: list[_Asked] = []
    unchecked: dict[str, str] = {}
    missing: str | None = None
    for task in tasks:
        hub = mirror is None and _reads_hub(task)
        if hub and missing is None:
            missing = hub_problem()
        if hub and missing:
            unchecked[task.name] = f"the Hub cannot be reached: {missing}"
            continue
        tell(task.name)
        try:
            asked.append(_Asked.of(task, mirror))
        except (DataUnavailable, DataMismatch, MissingExtra) as problem:
            unchecked[task.name] = str(problem)
            if hub and isinstance(problem, DataUnavailable):
                missing = hub_problem()
    return Certificate(len(prompts), _compare(prompts, asked), unchecked)


def _reads_hub(task: Task) -> bool:
    """Whether a task's rows are still to be had from the Hub; lm-eval's were read when the task was loaded."""
    return task.data.hub is not None and task.data.package is None and not is_lm_eval(task)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The questions of one task and their docs' ids."""

    task: Task
    ids: tuple[str, ...]
    questions: tuple[str, ...]

    @classmethod
    def of(cls, task: Task, mirror: Path | None) -> _Asked:
        asked = questions_of(task, mirror)
        return cls(task, tuple(doc for doc, _ in asked), tuple(question for _, question in asked))


def _compare(prompts: Sequence[str], asked: Sequence[_Asked]) -> dict[str, TaskOverlap]:
    """Go through the training prompts once, for all tasks together."""
    overlaps = find_overlaps([question for one in asked for question in one.questions], prompts)
    checked: dict[str, TaskOverlap] = {}
    begin = 0
    for one in asked:
        end = begin + len(one.ids)
        over_half = [overlap for overlap in overlaps if begin <= overlap.instance < end]
        own = [overlap.instance - begin for overlap in over_half if overlap.enough]
        examples = tuple(one.ids[number] for number in own[:_EXAMPLES])
        checked[one.task.name] = TaskOverlap(str(one.task.split), len(one.ids), len(own), len(over_half), examples)
        begin = end
    return checked

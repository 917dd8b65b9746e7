"""``evalsuite list``: what can be measured."""

from __future__ import annotations

from evalsuite.cli.console import Column, print_json, print_table
from evalsuite.cli.options import Json, Suite

__all__ = ["list_tasks"]


def list_tasks(suite: Suite = None, json: Json = False) -> None:
    """List the tasks: split, shots, metric, rows.

    Examples:

        evalsuite list --suite dev

        evalsuite list --json | jq '.[].name'
    """
    from evalsuite.tasks.registry import read_task, task_paths

    tasks = [read_task(path) for path in task_paths(suite).values()]
    if json:
        print_json(
            [
                {
                    "name": task.name,
                    "title": task.title,
                    "skill": task.skill,
                    "split": task.split,
                    "shots": task.shots,
                    "metric": task.metric_label,
                    "rows": task.data.rows,
                    "verifier": task.verifier.name,
                    "hash": task.content_hash,
                }
                for task in tasks
            ]
        )
        return
    columns = [
        Column("task"),
        Column("split"),
        Column("skill", wrap=True),
        Column("shots", "right"),
        Column("metric"),
        Column("rows", "right"),
    ]
    rows = [
        [task.name, str(task.split), task.skill, str(task.shots), task.metric_label, f"{task.data.rows:,}"]
        for task in tasks
    ]
    print_table("", columns, rows)

"""What is measured: task files, read and validated."""

from evalsuite.tasks.model import Task
from evalsuite.tasks.registry import load_suite, load_task, suite_names, task_paths

__all__ = ["Task", "load_suite", "load_task", "suite_names", "task_paths"]

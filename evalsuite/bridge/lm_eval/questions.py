"""What the docs of a task ask, to be compared with training prompts. Runs in lm-eval's process."""

from __future__ import annotations

from typing import Any

from evalsuite.bridge.lm_eval.loaded import load
from evalsuite.bridge.lm_eval.wire import Source

__all__ = ["questions"]


def questions(source: Source, unit: str, leaf: str, start: int, stop: int) -> list[str]:
    """Return what some docs of one of a unit's tasks ask, without exemplars, description and system message."""
    found = load(source)[unit].leaves[leaf]
    return [_question(found.task, doc) for doc in found.docs[start:stop]]


def _question(task: Any, doc: Any) -> str:
    """Return the text before the answer; where there is none, what the task's authors would look for, or all there is.

    A sentence with a gap has choices for texts (``doc_to_text`` tells the right one's number), a page is all target.
    """
    from lm_eval.utils import apply_template

    text = task.doc_to_text(doc)
    if isinstance(text, str) and text.strip():
        return text
    query = task.get_config("doc_to_decontamination_query")
    if isinstance(query, str):
        # Not by the task's method: it reads what a template gives as Python (lm-eval 0.4.13).
        return str(doc[query]) if query in doc else str(apply_template(query, doc))
    choices = task.doc_to_choice(doc) if task.get_config("doc_to_choice") is not None else []
    return "\n".join(map(str, choices)) or str(task.doc_to_target(doc))

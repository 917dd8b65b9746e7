"""Task + doc + exemplars → the prompt as sent. The joining and stripping rules are those of eval spec §2.1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evalsuite.errors import InvalidTask
from evalsuite.prompts.messages import ChatPrompt, Message, Prompt, TextPrompt
from evalsuite.prompts.templates import render_reference, render_text, render_value
from evalsuite.tasks.model import Task

__all__ = ["PromptRenderer", "render_continuations", "render_gold", "render_prompt", "render_target"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PromptRenderer:
    """Renders the prompts of one task; the exemplars, the same for every doc, are rendered once.

    ``chat`` says whether the model has a chat template; a raw task stays raw either way, and a chat task without a
    template becomes the raw text of the same turns.
    """

    task: Task
    exemplars: Sequence[Row]
    chat: bool

    def render(self, row: Row) -> Prompt:
        """Return the prompt for one row."""
        task = self.task
        prefix = task.format.assistant_prefix
        if not (self.chat and task.format.chat):
            return TextPrompt(self._joined(_question(task, row), row) + _missing_prefix(task, row))
        if not self.exemplars:
            return ChatPrompt((Message("user", _description(task, row) + _question(task, row)),), prefix)
        if task.format.fewshot == "singleturn":
            return ChatPrompt((Message("user", self._joined(_without_prefix(task, row), row)),), prefix)
        first, *rest = self._solved_turns
        opening = Message("user", _description(task, row) + first.content)
        return ChatPrompt((opening, *rest, Message("user", _without_prefix(task, row))), prefix)

    @cached_property
    def _solved_turns(self) -> list[Message]:
        turns = []
        for exemplar in self.exemplars:
            answer = _with_space(self.task.format.assistant_prefix, _answer(self.task, exemplar))
            turns += [
                Message("user", _without_prefix(self.task, exemplar, exemplar=True)),
                Message("assistant", answer),
            ]
        return turns

    @cached_property
    def _solved_text(self) -> list[str]:
        return [_followed(_body(self.task, shot, exemplar=True), _answer(self.task, shot)) for shot in self.exemplars]

    def _joined(self, question: str, row: Row) -> str:
        return _description(self.task, row) + "\n\n".join([*self._solved_text, question])


def render_prompt(task: Task, row: Row, exemplars: Sequence[Row], *, chat: bool) -> Prompt:
    """Return the prompt for one row; see :class:`PromptRenderer`."""
    return PromptRenderer(task, exemplars, chat).render(row)


def render_target(task: Task, row: Row) -> Any:
    """Return the reference the verifier judges against."""
    return render_reference(task.target, row, f"{task.path}: target")


def render_gold(task: Task, row: Row) -> str | None:
    """Return the right completion a task file spells out, or None where the verifier knows one."""
    return None if task.gold is None else render_text(task.gold, row, f"{task.path}: gold")


def render_continuations(task: Task, row: Row, prompt: Prompt) -> tuple[str, ...]:
    """Return the candidate answers of a log-likelihood task, empty for a generation task.

    Each begins with the space that separates it from the prompt; with none as the whole of a turn in a chat (§2.1).
    """
    if task.continuations is None:
        return ()
    values = render_value(task.continuations, row, f"{task.path}: continuations")
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise InvalidTask(f"{task.path}: continuations must be a list with something in it, not {values!r:.80}")
    if isinstance(prompt, ChatPrompt) and not prompt.assistant_prefix:
        return tuple(str(value).lstrip() for value in values)
    return tuple(value if value[:1].isspace() else f" {value}" for value in map(str, values))


def _description(task: Task, row: Row) -> str:
    return render_text(task.description, row, f"{task.path}: description")


def _question(task: Task, row: Row) -> str:
    return _body(task, row) + _final_description(task, row)


def _without_prefix(task: Task, row: Row, *, exemplar: bool = False) -> str:
    body = _body(task, row, exemplar=exemplar)
    if task.format.assistant_prefix:
        body = re.sub(rf"\s*{re.escape(task.format.assistant_prefix)}\s*$", "", body)
    return body + _final_description(task, row)


def _final_description(task: Task, row: Row) -> str:
    return render_text(task.final_description, row, f"{task.path}: final_description")


def _body(task: Task, row: Row, *, exemplar: bool = False) -> str:
    if exemplar and task.fewshot and task.fewshot.prompt is not None:
        return render_text(task.fewshot.prompt, row, f"{task.path}: fewshot.prompt")
    return render_text(task.prompt, row, f"{task.path}: prompt")


def _answer(task: Task, row: Row) -> str:
    if task.fewshot and task.fewshot.target is not None:
        return render_text(task.fewshot.target, row, f"{task.path}: fewshot.target")
    return str(render_target(task, row))


def _with_space(left: str, right: str) -> str:
    left, right = left.strip(), right.strip()
    return f"{left} {right}" if left and right else left or right


def _followed(question: str, answer: str) -> str:
    """Join within one text, which keeps all white space: a space unless there is some already."""
    return question + answer if question[-1:].isspace() or answer[:1].isspace() else f"{question} {answer}"


def _missing_prefix(task: Task, row: Row) -> str:
    """Return the prefix for raw text, unless the question already ends with it (a chat task read as raw text)."""
    prefix = task.format.assistant_prefix
    return "" if _question(task, row).endswith(prefix) else prefix

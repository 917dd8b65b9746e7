"""``evalsuite show-task``: the card of one task."""

from __future__ import annotations

import re
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalsuite.cli.console import Column, print_json, print_table, stdout, visible
from evalsuite.cli.options import Data, Json

if TYPE_CHECKING:
    from pathlib import Path

    from evalsuite.cards import Card, Question
    from evalsuite.tasks.model import Task

__all__ = ["show_card", "show_task"]

_MARKS = str.maketrans({" ": "·", "\n": "↵", "\t": "→", "\r": "␍"})
_ENDS = re.compile(r"^\s+|\s+$")


def show_task(
    name: Annotated[str, typer.Argument(metavar="TASK", help="A task's name, or the path of a task file.")],
    tokens: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Count tokens with the tokenizer of this model (path or Hub id)."),
    ] = None,
    doc: Annotated[str | None, typer.Option(metavar="ID", help="Show this doc's prompt.", show_default="first")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show a task's card: data, prompt as sent, exemplars, verifier, metric, quirks, published scores.

    White space at the ends of a turn is made visible: · space, ↵ line break, → tab.

    Examples:

        evalsuite show-task gsm8k

        evalsuite show-task gsm8k --doc 17 --tokens demo

        evalsuite show-task my_task.toml --json
    """
    show_card(name, tokens, doc, data, json=json)


def show_card(name: str, tokens: str | None, doc: str | None, data: Path | None, *, json: bool) -> None:
    """Print the card of a task."""
    from evalsuite.cards import make_card
    from evalsuite.runner.evaluate import data_mirror
    from evalsuite.runner.origins import load_tasks

    mirror = data_mirror(data)
    (task, *more) = load_tasks([name], {}, mirror)
    if more:
        from evalsuite.errors import InvalidInput

        raise InvalidInput(f"{name} is a group of tasks; name one of them: {', '.join(t.name for t in (task, *more))}")
    card = make_card(task, mirror, doc, tokens)
    if json:
        print_json(_plain(card))
    else:
        print_table("", (Column("task"), Column(task.name, wrap=True)), _facts(card))
        _print_question(card)


def _plain(card: Card) -> dict[str, Any]:
    from dataclasses import asdict

    task = card.task
    return {
        "name": task.name,
        "split": task.split,
        "group": task.group,
        "hash": task.content_hash,
        "metric": task.metric_label,
        "definition": task.model_dump(mode="json"),
        "question": asdict(card.question) if card.question else None,
        "problem": card.problem,
        "published": [asdict(score) for score in card.published],
    }


def _facts(card: Card) -> list[list[str]]:
    task = card.task
    facts = [
        ["title", task.title],
        ["skill", task.skill + ("" if task.average else " · not counted in averages")],
        ["place", " · ".join(filter(None, [task.split, task.group and f"part of {task.group}", str(task.path)]))],
        ["data", _data(card)],
        ["access", task.data.access if card.question else ""],  # otherwise the problem tells how
        ["source", " · ".join(filter(None, [task.about.source, task.about.licence]))],
        ["format", _format(task)],
        ["exemplars", _exemplars(task)],
        ["sampling", _sampling(task)],
        ["verifier", _call(task.verifier.name, task.verifier.params)],
        *(["judge", f"{name}: {judge.model} ({judge.kind})"] for name, judge in task.judge.items()),
        [
            "metric",
            task.metric_label + (": the mean of the subtasks' scores" if task.metric.average == "macro" else ""),
        ],
        *(["quirk", f"{name} ({'on' if q.on else 'off'}): {q.about}"] for name, q in task.olmes_compat.items()),
        ["notes", task.about.notes],
        ["stands for", task.about.substitute_for and f"{task.about.substitute_for}, with scores that do not compare"],
        *(["elsewhere", difference] for difference in task.about.differences),
        *(["published", line] for line in _published(card)),
        ["hashes", f"task {task.content_hash} · prompts {task.check.prompts or 'not agreed on'}"],
    ]
    shown = [[name, visible(text)] for name, text in facts if text]
    return [[name if not n or shown[n - 1][0] != name else "", text] for n, (name, text) in enumerate(shown)]


def _data(card: Card) -> str:
    data = card.task.data
    configs = [config for config in data.configs if config]
    named = ", ".join(configs) if len(configs) < 4 else f"{len(configs)} configurations"
    where = f"generator {data.generator}" if data.generator else data.label
    parts = [where, named, f"split {data.split}" if data.hub else "", f"{data.rows:,} rows"]
    parts += [f"revision {data.revision or 'not pinned'}" if data.hub else ""]
    parts += [f"file {data.file_of('*', data.split)}" if data.hub_file else ""]
    parts += [f"read here from {card.question.origin}" if card.question else ""]
    return " · ".join(filter(None, parts))


def _format(task: Task) -> str:
    prefix = task.format.assistant_prefix
    begins = f" · the answer begins with {dumps(prefix, ensure_ascii=False)}" if prefix else ""
    return ("chat" if task.format.chat else "raw text, never in a chat template") + begins


def _exemplars(task: Task) -> str:
    fewshot = task.fewshot
    if fewshot is None or not fewshot.shots:
        return "none (zero-shot)"
    turns = "in turns" if task.format.chat and task.format.fewshot == "multiturn" else "in one text"
    chosen = f"rows {fewshot.rows}" if fewshot.rows else fewshot.order
    own = " · every subtask has its own" if fewshot.differs_by_subtask else ""
    stated = f" · hash {fewshot.sha256}" if fewshot.sha256 else ""
    return f"{fewshot.shots} {turns} · from {fewshot.source} ({chosen}){own}{stated}"


def _sampling(task: Task) -> str:
    if task.continuations is not None:
        return "none: candidate answers are compared by their log-probability"
    sampling = task.sampling
    drawn = f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}" if sampling.temperature else "greedy"
    times = f", {sampling.n} samples a doc" if sampling.n > 1 else ""
    longer = "" if task.length_mode != "task" else " (4096 with --set length_mode=4096)"
    stops = f" · stops at {dumps(sampling.stop, ensure_ascii=False)}" if sampling.stop else ""
    return f"{drawn}{times} · at most {task.max_tokens:,} tokens{longer}{stops}"


def _call(name: str, params: dict[str, Any]) -> str:
    given = ", ".join(f"{key}={dumps(value, ensure_ascii=False)}" for key, value in params.items())
    return f"{name}({given})" if given else name


def _published(card: Card) -> list[str]:
    """Return a line for each form that was published."""
    forms = list(dict.fromkeys(score.form for score in card.published))
    lines = []
    for form in forms:
        own = [score for score in card.published if score.form == form]
        asked = f"with {form}: " if "=" in form else "asked otherwise, not comparable: " if form else ""
        notes = "; ".join(dict.fromkeys(score.note for score in own if score.note))
        scores = ", ".join(f"{score.model} {score.score}" for score in own)
        lines.append(f"{asked}{scores}" + (f" ({notes})" if notes else ""))
    return lines


def _print_question(card: Card) -> None:
    from rich.rule import Rule
    from rich.text import Text

    console = stdout()
    question = card.question
    if question is None:
        console.print(Text(f"no prompt to show: {card.problem}"))
        return
    total = "" if question.tokens is None else f" · {question.tokens:,} tokens as sent"
    console.print(Rule(Text(f"{question.doc}{total}"), align="left"))
    for heading, text in _sections(question):
        console.print(Text(heading, style="bold"))
        console.print(Text(visible(text) + "\n"), soft_wrap=True)


def _sections(question: Question) -> list[tuple[str, str]]:
    sections = []
    for turn in question.turns:
        count = "" if turn.tokens is None else f" · {turn.tokens:,} tokens"
        sections.append((f"prompt · {turn.role}{count}", _with_visible_ends(turn.text)))
    if question.continuations:
        sections.append(("candidate answers", "\n".join(map(_with_visible_ends, question.continuations))))
    reference = question.reference
    said = reference if isinstance(reference, str) else dumps(reference, indent=2, ensure_ascii=False)
    return [*sections, ("reference", said)]


def _with_visible_ends(text: str) -> str:
    return _ENDS.sub(lambda found: found.group().translate(_MARKS), text)

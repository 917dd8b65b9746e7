"""The report of one training run: what was trained on what, curves, development scores, completions over time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.runs.folder import write_atomically
from evalsuite.training.checkpoint import describe
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.metrics_log import read_rows
from evalsuite.training.report.charts import Line, line_chart

__all__ = ["render_page", "sampled", "write_report"]

Rows = Sequence[Mapping[str, Any]]

#: Metrics with a chart of their own, in the order of the page: key, title, whether it lies between 0 and 1.
_CHARTS = (
    ("loss", "Loss", False),
    ("reward", "Reward", False),
    ("accuracy", "Accuracy", True),
    ("margin", "Margin between chosen and rejected", False),
    ("kl", "KL to the reference (nats a token)", False),
    ("entropy", "Entropy (nats a token)", False),
    ("length", "Completion length (tokens)", False),
    ("truncated", "Share cut off by the token limit", True),
    ("grad_norm", "Gradient norm", False),
    ("learning_rate", "Learning rate", False),
    ("tokens_per_second", "Tokens a second", False),
)
#: How metrics begin that say what a step's time went into.
_SECONDS = "seconds/"
_SAMPLED_STEPS = 6
_SAMPLES_PER_STEP = 4


@dataclass(frozen=True, slots=True)
class _Chart:
    title: str
    svg: str


def write_report(folder: TrainingFolder) -> Path:
    """Write ``report.html`` into a training folder, finished or not, and return its path."""
    path = folder.path / "report.html"
    write_atomically(path, _render(folder))
    return path


def render_page(template: str, **values: Any) -> str:
    """Fill one of the bundled page templates; every value is escaped but SVG marked safe there."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("evalsuite", "assets/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def _render(folder: TrainingFolder) -> str:
    provenance = _read(folder.path / "provenance.json") or _read(folder.path / "run.json")
    steps = read_rows(folder.metrics)
    return render_page(
        "training.html.jinja",
        title=str(provenance.get("recipe", {}).get("title") or folder.path.name),
        name=str(provenance.get("name") or ""),
        finished=folder.finished,
        facts=_facts(provenance, steps),
        charts=_charts(steps),
        more=_more_charts(steps),
        evaluations=_evaluations(steps),
        best=_read(folder.path / "best.json"),
        samples=sampled(read_rows(folder.samples), _SAMPLED_STEPS, _SAMPLES_PER_STEP),
        recipe=json.dumps(provenance.get("recipe", {}), indent=2, ensure_ascii=False),
    )


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _facts(provenance: Mapping[str, Any], steps: Rows) -> dict[str, str]:
    facts = {name: value.replace("`", "") for name, value in describe(provenance).items()} if provenance else {}
    if steps:
        facts |= {
            "steps": f"{steps[-1]['step']:,} of {steps[-1]['steps']:,}",
            "seconds": f"{steps[-1]['seconds']:.0f}",
        }
    return facts


def _charts(steps: Rows) -> list[_Chart]:
    charts = [
        _Chart(title, line_chart(title, [_line("", steps, key)], share=share))
        for key, title, share in _CHARTS
        if _has(steps, key)
    ]
    for key, title, share in (("solved", "Share solved, by reward", True), ("evaluation", "Development scores", True)):
        if _has(steps, key):
            charts.insert(1, _Chart(title, line_chart(title, _nested(steps, key), share=share)))
    return charts


def _more_charts(steps: Rows) -> list[_Chart]:
    """Draw what the stage measures beside: seconds in one chart, everything else that changes in its own."""
    lines = _nested(steps, "more")
    seconds = [Line(line.label.removeprefix(_SECONDS), line.x, line.y) for line in lines if _is_time(line)]
    charts = [
        _Chart(line.label, line_chart(line.label.replace("_", " "), [Line("", line.x, line.y)]))
        for line in lines
        if not _is_time(line) and len(set(line.y)) > 1
    ]
    return [*charts, *([_Chart("Seconds", line_chart("Seconds a step", seconds))] if seconds else [])]


def _is_time(line: Line) -> bool:
    return line.label.startswith(_SECONDS)


def _has(steps: Rows, key: str) -> bool:
    return any(key in step for step in steps)


def _line(label: str, steps: Rows, key: str) -> Line:
    return Line.of(label, ((step["step"], step[key]) for step in steps if key in step))


def _nested(steps: Rows, key: str) -> list[Line]:
    names = sorted({name for step in steps for name in step.get(key, {})})
    return [
        Line.of(name, ((step["step"], step[key][name]) for step in steps if name in step.get(key, {})))
        for name in names
    ]


def _evaluations(steps: Rows) -> list[tuple[int, Mapping[str, float]]]:
    return [(step["step"], step["evaluation"]) for step in steps if step.get("evaluation")]


def sampled(rows: Rows, most: int, each: int) -> list[tuple[int, Rows]]:
    """Return at most ``most`` steps, evenly from the first to the last, with the first ``each`` completions of each."""
    steps = sorted({row["step"] for row in rows})
    gaps = max(1, min(most, len(steps)) - 1)
    chosen = sorted({steps[round(i * (len(steps) - 1) / gaps)] for i in range(gaps + 1)}) if steps else []
    return [(step, _judged([row for row in rows if row["step"] == step])[:each]) for step in chosen]


def _judged(rows: Rows) -> Rows:
    """Return a row a completion, with what it was worth in words; where several rewards judged it, what each said."""
    judges: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        judges.setdefault(str(row.get("by", "")), []).append(row)
    judged = []
    for one in zip(*judges.values(), strict=False):
        said = [_worth(row["reward"]) for row in one]
        named = [f"{name} {value}" for name, value in zip(judges, said, strict=True)]
        judged.append({**one[0], "worth": ", ".join(named if len(said) > 1 else said)})
    return judged


def _worth(reward: float | None) -> str:
    return "–" if reward is None else f"{reward:.2f}"

"""A small recipe, and a run of it without anything around it."""

from __future__ import annotations

from pathlib import Path

from evalsuite.data.demo_training import generate_training
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.ppo.recipe import PpoRecipe
from evalsuite.training.ppo.trainer import train_ppo
from evalsuite.training.stage import Context

RECIPE = {
    "title": "Small",
    "stage": "ppo",
    "init": "tiny",
    "seed": 1,
    "data": {"generator": "demo_prompts", "rows": 24},
    "optimizer": {"learning_rate": 1e-3},
    "training": {"steps": 4, "batch_size": 4, "micro_batch_size": 2, "threads": 1},
    "rollouts": {"batch_size": 8, "max_tokens": 4},
    "rewards": [{"verifier": "exact_match", "reference": "answer"}],
    "scores": {"without_eos": -1.0},
    "ppo": {"epochs": 2},
    "checkpoints": {"every": 2},
}
ROWS = [{"prompt": f"Q: What is {a} + {b}?\nA:", "answer": str(a + b)} for a in range(6) for b in range(4)]


def recipe_of(**changes) -> PpoRecipe:
    """The small recipe with keys replaced: ``rollouts={"ahead": 1}`` changes one key of a table."""
    table = {key: dict(value) if isinstance(value, dict) else value for key, value in RECIPE.items()}
    for key, value in changes.items():
        table[key] = {**table.get(key, {}), **value} if isinstance(value, dict) else value
    return PpoRecipe.model_validate(table)


def arithmetic_rows():
    """Sums, largest and smallest digits, each asked for in a form that the demo model often ignores."""
    rows = generate_training("demo_prompts", {"count": 4000, "seed": 1})
    return [row for row in rows if row["skill"] in ("add", "max", "min") and row["form"] != "plain"]


class Run:
    """One run in a folder: what it reported, and its outcome."""

    def __init__(
        self, folder: Path, start: Path, recipe: PpoRecipe, rows=ROWS, resume: Path | None = None, stop_after=None
    ):
        self.steps, self.samples = [], []
        self.folder = TrainingFolder(folder)
        self.stop_after = stop_after
        context = Context(
            "small", recipe, rows, str(start), self.folder, resume, self.report, self.saved, self.keep_samples
        )
        self.outcome = train_ppo(context)

    def report(self, step):
        self.steps.append(step)

    def keep_samples(self, step, rows):
        self.samples += [{"step": step, **row} for row in rows]

    def saved(self, checkpoint, step):
        (checkpoint / "provenance.json").write_text("{}")
        if step == self.stop_after:
            raise Stopped


def norms(run: Run) -> list[float]:
    """The norms of both models' gradients, before they are clipped, step by step."""
    return [step.more["value_model_grad_norm"] for step in run.steps] + [step.grad_norm for step in run.steps]


class Stopped(Exception):
    """The run was interrupted on purpose."""

"""``evalsuite train``: make a checkpoint from a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from evalsuite.cli.console import print_json, say, show_log
from evalsuite.cli.options import Data, assignments
from evalsuite.errors import InvalidInput

__all__ = ["train"]


def train(
    recipe: Annotated[str, typer.Argument(help="A bundled recipe (demo/sft) or the path of a .toml file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe key: optimizer.learning_rate=1e-4."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The checkpoint folder.", show_default="one in runs/, named after the recipe")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show recipe, data, steps and memory needed, and stop.")
    ] = False,
    allow_overlap: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Train on prompts that overlap with evaluations; kept in the checkpoint."),
    ] = None,
    data: Data = None,
) -> None:
    """Train a model from a recipe; the result is a folder that `evalsuite run --model` takes.

    Stages: base, sft, reward_model, dpo, iterative_dpo, grpo, ppo. The folder fills with metrics.jsonl and checkpoints
    as training goes on; stop it however you like and give the same command with --resume. Prompts that overlap with
    an evaluation, and anything from an unseen task, are refused.

    Examples:

        evalsuite train demo/sft --dry-run

        evalsuite train demo/sft --output runs/my-demo --set seed=2

        evalsuite train demo/grpo --output runs/my-grpo --resume

        evalsuite train my_recipe.toml --set optimizer.learning_rate=1e-6 --data ../mirror

        accelerate launch --config_file train/tulu3_8b/accelerate.yaml -m evalsuite train tulu3_8b/sft
    """
    from evalsuite.cli.training_progress import TrainingProgress
    from evalsuite.training.checkpoint import next_step
    from evalsuite.training.processes import is_main_process
    from evalsuite.training.run import train as run_recipe

    show_log()
    if allow_overlap is not None and not allow_overlap.strip():
        raise InvalidInput('--allow-overlap "": say why overlapping prompts are trained on')
    changes = assignments(overrides, "--set")
    if dry_run:
        _preview(recipe, changes, data)
        return
    folder = output or Path("runs") / f"train-{recipe.removesuffix('.toml').replace('/', '-').strip('.-')}"
    tell = say if is_main_process() else _say_nothing
    with TrainingProgress.choose() as progress:
        done = run_recipe(
            recipe, folder, changes, progress, resume=resume, allow_overlap=allow_overlap, data=data, say=tell
        )
    tell(f"checkpoint: {done}")
    tell(next_step(done))


def _say_nothing(text: str) -> None:
    """Stay quiet beside the main process."""


def _preview(recipe: str, changes: Mapping[str, Any], data: Path | None) -> None:
    from evalsuite.training.preview import preview, summary

    shown, found = preview(recipe, changes, data)
    print_json(shown)
    for sentence in summary(shown):
        say(sentence)
    if found is not None:
        say(found.sentence())

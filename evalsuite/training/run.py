"""One training run from recipe to checkpoint folder: what is decided before a model is loaded, and around the stage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalsuite.data.hub import not_waiting_for_hub
from evalsuite.decontaminate.certificate import Certificate, check_overlap, evaluation_tasks
from evalsuite.engines.checkpoint import open_checkpoint, read_config
from evalsuite.engines.factory import resolve_model
from evalsuite.engines.identity import identity
from evalsuite.errors import InvalidInput
from evalsuite.runner.evaluate import data_mirror
from evalsuite.training.checkpoint import make_provenance, write_card
from evalsuite.training.data import LoadedData, load_data, prompt_text
from evalsuite.training.development import count_development_docs, development_tasks
from evalsuite.training.estimate import estimate, lost_updates, this_machine
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.library import load_recipe
from evalsuite.training.lora import require_peft
from evalsuite.training.processes import is_main_process
from evalsuite.training.recipe import Recipe
from evalsuite.training.report import write_report
from evalsuite.training.reward_scores import require_reward_model
from evalsuite.training.rewards import check_rewards
from evalsuite.training.session import Session
from evalsuite.training.stage import Context, Outcome, Progress
from evalsuite.training.stages import STAGES
from evalsuite.training.starting_point import PURPOSE, require_packages
from evalsuite.training.trainer import check_trl_names

__all__ = ["Plan", "Say", "plan", "train"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved recipe, ready to run: its training rows are read, its rewards exist, the wall was not crossed."""

    name: str
    recipe: Recipe
    data: LoadedData
    mirror: Path | None


def plan(name: str, overrides: Mapping[str, Any] | None = None, mirror: str | Path | None = None) -> Plan:
    """Read a recipe and its training data without touching a model.

    ``name`` and ``overrides`` are those of :func:`evalsuite.training.library.load_recipe`; ``mirror`` is a folder with
    the Hub's layout, default the environment's ``EVALSUITE_DATA``.

    Raises:
        UserError: the recipe or its data are not what they should be.
        SplitViolation: data, rewards or evaluation are on the unseen side.
    """
    recipe = load_recipe(name, overrides)
    _require_trl_names(recipe)
    found = data_mirror(mirror)
    development_tasks(recipe.evaluation, name, found)
    data = load_data(recipe, name, found)
    check_rewards(getattr(recipe, "rewards", None) or (), data.rows)
    return Plan(name, recipe, data, found)


def _require_trl_names(recipe: Recipe) -> None:
    """Check the keys of ``[trl]``, where TRL is installed; what they may hold is TRL's to say."""
    kind = STAGES[recipe.stage].trl_config
    if recipe.trl and kind is not None and find_spec("trl") is not None:
        import trl

        check_trl_names(getattr(trl, kind), {}, recipe.trl)


@not_waiting_for_hub()
def train(
    name: str,
    output: Path,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress = lambda step: None,
    *,
    resume: bool = False,
    allow_overlap: str | None = None,
    data: str | Path | None = None,
    say: Say = lambda text: None,
) -> Path:
    """Run a recipe and return its folder ``output``, which loads in Transformers and vLLM.

    The same recipe gives the same weights on the same machine with the same packages.

    Args:
        name: a bundled recipe or the path of one.
        output: a new folder, or with ``resume`` that of a run that did not come to its end.
        overrides: dotted keys of the recipe and their values.
        progress: is told of every logged step.
        resume: go on from the last complete checkpoint in ``output`` (from the beginning where there is none).
        allow_overlap: why training on prompts that overlap with evaluations is all right; kept in the checkpoint.
        data: a mirror of datasets; default the environment's ``EVALSUITE_DATA``.
        say: is told in a sentence what is being done.

    Raises:
        UserError: something about recipe, data, starting model or output folder has to be put right first.
        EvalsuiteError: training itself failed; the last complete checkpoint stays.
    """
    folder = TrainingFolder(output)
    if resume and folder.finished:
        return output
    _say_what_fits(load_recipe(name, overrides), say)
    planned = plan(name, overrides, data)
    recipe = planned.recipe
    require_peft(recipe.peft)
    count_development_docs(recipe.evaluation, name, planned.mirror)
    start = None if recipe.start is None else resolve_model(recipe.start)
    _require_checkpoints(recipe, start)
    provenance = _provenance(planned, start, allow_overlap, say)
    checkpoint = _open(folder, provenance, resume=resume)
    session = Session(recipe, folder, provenance, progress, planned.mirror)
    context = Context(
        name, recipe, planned.data.rows, start, folder, checkpoint, session.report, session.saved, session.keep_samples
    )
    with _seeded(recipe), session.running():
        _quiet()
        outcome = STAGES[recipe.stage].run(context)
        if is_main_process():
            _finish(session, outcome)
    return output


def _require_checkpoints(recipe: Recipe, start: str | None) -> None:
    """Look at everything that will be loaded: what is missing would be missed after the first rollouts."""
    if start is not None:
        open_checkpoint(start, revision=None, trust_remote_code=False, purpose=PURPOSE)
    for model in recipe.also_reads:
        read_config(resolve_model(model))
    for model in recipe.reward_models:
        require_reward_model(model)


def _finish(session: Session, outcome: Outcome) -> None:
    """Complete the folder: the best weights if they are wanted, card and report."""
    evaluation = session.recipe.evaluation
    chosen = session.take_best() if evaluation is not None and evaluation.select == "best" else {}
    done = {"parameters": outcome.parameters, "steps": outcome.steps, "final_loss": outcome.loss, **outcome.more}
    write_card(session.folder.path, {**session.provenance, **done, **chosen})
    write_report(session.folder)


def _say_what_fits(recipe: Recipe, say: Say) -> None:
    """Refuse at once what cannot work here, and say what will."""
    require_packages()
    machine = this_machine()
    found = estimate(recipe, machine)
    if found is not None:
        found.require()
        say(found.sentence())
    lost = lost_updates(recipe, machine)
    if lost is not None:
        say(lost)


def check_plan(planned: Plan, say: Say) -> Certificate:
    """Check the training prompts for overlap with the evaluations of both splits, and with the recipe's own."""
    prompts = [prompt_text(row) for row in planned.data.rows]
    own = development_tasks(planned.recipe.evaluation, planned.name, planned.mirror)
    tasks = list({task.name: task for task in [*own, *evaluation_tasks()]}.values())
    say(f"checking {len(prompts):,} training prompts for overlap with {len(tasks)} evaluation tasks")
    return check_overlap(prompts, tasks, planned.mirror)


def _provenance(planned: Plan, start: str | None, allow_overlap: str | None, say: Say) -> dict[str, Any]:
    certificate = check_plan(planned, say)
    if certificate.unchecked:
        first, reason = next(iter(certificate.unchecked.items()))
        others = f" and {len(certificate.unchecked) - 1} more" if len(certificate.unchecked) > 1 else ""
        say(f"not checked: {first}{others} ({reason})")
    allow_overlap = allow_overlap or planned.recipe.allow_overlap
    record = certificate.to_json()
    if certificate.contaminated:
        worst = certificate.contaminated[0]
        found = certificate.checked[worst]
        said = (
            f"{found.overlapping} of {found.instances} instances of {worst} ({found.split}) overlap with the training "
            f"prompts, for instance {', '.join(found.examples)}"
        )
        if allow_overlap is None:
            others = f"; so do {', '.join(certificate.contaminated[1:])}" if certificate.contaminated[1:] else ""
            raise InvalidInput(
                f"{said}{others}: take them out, or say why that is all right with --allow-overlap REASON"
            )
        say(f"{said}; accepted: {allow_overlap}")
    if allow_overlap is not None:
        record["override"] = allow_overlap
    return make_provenance(
        planned.recipe,
        name=planned.name,
        data_hash=planned.data.sha256,
        sources=planned.data.sources,
        certificate=record,
        start=start,
        start_hash=None if start is None else identity(start, None, None)["weights"],
    )


def _open(folder: TrainingFolder, provenance: Mapping[str, Any], *, resume: bool) -> Path | None:
    """Make the folder ready, on one process; the others only look for the checkpoint."""
    known = {key: provenance[key] for key in ("name", "recipe_hash", "data_hash", "recipe")}
    if is_main_process():
        return folder.open(known, resume=resume)
    return folder.latest() if resume else None


def _quiet() -> None:
    """Keep the libraries' progress bars and known warnings off the screen: the steps are the progress."""
    import datasets
    import torch
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    # DeepSpeed, where it is installed, would warn that there is no accelerator.
    if not torch.accelerator.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")


@contextmanager
def _seeded(recipe: Recipe) -> Iterator[None]:
    """Seed every random source, and hold torch to the recipe's number of threads meanwhile."""
    import torch
    from transformers import set_seed

    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.training.threads or threads)
    set_seed(recipe.seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

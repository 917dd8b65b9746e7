"""What all stages on TRL's trainers share: arguments, listening to the trainer's log, checkpoints, the end.

TRL's trainers are used as they are. Names of TRL's and Transformers' arguments stand only here and in the stages.
"""

from __future__ import annotations

import inspect
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evalsuite.errors import InvalidRecipe, UnknownName, first_line
from evalsuite.training.lora import merge_checkpoint, merged, state_of
from evalsuite.training.processes import is_main_process, process_count
from evalsuite.training.recipe import Recipe
from evalsuite.training.stage import Context, Outcome, Step

__all__ = [
    "base_arguments",
    "check_trl_names",
    "config_names",
    "make_config",
    "micro_batch",
    "run_trainer",
    "trl_refusals",
]


#: The weights of a reference that follows the policy, in a checkpoint.
_REFERENCE = "reference.pt"


def micro_batch(recipe: Recipe) -> tuple[int, int]:
    """Return rows a device takes at a time, and over how many of those gradients are accumulated.

    Raises:
        InvalidRecipe: the batch cannot be spread evenly over the processes.
    """
    processes, loop = process_count(), recipe.training
    rows = loop.micro_batch_size or max(1, loop.batch_size // processes)
    if loop.batch_size % (rows * processes):
        raise InvalidRecipe(
            f"training.batch_size {loop.batch_size} is not a multiple of {rows} rows × {processes} processes: "
            f"set training.micro_batch_size, or start another number of processes"
        )
    return rows, loop.batch_size // (rows * processes)


def base_arguments(context: Context[Any]) -> dict[str, Any]:
    """Return the ``TrainingArguments`` that every stage has, from the recipe and this machine."""
    import torch

    recipe, on_gpu = context.recipe, torch.cuda.is_available()
    rows, accumulated = micro_batch(recipe)
    return {
        "output_dir": str(context.folder.checkpoints),
        "seed": recipe.seed,
        "num_train_epochs": recipe.training.epochs or 1.0,
        "max_steps": recipe.training.steps or -1,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": accumulated,
        "learning_rate": recipe.optimizer.learning_rate,
        "lr_scheduler_type": _schedule(recipe),
        "warmup_steps": recipe.optimizer.warmup_ratio,
        "weight_decay": recipe.optimizer.weight_decay,
        "max_grad_norm": recipe.optimizer.max_grad_norm,
        "adam_beta2": recipe.optimizer.beta2 or 0.999,
        "use_cpu": not on_gpu,
        "bf16": on_gpu,
        "dataloader_pin_memory": on_gpu,
        "gradient_checkpointing": recipe.training.recomputes(on_gpu=on_gpu),
        "logging_steps": recipe.log.every,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",  # Watch says when, and rotates
        "report_to": "none",
        "disable_tqdm": True,
    }


def _schedule(recipe: Recipe) -> str:
    schedule = recipe.optimizer.schedule
    return "constant_with_warmup" if schedule == "constant" and recipe.optimizer.warmup_ratio else schedule


def make_config(kind: Any, ours: Mapping[str, Any], recipe: Recipe) -> Any:
    """Return a TRL config of class ``kind`` from the keys a recipe decides and its ``[trl]`` table.

    Raises:
        UnknownName: ``[trl]`` has a key that TRL's config lacks.
        InvalidRecipe: ``[trl]`` has a key that the recipe decides elsewhere, or a value TRL refuses.
    """
    more = recipe.trl or {}
    check_trl_names(kind, ours, more)
    with trl_refusals():
        return kind(**ours, **more)


@contextmanager
def trl_refusals() -> Iterator[None]:
    """Around making a config or a trainer: what TRL says there is about the recipe, its rows or its chat template."""
    try:
        yield
    except (TypeError, ValueError) as problem:
        raise InvalidRecipe(f"TRL refuses this recipe: {first_line(problem)}") from problem


def check_trl_names(kind: Any, ours: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    """Check the keys of a ``[trl]`` table; raises as :func:`make_config`."""
    names = config_names(kind)
    for key in more:
        if key not in names:
            raise UnknownName(f"key in [trl] ({kind.__name__})", key, names)
        if key in ours:
            raise InvalidRecipe(f"[trl] {key}: another key of the recipe decides this already")


def config_names(kind: Any) -> list[str]:
    """Return the argument names of a TRL config class."""
    return sorted(inspect.signature(kind).parameters)


def run_trainer(trainer: Any, context: Context[Any]) -> Outcome:
    """Train, from the checkpoint to resume from if there is one, and leave the model in the context's folder."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # the trainer's own log goes to stdout
    watch = Watch(context, trainer)
    trainer.add_callback(_callback(watch))
    if context.resume and _has_moving_reference(trainer):
        _load_reference(trainer, context.resume)
    with _quiet_about_tied_heads():
        trainer.train(resume_from_checkpoint=str(state_of(context.resume)) if context.resume else None)
    parameters = _parameters(trainer)
    save_model(trainer, context.folder.path)
    trainer.accelerator.wait_for_everyone()
    return Outcome(trainer.state.global_step, watch.loss, parameters, {"tokens": int(watch.tokens)})


def save_model(trainer: Any, folder: Path) -> None:
    """Write weights and tokenizer as a checkpoint that loads without any of ours: adapters are merged first."""
    model = merged(trainer.accelerator.unwrap_model(trainer.model))
    if model is None:
        trainer.save_model(str(folder))
    elif is_main_process():
        model.save_pretrained(str(folder))
    if is_main_process():
        trainer.processing_class.save_pretrained(str(folder))


@contextmanager
def _quiet_about_tied_heads() -> Iterator[None]:
    """Keep back the warning that a checkpoint has no head of its own: it is the embedding, and never saved twice."""

    def is_news(record: logging.LogRecord) -> bool:
        return "missing keys in the checkpoint model loaded: ['lm_head.weight']" not in record.getMessage()

    library = logging.getLogger("transformers.trainer")
    library.addFilter(is_news)
    try:
        yield
    finally:
        library.removeFilter(is_news)


def _has_moving_reference(trainer: Any) -> bool:
    return bool(getattr(trainer.args, "sync_ref_model", False)) and trainer.ref_model is not None


def _save_reference(trainer: Any, checkpoint: Path) -> None:
    """Keep the reference's weights: TRL's checkpoints do not, and would go on with the first reference."""
    import torch

    weights = trainer.accelerator.get_state_dict(trainer.ref_model)
    if is_main_process():
        torch.save(weights, checkpoint / _REFERENCE)


def _load_reference(trainer: Any, checkpoint: Path) -> None:
    import torch

    weights = torch.load(checkpoint / _REFERENCE, map_location="cpu", weights_only=True)
    trainer.accelerator.unwrap_model(trainer.ref_model).load_state_dict(weights)


def _parameters(trainer: Any) -> int:
    model = trainer.accelerator.unwrap_model(trainer.model)
    return int(model.num_parameters())


@dataclass
class Watch:
    """Turns the trainer's log into steps, and says when a checkpoint is due."""

    context: Context[Any]
    trainer: Any
    loss: float = math.nan
    tokens: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def log(self, logs: Mapping[str, float], step: int, steps: int) -> None:
        """Report one log of the trainer; logs without a loss (the summary at the end) are none."""
        if "loss" not in logs:
            return
        self.loss = float(logs["loss"])
        now, tokens = time.monotonic(), logs.get("num_tokens")
        speed = (tokens - self.tokens) / (now - self._since) if tokens and now > self._since else None
        self.tokens, self._since = tokens or self.tokens, now
        self.context.report(step_of(logs, step, steps, speed))

    def count_on(self, history: Sequence[Mapping[str, float]]) -> None:
        """Go on counting tokens where the checkpoint was: TRL's trainers that count for themselves start from none."""
        counted = [entry["num_tokens"] for entry in history if "num_tokens" in entry]
        if counted and hasattr(self.trainer, "_total_train_tokens"):
            self.tokens = self.trainer._total_train_tokens = counted[-1]

    def due(self, step: int) -> bool:
        """Whether the trainer is to save now. Rollouts in memory are not saved, so it waits for a fresh one."""
        return self.context.due(step)

    def saved(self, checkpoint: Path, step: int) -> None:
        """Complete a checkpoint, on every process; what that takes is not counted to the tokens a second."""
        began = time.monotonic()
        accelerator = self.trainer.accelerator
        if _has_moving_reference(self.trainer):
            _save_reference(self.trainer, checkpoint)
        accelerator.wait_for_everyone()
        if is_main_process():
            merge_checkpoint(accelerator.unwrap_model(self.trainer.model), self.trainer.processing_class, checkpoint)
        self.context.saved(checkpoint, step)
        accelerator.wait_for_everyone()
        self._since += time.monotonic() - began


#: What TRL's trainers call the things a step has.
_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "learning_rate": ("learning_rate",),
        "grad_norm": ("grad_norm",),
        "reward": ("reward",),
        "kl": ("kl",),
        "entropy": ("entropy",),
        "length": ("completions/mean_length",),
        "truncated": ("completions/clipped_ratio",),
        "accuracy": ("rewards/accuracies", "accuracy", "mean_token_accuracy"),
        "margin": ("rewards/margins", "margin"),
    }
)
_SOLVED = "solved/"


def step_of(logs: Mapping[str, float], step: int, steps: int, speed: float | None) -> Step:
    """Return a trainer's log as a step; names the trainers share get our names, the rest goes to ``more``."""
    taken = {"loss", "num_tokens", "epoch"}
    values: dict[str, Any] = {}
    for name, theirs in _NAMES.items():
        found = next((key for key in theirs if key in logs), None)
        if found is not None:
            values[name] = float(logs[found])
            taken.add(found)
    solved = {key.removeprefix(_SOLVED): float(value) for key, value in logs.items() if key.startswith(_SOLVED)}
    more = {
        key: float(value)
        for key, value in logs.items()
        if key not in taken and not key.startswith(_SOLVED) and isinstance(value, int | float)
    }
    tokens = logs.get("num_tokens")
    return Step(
        step=step,
        steps=steps,
        loss=float(logs["loss"]),
        solved=solved,
        tokens=None if tokens is None else int(tokens),
        tokens_per_second=None if speed is None else round(speed, 1),
        more=more,
        **values,
    )


def _callback(watch: Watch) -> Any:
    from transformers import TrainerCallback

    class Listener(TrainerCallback):  # type: ignore[misc]
        """Hands the trainer's events to ``watch``."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch.count_on(state.log_history)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            watch.log(logs or {}, state.global_step, state.max_steps)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_log |= state.global_step == state.max_steps
            control.should_save |= watch.due(state.global_step)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch.saved(watch.context.folder.checkpoint(state.global_step), state.global_step)

    return Listener()

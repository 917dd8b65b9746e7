"""Supervised training on completions, by TRL's ``SFTTrainer``: the base and the fine-tuning stage are both this."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.errors import EvalsuiteError
from evalsuite.training.recipe import Recipe

__all__ = ["Progress", "Step", "train_supervised"]


@dataclass(frozen=True, slots=True)
class Step:
    """How far training is: ``loss`` is the mean over the steps since the last report."""

    step: int
    steps: int
    loss: float


Progress = Callable[[Step], None]

_REPORTS = 20


def train_supervised(
    model: Any, tokenizer: Any, rows: Sequence[dict[str, Any]], recipe: Recipe, progress: Progress
) -> float:
    """Train ``model`` in place on the ``completion`` of every row, given its ``prompt``; return the last reported loss.

    Both are plain text, or both lists of chat messages that the tokenizer's template renders. Prompt tokens carry no
    loss. Runs on a GPU in bfloat16 where there is one, else in float32.

    Raises:
        EvalsuiteError: the loss is no number any more.
    """
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback
    from trl import SFTTrainer

    disable_progress_bars()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = SFTTrainer(
            model=model,
            args=_arguments(recipe, scratch),
            train_dataset=Dataset.from_list(list(rows)),
            processing_class=tokenizer,
            callbacks=[_reporter(progress)],
        )
        trainer.remove_callback(PrinterCallback)  # the trainer's own log goes to stdout
        trainer.train()
    return next(float(entry["loss"]) for entry in reversed(trainer.state.log_history) if "loss" in entry)


def _arguments(recipe: Recipe, folder: str) -> Any:
    import torch
    from trl import SFTConfig

    on_gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=folder,
        seed=recipe.seed,
        num_train_epochs=recipe.training.epochs,
        per_device_train_batch_size=recipe.training.batch_size,
        max_length=recipe.training.max_length,
        learning_rate=recipe.optimizer.learning_rate,
        lr_scheduler_type=recipe.optimizer.schedule,
        warmup_steps=round(recipe.optimizer.warmup_ratio * recipe.steps),
        weight_decay=recipe.optimizer.weight_decay,
        max_grad_norm=recipe.optimizer.max_grad_norm,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        dataloader_pin_memory=on_gpu,
        gradient_checkpointing=on_gpu,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=max(1, recipe.steps // _REPORTS),
        logging_nan_inf_filter=False,
    )


def _reporter(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]
        """Hands the trainer's log to ``progress``."""

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            loss = (logs or {}).get("loss")
            if loss is None:
                return
            if not abs(loss) < float("inf"):
                raise EvalsuiteError(f"the loss is {loss} at step {state.global_step}: lower optimizer.learning_rate")
            progress(Step(state.global_step, state.max_steps, loss))

    return Reporter()

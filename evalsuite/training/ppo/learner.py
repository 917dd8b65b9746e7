"""A model that learns, with its optimizer: gradients of batches and processes add up, then one step is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.errors import EvalsuiteError
from evalsuite.training.ppo.experience import Batch
from evalsuite.training.recipe import Optimizer

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Learner", "learning_rate_share", "make_learner"]


@dataclass(frozen=True, slots=True)
class Learner:
    """A prepared model and its optimizer, with an accelerator of their own: DeepSpeed has one engine an accelerator.

    ``updates`` is how many optimizer steps the run will take, ``settings`` the recipe's, ``name`` what messages say.
    """

    name: str
    accelerator: Any
    model: Any
    optimizer: Any
    settings: Optimizer
    updates: int

    def descend(self, batches: Sequence[Batch], loss: Callable[[Any, Batch], Tensor], done: int) -> tuple[float, float]:
        """Take one optimizer step, after ``done`` others, against the sum of ``loss(model, batch)`` over all processes.

        Returns this process's part of the loss and the norm of the gradient. Every process passes equally many batches.

        Raises:
            EvalsuiteError: loss or gradient are no numbers any more. Weights are those from before (under DeepSpeed,
                which steps by itself, those of a checkpoint).
        """
        accelerator = self.accelerator
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(done)
        total = 0.0
        for number, batch in enumerate(batches, start=1):
            last = number == len(batches)
            accelerator.sync_gradients = last
            with nullcontext() if last else accelerator.no_sync(self.model):
                part = loss(self.model, batch)
                self._require_number("loss", float(part.detach()), done)
                # Processes' gradients are averaged, and the loss is a sum. DeepSpeed's last backward pass is a step.
                accelerator.backward(part * accelerator.num_processes)
            total += float(part.detach())
        norm = float(accelerator.clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm))
        self._require_number("gradient's norm", norm, done)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total, norm

    def _require_number(self, what: str, value: float, done: int) -> None:
        if not math.isfinite(value):
            raise EvalsuiteError(
                f"the {what} of the {self.name} is {value} after {done} updates: lower its learning rate "
                f"(now {self.learning_rate(done):g})"
            )

    def learning_rate(self, done: int) -> float:
        """Return the learning rate of the update after ``done`` others."""
        return self.settings.learning_rate * learning_rate_share(self.settings, done, self.updates)


def make_learner(name: str, model: Any, accelerator: Any, settings: Optimizer, updates: int) -> Learner:
    """Return ``model`` with an AdamW, both prepared for the processes of the run."""
    import torch

    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, settings.beta2 or 0.999),
        weight_decay=settings.weight_decay,
        fused=accelerator.device.type in ("cpu", "cuda"),
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    return Learner(name, accelerator, model, optimizer, settings, updates)


def learning_rate_share(settings: Optimizer, done: int, updates: int) -> float:
    """Return which share of the learning rate an update gets: warm-up from zero, then the schedule down to zero."""
    warmup = round(settings.warmup_ratio * updates)
    if done < warmup:
        return done / warmup
    progress = (done - warmup) / max(1, updates - warmup)
    match settings.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2

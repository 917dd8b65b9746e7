"""Where a run stands, in a checkpoint's folder: enough to go on as if nothing had happened.

Beside the policy as a plain checkpoint::

    trainer/policy/  trainer/value/    weights, optimizer and random states, as accelerate writes them
    trainer/reference/                 the moving reference
    trainer/progress.json              step, β, value scale, and episodes that were drawn ahead
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import RunMismatch
from evalsuite.training.ppo.kl import KlCoefficient
from evalsuite.training.ppo.learner import Learner
from evalsuite.training.ppo.rollout import Episode
from evalsuite.training.ppo.setup import Models
from evalsuite.training.ppo.value_model import ValueScale

__all__ = ["Progress", "load_learners", "load_progress", "reference_of", "save_model", "save_state"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run knows beside its models after ``step`` steps.

    The position among the prompts and all random orders follow from the step and the recipe's seed. ``ahead`` are all
    processes' episodes of the next step, where they are drawn ahead; ``tokens`` were processed so far.
    """

    step: int
    coefficient: KlCoefficient
    scale: ValueScale
    tokens: int = 0
    ahead: Sequence[Episode] | None = None


def save_state(folder: Path, models: Models, progress: Progress, tokenizer: Any, *, moving: bool) -> None:
    """Write everything into ``folder``; call it on every process. ``moving`` says whether the reference moves."""
    save_model(models.policy, folder, tokenizer)
    for name, learner in (("policy", models.policy), ("value", models.value)):
        # As pickles of tensors: safetensors would warn about tied weights every time.
        learner.accelerator.save_state(str(folder / "trainer" / name), safe_serialization=False)
    accelerator = models.policy.accelerator
    if moving and models.reference is not None:
        _save_weights(accelerator, models.reference, folder / "trainer" / "reference")
    if accelerator.is_main_process:
        (folder / "trainer" / "progress.json").write_text(json.dumps(asdict(progress)) + "\n", encoding="utf-8")
    accelerator.wait_for_everyone()


def save_model(policy: Learner, folder: Path, tokenizer: Any) -> None:
    """Write the policy as a checkpoint that loads anywhere; call it on every process."""
    _save_weights(policy.accelerator, policy.model, folder)
    if policy.accelerator.is_main_process:
        tokenizer.save_pretrained(str(folder))


def _save_weights(accelerator: Any, model: Any, folder: Path) -> None:
    state, whole = accelerator.get_state_dict(model), accelerator.unwrap_model(model)
    if not accelerator.is_main_process:  # of sharded weights, the others have none
        return
    # Put together from shards, tied weights no longer share memory, by which Transformers tells them.
    tied = getattr(whole, "all_tied_weights_keys", {})
    state = {name: weights for name, weights in state.items() if name not in tied}
    whole.save_pretrained(str(folder), state_dict=state, save_function=accelerator.save)


def load_progress(folder: Path) -> Progress:
    """Return the progress of a checkpoint.

    Raises:
        RunMismatch: the folder was saved by another stage.
    """
    path = folder / "trainer" / "progress.json"
    if not path.is_file():
        raise RunMismatch(f"{folder} is no checkpoint of stage 'ppo': it has no {path.relative_to(folder)}")
    record = json.loads(path.read_text(encoding="utf-8"))
    ahead = record["ahead"]
    return Progress(
        step=record["step"],
        coefficient=KlCoefficient(**record["coefficient"]),
        scale=ValueScale(**record["scale"]),
        tokens=record["tokens"],
        ahead=None if ahead is None else [Episode(**{**one, "tokens": tuple(one["tokens"])}) for one in ahead],
    )


def reference_of(folder: Path | None, start: str) -> str:
    """Return the checkpoint of the reference: the moved one of a checkpoint, else where training started."""
    moved = folder / "trainer" / "reference" if folder else None
    return str(moved) if moved is not None and moved.is_dir() else start


def load_learners(folder: Path, models: Models) -> None:
    """Put weights, optimizers and random states back; call it on every process."""
    models.policy.accelerator.load_state(str(folder / "trainer" / "policy"))
    models.value.accelerator.load_state(str(folder / "trainer" / "value"))

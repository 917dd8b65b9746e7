"""What a recipe needs of a machine's memory, before anything is loaded: an estimate, and whether it fits.

Weights, gradients and optimizer state are counted exactly for the given types; activations follow Korthikanti et al.
2022 (https://arxiv.org/abs/2205.05198, equation 1 without the attention scores, which fused attention does not keep):
34 bytes a token, layer and unit of hidden size in 16 bits. What generation keeps is not counted, and a prompt is taken
to be as long as a completion where nothing else is said.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.engines.factory import resolve_model
from evalsuite.errors import InvalidInput
from evalsuite.training.grpo import GrpoRecipe
from evalsuite.training.iterative_dpo import IterativeDpoRecipe
from evalsuite.training.ppo.recipe import PpoRecipe
from evalsuite.training.preference import DpoRecipe, RewardModelRecipe
from evalsuite.training.processes import process_count
from evalsuite.training.recipe import Lora, Recipe, Size
from evalsuite.training.sft import BaseRecipe

__all__ = ["Estimate", "Machine", "estimate", "model_size", "this_machine"]

GB = 1e9
_ACTIVATION_BYTES = 34
_CHECKPOINTED_BYTES = 2


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory in bytes that one process can use, and what of the model's state is spread over the processes."""

    memory: float
    gpu: str | None
    processes: int
    spread: frozenset[str]
    """Of ``weights``, ``gradients``, ``optimizer``: parts that every process has its share of."""

    def __str__(self) -> str:
        """Say what there is."""
        size = f"{self.memory / GB:.0f} GB"
        where = f"{self.gpu}, {size} each" if self.gpu else f"no GPU, {size} of memory"
        return f"{where}, {self.processes} processes" if self.processes > 1 else where


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes a process needs, by part, for a model of ``parameters`` of which ``trained`` change."""

    parameters: int
    trained: int
    parts: Mapping[str, float]
    machine: Machine

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(self.parts.values())

    @property
    def state(self) -> float:
        """What is needed for certain: everything but activations."""
        return self.total - self.parts["activations"]

    @property
    def fits(self) -> bool:
        """Whether all of it fits into the memory there is."""
        return self.total <= self.machine.memory

    def sentence(self) -> str:
        """Return the verdict in one line."""
        needs = f"{_count(self.parameters)} parameters need about {_gigabytes(self.total)} a process ({self.machine})"
        return f"{needs}: fits" if self.fits else f"{needs}: will not fit"

    def require(self) -> None:
        """Refuse what cannot work: the state alone is larger than the memory.

        Raises:
            InvalidInput: it is; the message names ways out.
        """
        if self.state > self.machine.memory:
            room = int(self.machine.memory / self.state * self.parameters)
            raise InvalidInput(
                f"{self.sentence()} ({_count(room)} would); take more GPUs (accelerate launch with a DeepSpeed or FSDP "
                f"file), training.dtype = 'bfloat16', a [peft] table, or a smaller model"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain data, in GB."""
        return {
            "parameters": self.parameters,
            "trained_parameters": self.trained,
            "gigabytes": {name: round(value / GB, 3) for name, value in self.parts.items()},
            "total_gigabytes": round(self.total / GB, 3),
            "machine": str(self.machine),
            "fits": self.fits,
        }


def estimate(recipe: Recipe, machine: Machine) -> Estimate | None:
    """Return what a recipe needs, None if the size of its model cannot be found out."""
    size = model_size(recipe)
    if size is None:
        return None
    trained = size.parameters if recipe.peft is None else _adapter_parameters(size, recipe.peft)
    width = 2 if recipe.training.dtype == "bfloat16" else 4
    # Launchers that spread the state keep a copy of 16-bit weights, and their moments, in single precision.
    moments = 12 if width == 2 and machine.spread else 2 * width
    parts: dict[str, float] = {
        "weights": size.parameters * width,
        "gradients": trained * width,
        "optimizer": trained * moments,
    }
    for name, learns in other_models(recipe).items():
        count = (
            value_size(recipe, size).parameters
            if isinstance(recipe, PpoRecipe) and name == "value"
            else size.parameters
        )
        parts[name] = count * (2 * width + moments if learns else width)
    shared = {"reference", "value"} if "weights" in machine.spread else set()
    for name in parts:
        if name in machine.spread | shared:
            parts[name] /= machine.processes
    parts["activations"] = _activations(recipe, size, on_gpu=machine.gpu is not None)
    return Estimate(size.parameters, trained, parts, machine)


def lost_updates(recipe: Recipe, machine: Machine) -> str | None:
    """Return a warning where weights are updated in 16 bits, and nothing keeps a copy of them in single precision."""
    if recipe.training.dtype != "bfloat16" or recipe.peft is not None or machine.spread:
        return None
    return (
        f"weights in bfloat16 lose every update below 1/512 of a weight, most of them at learning rate "
        f"{recipe.optimizer.learning_rate:g}: use accelerate launch with a DeepSpeed or FSDP file, which keep a copy "
        f"in single precision, or set training.dtype = 'float32'"
    )


def other_models(recipe: Recipe) -> dict[str, bool]:
    """Return the models a stage has beside the policy, and whether they learn."""
    match recipe:
        case DpoRecipe() | IterativeDpoRecipe():
            return {} if recipe.peft else {"reference": False}
        case GrpoRecipe():
            return {"reference": False} if recipe.grpo.beta and not recipe.peft else {}
        case PpoRecipe():
            return {"value": True} | ({"reference": False} if recipe.needs_reference else {})
        case _:
            return {}


def model_size(recipe: Recipe) -> Size | None:
    """Return the size of the starting model: from its config, or from the recipe's ``[size]``."""
    if isinstance(recipe, BaseRecipe):
        table = recipe.model
        h, i, n, v = table.hidden_size, table.intermediate_size, table.num_hidden_layers, recipe.tokenizer.vocab_size
        embeddings = v * h * (1 if table.tie_word_embeddings else 2)
        count = embeddings + n * (4 * h * h + 3 * h * i + 2 * h) + h
        return Size(parameters=count, hidden_size=h, layers=n, vocab_size=v)
    return _size_of(recipe.start or "") or recipe.size


def value_size(recipe: PpoRecipe, policy: Size) -> Size:
    """Return the size of the value model, which may start from another model than the policy."""
    return (recipe.value.init and _size_of(recipe.value.init)) or recipe.value.size or policy


def _size_of(model: str) -> Size | None:
    """Return the size of a model whose config lies on this machine."""
    path = Path(resolve_model(model))
    return _measured(path) if (path / "config.json").is_file() else None


def _measured(path: Path) -> Size:
    """Build the model without memory and count."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    text = config.get_text_config()
    return Size(
        parameters=model.num_parameters(),
        hidden_size=text.hidden_size,
        layers=text.num_hidden_layers,
        vocab_size=text.vocab_size,
    )


def _adapter_parameters(size: Size, lora: Lora) -> int:
    """Adapters of rank r on the seven linear maps of a layer: about 18 r hidden sizes (Llama's proportions)."""
    return 18 * lora.r * size.hidden_size * size.layers


def _activations(recipe: Recipe, size: Size, *, on_gpu: bool) -> float:
    loop = recipe.training
    rows = loop.micro_batch_size or max(1, loop.batch_size // process_count())
    if isinstance(recipe, DpoRecipe | IterativeDpoRecipe | RewardModelRecipe):
        rows *= 2
    tokens = rows * _length(recipe)
    width = 1.0 if on_gpu or loop.dtype == "bfloat16" else 2.0  # the formula is in 16 bits
    whole, kept = _ACTIVATION_BYTES * size.hidden_size, _CHECKPOINTED_BYTES * size.hidden_size
    layers = kept * size.layers + whole if loop.recomputes(on_gpu=on_gpu) else whole * size.layers
    logits = 2 * 4 * size.vocab_size  # in float32, with their gradient
    return tokens * (layers * width + logits)


def _length(recipe: Recipe) -> int:
    """Return the tokens of the longest sequence."""
    if isinstance(recipe, PpoRecipe):
        longest = recipe.rollouts.max_tokens
        return longest + (recipe.rollouts.max_prompt_tokens or longest)
    if isinstance(recipe, GrpoRecipe):
        return recipe.rollouts.max_model_tokens or 2 * recipe.rollouts.max_tokens
    return int(getattr(recipe.training, "max_length", 0))


def this_machine() -> Machine:
    """Return what this machine has; the launcher says in the environment how state is spread."""
    gpu, memory = _gpu()
    if memory is None:
        memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) / max(1, process_count())
    return Machine(memory, gpu, process_count(), _spread())


def _gpu() -> tuple[str | None, float | None]:
    import torch

    if not torch.cuda.is_available():
        return None, None
    properties = torch.cuda.get_device_properties(0)
    return f"{torch.cuda.device_count()} × {properties.name}", float(properties.total_memory)


def _spread() -> frozenset[str]:
    environment = os.environ
    if environment.get("ACCELERATE_USE_FSDP") == "true" or environment.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3":
        return frozenset({"weights", "gradients", "optimizer"})
    if environment.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "2":
        return frozenset({"gradients", "optimizer"})
    return frozenset()


def _gigabytes(size: float) -> str:
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 1e6:.0f} MB"


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.2f} M"

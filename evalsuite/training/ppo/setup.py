"""What a run is made of: prompts in tokens, three models, a sampler. Everything here happens once."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.data.load import Row
from evalsuite.engines.base import Sampling
from evalsuite.engines.chat import PromptTokenizer
from evalsuite.engines.checkpoint import Checkpoint, open_checkpoint
from evalsuite.engines.factory import resolve_model
from evalsuite.errors import InvalidRecipe
from evalsuite.prompts.messages import ChatPrompt, Message, TextPrompt
from evalsuite.training.ppo.learner import Learner, make_learner
from evalsuite.training.ppo.recipe import PpoRecipe
from evalsuite.training.ppo.reference import freeze
from evalsuite.training.ppo.rollout import Prompt
from evalsuite.training.ppo.samplers import NotingSampler, ReplicaSampler, Sampler, TransformersSampler
from evalsuite.training.ppo.value_model import load_value_model
from evalsuite.training.processes import whole_models
from evalsuite.training.starting_point import PURPOSE, dtype_of, load_causal_lm

__all__ = ["Models", "encode", "make_models", "make_sampler", "open_start"]

log = logging.getLogger("evalsuite")


@dataclass(frozen=True, slots=True)
class Models:
    """The policy and the value model, which learn, and the reference, ``None`` where divergence costs nothing."""

    policy: Learner
    value: Learner
    reference: Any


def open_start(path: str) -> tuple[Checkpoint, PromptTokenizer]:
    """Return config and tokenizer of the checkpoint training starts from."""
    checkpoint = open_checkpoint(path, revision=None, trust_remote_code=False, purpose=PURPOSE)
    return checkpoint, PromptTokenizer(checkpoint)


def encode(rows: Sequence[Row], tokenizer: PromptTokenizer, recipe: PpoRecipe) -> list[Prompt]:
    """Return the rows' prompts in tokens; ``prompt`` is text, or a list of messages for the chat template.

    Rows whose prompts are too long are left out, with a warning.

    Raises:
        InvalidRecipe: no prompt fits, or the longest one and the longest completion do not fit together.
    """
    context, longest = tokenizer.checkpoint.context, recipe.rollouts.max_tokens
    limit = recipe.rollouts.max_prompt_tokens or max(1, context - longest)
    if limit + longest > context:
        raise InvalidRecipe(
            f"prompts of {limit} and completions of {longest} tokens do not fit into the model's context of {context}: "
            f"lower rollouts.max_tokens or rollouts.max_prompt_tokens"
        )
    written = [_prompt(row["prompt"]) for row in rows]
    encoded = tokenizer.encode_prompts(written)
    prompts = [
        Prompt(row, tuple(tokens), tokenizer.render(text))
        for row, tokens, text in zip(rows, encoded, written, strict=True)
        if len(tokens) <= limit
    ]
    if not prompts:
        raise InvalidRecipe(f"no prompt has at most {limit} tokens: raise rollouts.max_prompt_tokens")
    if len(prompts) < len(rows):
        log.warning(
            "%d of %d prompts have more than %d tokens and are left out", len(rows) - len(prompts), len(rows), limit
        )
    return prompts


def _prompt(prompt: Any) -> TextPrompt | ChatPrompt:
    if isinstance(prompt, str):
        return TextPrompt(prompt)
    return ChatPrompt(tuple(Message(turn["role"], turn["content"]) for turn in prompt))


def make_models(recipe: PpoRecipe, start: str, reference: str) -> Models:
    """Load and prepare the models; ``reference`` is the checkpoint that divergence is measured against.

    Raises:
        InvalidRecipe: batches cannot be spread evenly over the processes.
    """
    # The accelerators come first: with ZeRO 3, models are spread over the processes as they are read.
    accelerator, value_accelerator = make_accelerator(recipe), make_accelerator(recipe)
    check_spread(recipe, accelerator.num_processes)
    policy_model = load_causal_lm(start, recipe)
    value_model = load_value_model(resolve_model(recipe.value.init) if recipe.value.init else start, dtype_of(recipe))
    for model in (policy_model, value_model):
        without_dropout(model)
        if recipe.training.recomputes(on_gpu=accelerator.device.type == "cuda"):
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.train()
    value_settings = recipe.optimizer.model_copy(
        update={"learning_rate": recipe.value.learning_rate or recipe.optimizer.learning_rate}
    )
    policy = make_learner("policy", policy_model, accelerator, recipe.optimizer, recipe.updates)
    value = make_learner("value model", value_model, value_accelerator, value_settings, recipe.updates)
    return Models(policy, value, _reference(recipe, reference, accelerator) if recipe.needs_reference else None)


def check_spread(recipe: PpoRecipe, processes: int) -> None:
    """Raise :class:`InvalidRecipe` unless every process gets equally many completions of every minibatch."""
    share, rest = divmod(recipe.training.batch_size, processes)
    micro = recipe.training.micro_batch_size or share
    if rest or share % micro:
        raise InvalidRecipe(
            f"training.batch_size {recipe.training.batch_size} cannot be spread over {processes} processes in "
            f"portions of training.micro_batch_size {micro}"
        )


def make_accelerator(recipe: PpoRecipe) -> Any:
    """Return an accelerator for this machine, or as ``accelerate launch`` says."""
    import torch
    from accelerate import Accelerator

    on_gpu = torch.cuda.is_available()
    precision = None if "ACCELERATE_MIXED_PRECISION" in os.environ else ("bf16" if on_gpu else "no")
    accelerator = Accelerator(cpu=not on_gpu, mixed_precision=precision)
    plugin = accelerator.state.deepspeed_plugin
    if plugin is not None:
        # Its engine clips gradients by itself, and wants a batch size, which it would read from a data loader.
        share = recipe.training.batch_size // accelerator.num_processes
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = recipe.training.micro_batch_size or share
        plugin.deepspeed_config["gradient_clipping"] = recipe.optimizer.max_grad_norm
    return accelerator


def without_dropout(model: Any) -> None:
    """Switch every dropout off: sampled and learned log-probabilities must be those of one model."""
    from torch.nn import Dropout

    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):  # of attention, of whole layers
                setattr(module, name, 0.0)


def _reference(recipe: PpoRecipe, path: str, accelerator: Any) -> Any:
    """Load a model that does not learn: sharded where the policy is, whole on the device elsewhere.

    One that moves has weights in single precision: in half precision small moves would be rounded away.
    """
    moves = recipe.reference.ema > 0
    model = load_causal_lm(path, recipe, dtype="float32" if moves else None)
    kind = str(accelerator.distributed_type.value)
    if kind == "FSDP":
        from trl.models.utils import prepare_fsdp

        return freeze(prepare_fsdp(model, accelerator))
    if kind == "DEEPSPEED":
        from trl.models.utils import prepare_deepspeed

        model = prepare_deepspeed(model, accelerator)
        if moves and next(model.parameters()).dtype.itemsize < 4:
            raise InvalidRecipe(
                "reference.ema cannot move a reference in half precision, which is what DeepSpeed makes of it: "
                "use FSDP, or mixed_precision: no"
            )
        return freeze(model)
    # An accelerator of its own: what it prepares is not saved with the policy.
    return freeze(make_accelerator(recipe).prepare_model(model, evaluation_mode=True))


def make_sampler(recipe: PpoRecipe, start: str, tokenizer: PromptTokenizer, policy: Learner) -> Sampler:
    """Return who draws the completions, with the policy's weights.

    Raises:
        UserError: vLLM is asked for and not installed, or cannot be used on this machine.
    """
    rollouts, accelerator = recipe.rollouts, policy.accelerator
    sampling = Sampling(
        max_tokens=rollouts.max_tokens,
        temperature=rollouts.temperature,
        top_p=rollouts.top_p,
        top_k=rollouts.top_k,
        seed=recipe.seed,
    )
    sampler = _sampler(recipe, start, tokenizer, policy, sampling)
    sampler.synchronise(policy.model)
    accelerator.wait_for_everyone()
    return sampler


def _sampler(recipe: PpoRecipe, start: str, tokenizer: PromptTokenizer, policy: Learner, sampling: Sampling) -> Sampler:
    rollouts, accelerator = recipe.rollouts, policy.accelerator
    eos_ids = tokenizer.checkpoint.eos_ids
    if rollouts.engine == "vllm":
        from evalsuite.training.ppo.vllm_sampler import VllmSampler

        length = (
            rollouts.max_prompt_tokens or tokenizer.checkpoint.context - rollouts.max_tokens
        ) + rollouts.max_tokens
        return VllmSampler(
            start,
            sampling,
            eos_ids,
            max_length=length,
            memory=rollouts.gpu_memory_utilization,
            processes=accelerator.num_processes,
        )
    if rollouts.engine == "vllm_server":
        from evalsuite.training.ppo.vllm_server import VllmServerSampler

        return VllmServerSampler(rollouts.server, sampling, eos_ids, accelerator, rollouts.weights_folder)
    rows = rollouts.generation_batch_size
    if rollouts.ahead or str(accelerator.distributed_type.value) in ("DEEPSPEED", "FSDP"):
        with whole_models():
            replica = freeze(load_causal_lm(start, recipe).to(accelerator.device))
        return ReplicaSampler(replica, tokenizer, sampling, rows)
    model = accelerator.unwrap_model(policy.model)
    precise = accelerator.mixed_precision == "no" and model.dtype.itemsize >= 4
    return (NotingSampler if precise else TransformersSampler)(model, tokenizer, sampling, rows)

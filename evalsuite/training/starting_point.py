"""Models and tokenizers from where training starts."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.errors import InvalidInput, MissingExtra
from evalsuite.training.recipe import Recipe

__all__ = [
    "PURPOSE",
    "end_tokens",
    "load_causal_lm",
    "load_tokenizer",
    "new_reward_model",
    "require_chat_template",
    "require_packages",
]

PURPOSE = "training"


def require_packages() -> None:
    """Raise :class:`~evalsuite.errors.MissingExtra` unless everything TRL's stages need is installed."""
    for package in ("torch", "transformers", "trl"):
        if find_spec(package) is None:
            raise MissingExtra(package, "train", PURPOSE)


def load_tokenizer(start: str, chat_template: str | None = None) -> Any:
    """Return the tokenizer of a checkpoint, with another chat template if one is given, and with a padding token."""
    tokenizer = open_checkpoint(start, revision=None, trust_remote_code=False, purpose=PURPOSE).tokenizer
    if chat_template is not None:
        tokenizer.chat_template = chat_template.strip()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def require_chat_template(start: str, tokenizer: Any, prompt: Any) -> None:
    """Raise :class:`~evalsuite.errors.InvalidInput` where prompts are messages and the model has no chat template."""
    if not isinstance(prompt, str) and tokenizer.chat_template is None:
        raise InvalidInput(
            f"{start} has no chat template, and the prompts are messages: fine-tune it first (stage sft, chat_template)"
        )


def end_tokens(start: str, tokenizer: Any) -> tuple[int, ...]:
    """Return every token that ends a completion."""
    opened = open_checkpoint(start, revision=None, trust_remote_code=False, purpose=PURPOSE)
    return tuple(sorted(opened.eos_ids | {tokenizer.eos_token_id}))


def dtype_of(recipe: Recipe) -> Any:
    """Return torch's dtype of the weights in training."""
    import torch

    return torch.bfloat16 if recipe.training.dtype == "bfloat16" else torch.float32


def load_causal_lm(start: str, recipe: Recipe, dtype: str | None = None) -> Any:
    """Return the language model of a checkpoint, its weights of the recipe's ``dtype`` unless another one is given.

    Its ``config._name_or_path`` is ``start``: TRL reads reference models from there, not from the object's weights
    (training spec §0, fact 4), so ``start`` has to stay what it is while training goes on.
    """
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(start, dtype=dtype or dtype_of(recipe))
    except OSError as problem:
        raise InvalidInput(f"the weights of {start} cannot be read: {str(problem).splitlines()[0]}") from problem


def new_reward_model(start: str, recipe: Recipe, pad_token_id: int) -> Any:
    """Return a language model with its head replaced by one score, drawn from N(0, 1/(h+1)) for hidden size h.

    That is the initialisation of Tülu 3's reward model (training spec §4: standard deviation 1/sqrt(h+1)); Transformers
    would use its own. The random source is torch's global one.
    """
    from torch import nn
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1, dtype=dtype_of(recipe))
    model.config.pad_token_id = pad_token_id
    nn.init.normal_(model.score.weight, std=1 / math.sqrt(model.config.hidden_size + 1))
    return model

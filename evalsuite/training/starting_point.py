"""Models and tokenizers from where training starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from evalsuite.engines.chat import PromptTokenizer
from evalsuite.engines.checkpoint import open_checkpoint, read_config
from evalsuite.errors import InvalidInput, MissingExtra, first_line
from evalsuite.training.recipe import Recipe
from evalsuite.training.weights import gathered

__all__ = [
    "PURPOSE",
    "dtype_of",
    "end_tokens",
    "head_of",
    "load_causal_lm",
    "load_tokenizer",
    "new_reward_model",
    "require_chat_template",
    "require_packages",
    "without_loading_report",
]

PURPOSE = "training"


def require_packages() -> None:
    """Raise :class:`~evalsuite.errors.MissingExtra` unless everything TRL's stages need is installed."""
    for package in ("torch", "transformers", "trl"):
        if find_spec(package) is None:
            raise MissingExtra(package, "train", PURPOSE)


def load_tokenizer(start: str, chat_template: str | None = None) -> Any:
    """Return the tokenizer of a checkpoint, with another chat template if one is given, and with a padding token.

    Where it puts a token (BOS) in front of every text, conversations get it from their template, as they do in
    rollouts and evaluations.
    """
    opened = open_checkpoint(start, revision=None, trust_remote_code=False, purpose=PURPOSE)
    tokenizer = opened.tokenizer
    if chat_template is not None:
        tokenizer.chat_template = chat_template.strip()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if PromptTokenizer(opened).bos is not None:
        written = tokenizer.chat_template
        if isinstance(written, dict):
            tokenizer.chat_template = {name: _with_bos(tokenizer, template) for name, template in written.items()}
        elif written is not None:
            tokenizer.chat_template = _with_bos(tokenizer, written)
    return tokenizer


def _with_bos(tokenizer: Any, template: str) -> str:
    """Return the chat template with BOS in front, unless it writes that itself."""
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], chat_template=template, tokenize=False)
    except TemplateError:  # it takes other conversations only: left as it is
        return template
    return template if text.startswith(tokenizer.bos_token) else "{{ bos_token }}" + template.lstrip()


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
        raise InvalidInput(f"the weights of {start} cannot be read: {first_line(problem)}") from problem


def new_reward_model(start: str, recipe: Recipe, pad_token_id: int) -> Any:
    """Return a language model with its head replaced by one score, drawn from N(0, 1/(h+1)) for hidden size h.

    That is the initialisation of Tülu 3's reward model (training spec §4: standard deviation 1/sqrt(h+1)); Transformers
    would use its own. The random source is torch's global one.

    Raises:
        InvalidInput: there is no sequence classifier of this architecture in Transformers.
    """
    import torch
    from torch import nn
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification

    config = read_config(start)
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise InvalidInput(
            f"no reward model can be made of {start!r}: Transformers has no sequence classifier for "
            f"{config.model_type!r} models; start from a model of another architecture"
        )
    with without_loading_report():
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            start, num_labels=1, dtype=dtype_of(recipe), output_loading_info=True
        )
    head = head_of(model)
    missing = sorted(loading["missing_keys"] - head.keys())
    if missing:
        raise InvalidInput(f"{start!r} lacks the weights {', '.join(missing[:3])}")
    config = model.config.get_text_config()
    model.config.pad_token_id = config.pad_token_id = pad_token_id
    for weights in head.values():
        with torch.no_grad(), gathered((weights,), write=True):
            if weights.dim() == 2 and len(weights) == 1:
                nn.init.normal_(weights, std=1 / math.sqrt(config.hidden_size + 1))
    return model


def head_of(model: Any) -> dict[str, Any]:
    """Return the parameters of a classifier that are not its language model's, by name."""
    body = f"{model.base_model_prefix}."
    return {name: weights for name, weights in model.named_parameters() if not name.startswith(body)}


@contextmanager
def without_loading_report() -> Iterator[None]:
    """Keep Transformers from reporting the weights that a checkpoint lacks, where they are meant to be new."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)

"""A tokenizer and a model from nothing, for base recipes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evalsuite.training.recipe import Architecture, TokenizerRecipe

__all__ = ["build_model", "build_tokenizer"]

_BOS, _EOS, _PAD = "<bos>", "<eos>", "<pad>"

#: How often the recipe's own words count beside the training rows when merges are chosen.
_WORDS_WEIGHT = 50


def build_tokenizer(recipe: TokenizerRecipe, texts: Iterable[str], max_length: int) -> Any:
    """Return a fast tokenizer: byte-level BPE, every digit its own token, nothing added to the text.

    ``texts`` are what merges are learned from, beside the recipe's words. Any text survives encoding and decoding.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocab_size,
        special_tokens=[_PAD, _BOS, _EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = [f" {word}" for word in recipe.words.split()] * _WORDS_WEIGHT
    bpe.train_from_iterator([*texts, *words], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=_PAD,
        bos_token=_BOS,
        eos_token=_EOS,
        clean_up_tokenization_spaces=False,
        model_max_length=max_length,
    )
    tokenizer.chat_template = recipe.chat_template.strip()
    return tokenizer


def build_model(architecture: Architecture, tokenizer: Any) -> Any:
    """Return a randomly initialised float32 Llama; the seed is torch's global one."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **architecture.model_dump(),
        num_key_value_heads=architecture.num_attention_heads,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype=torch.float32,
    )
    return LlamaForCausalLM(config)

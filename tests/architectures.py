"""Small random models of many architectures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalsuite.engines.factory import resolve_model

ATTENTION = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 512,
}
STATE_SPACE = {
    "num_hidden_layers": 4,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "num_experts": 2,
    "mamba_d_state": 8,
    "use_mamba_kernels": False,
}
#: Sliding windows, learned and linearly biased positions, experts, shared heads, recurrences; by Transformers' names.
ARCHITECTURES = {
    "Qwen3": ATTENTION,
    "Qwen3Moe": {**ATTENTION, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    "Olmoe": {**ATTENTION, "num_experts": 4, "num_experts_per_tok": 2},
    "Mixtral": {**ATTENTION, "num_local_experts": 4, "tie_word_embeddings": True},
    "Mistral": {**ATTENTION, "sliding_window": 16},
    "Gemma2": {**ATTENTION, "sliding_window": 16},
    "Gemma3Text": {**ATTENTION, "sliding_window": 16},
    "Olmo2": ATTENTION,
    "Olmo3": {**ATTENTION, "sliding_window": 16},
    "Granite": ATTENTION,
    "GPT2": {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 512},
    "Mpt": {"d_model": 64, "n_layers": 2, "n_heads": 2, "max_seq_len": 512},
    "Jamba": {**{key: value for key, value in ATTENTION.items() if key != "head_dim"}, **STATE_SPACE},
    "Mamba": {"hidden_size": 64, "num_hidden_layers": 2},
}


def build(folder: Path, name: str, tokenizer: Any = None) -> Path:
    """Save a model of an architecture with large random weights, so that whatever differs is seen.

    It gets this tokenizer, or the demo model's with its chat template.
    """
    torch = pytest.importorskip("torch")
    import transformers

    tokenizer = tokenizer or transformers.AutoTokenizer.from_pretrained(resolve_model("demo"))
    ids = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = getattr(transformers, f"{name}Config")(vocab_size=len(tokenizer), **ids, **ARCHITECTURES[name])
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

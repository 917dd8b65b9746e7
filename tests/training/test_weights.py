"""Weights for vLLM are named and cut as in a checkpoint."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.weights import as_in_checkpoint, named_weights  # noqa: E402
from tests.architectures import build  # noqa: E402


@pytest.mark.parametrize("name", ["Qwen3", "Qwen3Moe", "Mixtral", "Jamba", "GPT2"])
def test_they_are_those_of_a_saved_checkpoint(name, tmp_path):
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    folder = build(tmp_path, name)
    model = AutoModelForCausalLM.from_pretrained(folder)
    saved = load_file(folder / "model.safetensors")
    found = dict(as_in_checkpoint(model, named_weights(model)))
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[key], saved[key]) for key in saved)


def test_they_are_copies_of_the_wrapped_model_s(tmp_path):
    """What they are given to reads them later, when the policy may have moved on."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(build(tmp_path, "Qwen3Moe"))
    wrapped = torch.nn.Module()
    wrapped.module = model
    found = dict(as_in_checkpoint(wrapped, named_weights(wrapped)))
    assert "model.layers.1.mlp.experts.3.up_proj.weight" in found
    before = {key: weights.clone() for key, weights in found.items()}
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    assert all(torch.equal(found[key], before[key]) for key in found)

"""Models as they are put together."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo.setup import make_models  # noqa: E402
from tests.training.ppo.harness import recipe_of  # noqa: E402


def test_dropout_is_off_while_models_learn(tiny, tmp_path):
    """Or the first ratios of an update would not be 1."""
    from transformers import LlamaForCausalLM

    start = LlamaForCausalLM.from_pretrained(tiny)
    start.config.attention_dropout = 0.5
    start.save_pretrained(tmp_path)
    models = make_models(recipe_of(), str(tmp_path), str(tmp_path))
    torch.nn.init.normal_(models.value.model.score.weight)
    ids = torch.arange(10, 30)[None]
    for model in (models.policy.model, models.value.model):
        assert model.training and torch.equal(model(ids).logits, model(ids).logits)

"""Models as they are put together."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo.setup import make_models, without_dropout  # noqa: E402
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


DROPS = {
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "attn_pdrop": 0.5, "resid_pdrop": 0.5, "embd_pdrop": 0.5},
    "OPT": {
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "dropout": 0.5,
        "attention_dropout": 0.5,
        "layerdrop": 0.5,
    },
}


@pytest.mark.parametrize("name", DROPS)
def test_every_kind_of_dropout_is_off(name):
    """Of embeddings, of attention (functional in some models), of whole layers."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_config(
        getattr(transformers, f"{name}Config")(vocab_size=64, **DROPS[name])
    ).train()
    ids = torch.arange(10, 40)[None]
    assert not torch.equal(model(ids).logits, model(ids).logits)
    without_dropout(model)
    assert all(torch.equal(model(ids).logits, model(ids).logits) for _ in range(5))


@pytest.mark.parametrize(("wanted", "recomputed"), [(True, True), (None, False)])
def test_activations_are_recomputed_where_the_recipe_says_so(wanted, recomputed, tiny):
    models = make_models(recipe_of(training={"gradient_checkpointing": wanted}), str(tiny), str(tiny))
    for learner in (models.policy, models.value):
        assert learner.model.is_gradient_checkpointing is recomputed


@pytest.mark.parametrize(
    ("wanted", "on_gpu", "recomputed"),
    [(None, True, True), (None, False, False), (False, True, False), (True, False, True)],
)
def test_by_default_activations_are_recomputed_on_gpus(wanted, on_gpu, recomputed):
    loop = recipe_of(training={"gradient_checkpointing": wanted}).training
    assert loop.recomputes(on_gpu=on_gpu) is recomputed

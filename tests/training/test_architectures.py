"""Every stage trains models of many architectures, and what it saves loads again, whole, in plain Transformers."""

from __future__ import annotations

import json

import pytest

from evalsuite.errors import InvalidInput, InvalidRecipe
from evalsuite.training import run
from evalsuite.training.library import load_recipe
from evalsuite.training.metrics_log import read_rows
from evalsuite.training.packing import require_separate_rows
from evalsuite.training.run import train
from evalsuite.training.starting_point import new_reward_model
from tests.architectures import build

pytest.importorskip("torch")
pytest.importorskip("trl")

STEPS = {"training.steps": 2, "training.batch_size": 8, "data.rows": 32, "data.params.count": 32}
PAIRS = [
    {
        "prompt": [{"role": "user", "content": f"What is {number} + 2?"}],
        "chosen": [{"role": "assistant", "content": str(number + 2)}],
        "rejected": [{"role": "assistant", "content": "no"}],
    }
    for number in range(16)
]


def pairs_recipe(folder, stage):
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    recipe = folder / f"{stage}.toml"
    recipe.write_text(f"""
title = "Pairs"
stage = "{stage}"
init = "demo"
data = {{ file = "{folder / "pairs.jsonl"}", rows = 16 }}
optimizer = {{ learning_rate = 1e-3 }}
training = {{ steps = 2, batch_size = 8, max_length = 64 }}
""")
    return str(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Qwen3", "Qwen3Moe", "Gemma3Text", "Olmo2", "GPT2", "Jamba"])
def test_every_stage_trains_it(name, tmp_path):
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    start = {"init": str(build(tmp_path / "start", name))}
    scorer = train(pairs_recipe(tmp_path, "reward_model"), tmp_path / "scorer", start)
    changes = {
        "sft": ("demo/sft", STEPS | {"training.epochs": None}),
        "dpo": (pairs_recipe(tmp_path, "dpo"), {}),
        "grpo": ("demo/grpo", STEPS),
        "ppo": ("demo/ppo", STEPS | {"rollouts.batch_size": 16, "value.init": str(scorer)}),
    }
    folders = {stage: train(recipe, tmp_path / stage, start | more) for stage, (recipe, more) in changes.items()}
    for folder in (scorer, *folders.values()):
        assert len(read_rows(folder / "metrics.jsonl")) == 2
        kind = AutoModelForSequenceClassification if folder == scorer else AutoModelForCausalLM
        _, told = kind.from_pretrained(folder, output_loading_info=True)
        assert not told["missing_keys"] and not told["unexpected_keys"]


def test_an_architecture_without_classifiers_makes_no_reward_model(tmp_path):
    start = build(tmp_path / "start", "Granite")
    with pytest.raises(InvalidInput, match=r"no reward model can be made of .* no sequence classifier for 'granite'"):
        train(pairs_recipe(tmp_path, "reward_model"), tmp_path / "scorer", {"init": str(start)})


def test_a_reward_model_starts_from_every_weight_of_the_body(tmp_path):
    from safetensors.torch import load_file, save_file

    start = build(tmp_path / "start", "Qwen3")
    weights = load_file(start / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, start / "model.safetensors", {"format": "pt"})
    with pytest.raises(InvalidInput, match=r"lacks the weights model\.layers\.1\.mlp\.up_proj\.weight"):
        train(pairs_recipe(tmp_path, "reward_model"), tmp_path / "scorer", {"init": str(start)})


def test_a_new_score_leaves_the_rest_of_a_head_alone(tmp_path):
    """Some classifiers normalise before they score."""
    from transformers import ModernBertDecoderConfig, ModernBertDecoderForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    config = ModernBertDecoderConfig(vocab_size=64, **sizes, **ids)
    ModernBertDecoderForCausalLM(config).save_pretrained(tmp_path)
    model = new_reward_model(str(tmp_path), load_recipe(pairs_recipe(tmp_path, "reward_model")), 5)
    assert model.config.get_text_config().pad_token_id == 5
    assert model.classifier.weight.std().item() == pytest.approx(1 / 33**0.5, rel=0.4)
    assert model.head.norm.weight.tolist() == [1.0] * 32


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value.init": "runs/nowhere/else"}, r"model 'runs/nowhere/else' does not exist"),
        ({"rewards": [{"model": "runs/nowhere/else"}]}, r"model 'runs/nowhere/else' does not exist"),
        ({"rewards": [{"model": "demo"}]}, r"'demo' is LlamaForCausalLM, no reward model"),
    ],
)
def test_what_would_be_missed_after_the_first_rollouts_is_missed_at_once(changes, said, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_provenance", lambda *_: pytest.fail("the run went on"))
    with pytest.raises(InvalidInput, match=said):
        train("demo/ppo", tmp_path / "run", STEPS | {"rollouts.batch_size": 16} | changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["Qwen3", "Qwen3Moe", "Gemma3Text", "Olmo2", "GPT2"])
def test_packed_rows_are_read_as_if_they_stood_alone(name, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(build(tmp_path, name)).eval()
    require_separate_rows(model)
    rows = torch.arange(5, 14), torch.arange(30, 43)
    positions = torch.cat([torch.arange(len(row)) for row in rows])
    with torch.no_grad():
        packed = model(input_ids=torch.cat(rows)[None], position_ids=positions[None], use_cache=False).logits[0]
        alone = torch.cat([model(input_ids=row[None]).logits[0] for row in rows])
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["Mpt", "Jamba"])
def test_rows_are_not_packed_where_they_would_see_each_other(name, dtype, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(build(tmp_path, name), dtype=getattr(torch, dtype)).train()
    with pytest.raises(InvalidRecipe, match=rf"rows that share a sequence would see each other .* '{name.lower()}'"):
        require_separate_rows(model)
    assert model.training


def test_a_run_that_would_pack_them_is_refused(tmp_path):
    start = {"init": str(build(tmp_path / "start", "Mpt")), "training.packing": True, "training.epochs": None}
    with pytest.raises(InvalidRecipe, match=r"training\.packing: rows that share a sequence"):
        train("demo/sft", tmp_path / "run", STEPS | start)

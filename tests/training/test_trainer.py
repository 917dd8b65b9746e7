"""What TRL's trainers are told of the tables that all stages have."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalsuite.training.folder import TrainingFolder
from evalsuite.training.library import load_recipe
from evalsuite.training.lora import lora_config
from evalsuite.training.recipe import Lora
from evalsuite.training.sft import sft_arguments
from evalsuite.training.stage import Context
from evalsuite.training.trainer import make_config

trl = pytest.importorskip("trl")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"optimizer.max_grad_norm": 0.5}, {"max_grad_norm": 0.5}),
        ({"optimizer.weight_decay": 0.1, "optimizer.beta2": 0.95}, {"weight_decay": 0.1, "adam_beta2": 0.95}),
        ({"optimizer.schedule": "constant", "optimizer.warmup_ratio": 0.0}, {"lr_scheduler_type": "constant"}),
        (
            {"optimizer.schedule": "constant", "optimizer.warmup_ratio": 0.1},
            {"lr_scheduler_type": "constant_with_warmup"},
        ),
        ({"training.batch_size": 12, "training.micro_batch_size": 4}, {"gradient_accumulation_steps": 3}),
        ({"seed": 7}, {"seed": 7}),
    ],
)
def test_what_a_recipe_says_trl_is_told(tmp_path, changes, told):
    config = config_of(tmp_path, changes)
    assert {name: getattr(config, name) for name in told} == told


def test_warmup_is_a_share_of_the_steps(tmp_path):
    assert config_of(tmp_path, {"optimizer.warmup_ratio": 0.1}).get_warmup_steps(200) == 20
    assert config_of(tmp_path, {"optimizer.warmup_ratio": 0.0}).get_warmup_steps(200) == 0


def config_of(folder: Path, changes):
    recipe = load_recipe("demo/sft", changes)
    context = Context("mine", recipe, [], "demo", TrainingFolder(folder), None, print, print, print)
    return make_config(trl.SFTConfig, sft_arguments(context), recipe)


@pytest.mark.parametrize(("task", "whole"), [("CAUSAL_LM", None), ("SEQ_CLS", ["score"])])
def test_adapters_are_those_of_the_recipe(task, whole):
    """A reward model's head is new: it is trained in full."""
    pytest.importorskip("peft")
    found = lora_config(Lora(r=4, alpha=24.0, dropout=0.1, target_modules=["q_proj"]), task)
    assert (found.r, found.lora_alpha, found.lora_dropout, found.target_modules) == (4, 24.0, 0.1, {"q_proj"})
    assert found.modules_to_save == whole

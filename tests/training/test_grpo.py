"""What TRL is told of a GRPO recipe, and what its reward functions are told of a batch."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from evalsuite.errors import InvalidRecipe
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.grpo import TrlReward, grpo_arguments
from evalsuite.training.library import load_recipe
from evalsuite.training.rewards import RewardTable, make_rewards
from evalsuite.training.stage import Context
from evalsuite.training.trl_vllm import launched_as_before

pytest.importorskip("torch")

ROWS = [{"prompt": f"p{number}", "answer": str(number)} for number in range(4)]


def test_an_answer_is_judged_against_the_row_of_its_prompt():
    """TRL shuffles prompts: what it passes on is the number of the row."""
    logged, kept = {}, []
    rewards = make_rewards(
        [RewardTable.model_validate({"verifier": "exact_match", "reference": "answer"})], eos_token_ids=[2]
    )
    judge = TrlReward(rewards, ROWS, lambda step, rows: kept.extend((step, row) for row in rows))
    found = judge(
        prompts=["p3", "p3", "p1", "p0"],
        completions=["3", "0", "1", "0"],
        completion_ids=[[5, 2]] * 4,
        row=[3, 3, 1, 0],
        trainer_state=SimpleNamespace(global_step=6),
        log_metric=logged.__setitem__,
    )
    assert found == [1.0, 0.0, 1.0, 1.0] and logged == {"solved/exact_match": 0.75}
    said = [(step, row["prompt"], row["completion"], row["reward"]) for step, row in kept]
    assert said == [(7, "p3", "3", 1.0), (7, "p3", "0", 0.0), (7, "p1", "1", 1.0), (7, "p0", "0", 1.0)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rollouts.temperature": 0.7}, {"temperature": 0.7}),
        ({"rollouts.top_p": 0.9, "rollouts.top_k": 40}, {"top_p": 0.9, "top_k": 40}),
        ({"rollouts.batches": 2, "rollouts.epochs": 3}, {"steps_per_generation": 2, "num_iterations": 3}),
        ({"rollouts.batches": 2, "training.micro_batch_size": 32}, {"steps_per_generation": 8}),
        ({"grpo.epsilon": 0.1, "grpo.epsilon_high": 0.28}, {"epsilon": 0.1, "epsilon_high": 0.28}),
        ({"grpo.mask_truncated": True}, {"mask_truncated_completions": True}),
        ({"grpo.loss": "dr_grpo", "grpo.scale_rewards": "none"}, {"loss_type": "dr_grpo", "scale_rewards": "none"}),
        ({"grpo.beta": 0.04, "reference.ema": 0.3}, {"beta": 0.04, "ref_model_mixup_alpha": 0.3}),
    ],
)
def test_what_a_recipe_says_trl_is_told(changes, told):
    recipe = load_recipe("demo/grpo", changes)
    context = Context("mine", recipe, [], "demo", TrainingFolder(Path("unused")), None, print, print, print)
    arguments = grpo_arguments(context)
    assert {name: arguments[name] for name in told} == told


@pytest.mark.parametrize("key", ["reward_weights", "multi_objective_aggregation"])
def test_what_trl_would_do_with_several_rewards_is_said_in_their_tables(key):
    with pytest.raises(InvalidRecipe, match=rf"\[trl\] {key}: .*'weight' in \[\[rewards\]\]"):
        load_recipe("demo/grpo", {f"trl.{key}": [1.0]})


def test_a_launchers_variables_are_as_they_were(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with launched_as_before():
        os.environ |= {"RANK": "0", "WORLD_SIZE": "1"}
    assert os.environ["RANK"] == "3" and "WORLD_SIZE" not in os.environ

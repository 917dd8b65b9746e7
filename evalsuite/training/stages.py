"""The stages by name. Each is one module (or package) that knows nothing of the others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evalsuite.training.grpo import GrpoRecipe, train_grpo
from evalsuite.training.iterative_dpo import IterativeDpoRecipe, train_iterative_dpo
from evalsuite.training.ppo.recipe import PpoRecipe
from evalsuite.training.ppo.trainer import train_ppo
from evalsuite.training.preference import DpoRecipe, RewardModelRecipe, train_dpo, train_reward_model
from evalsuite.training.sft import BaseRecipe, SftRecipe, train_base, train_sft
from evalsuite.training.stage import Stage

__all__ = ["STAGES"]

STAGES: Mapping[str, Stage[Any]] = MappingProxyType(
    {
        "base": Stage(BaseRecipe, train_base, "SFTConfig"),
        "sft": Stage(SftRecipe, train_sft, "SFTConfig"),
        "reward_model": Stage(RewardModelRecipe, train_reward_model, "RewardConfig"),
        "dpo": Stage(DpoRecipe, train_dpo, "DPOConfig"),
        "iterative_dpo": Stage(IterativeDpoRecipe, train_iterative_dpo, "DPOConfig"),
        "grpo": Stage(GrpoRecipe, train_grpo, "GRPOConfig"),
        "ppo": Stage(PpoRecipe, train_ppo),
    }
)

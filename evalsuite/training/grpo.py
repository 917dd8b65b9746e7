"""Stage ``grpo``: reinforcement learning on prompts and verifiers by TRL's ``GRPOTrainer``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from evalsuite.data.load import Row
from evalsuite.errors import MissingExtra
from evalsuite.rewards import completion_text
from evalsuite.training.lora import lora_config
from evalsuite.training.preference import Reference, reference_arguments
from evalsuite.training.recipe import Count, Positive, Recipe, Table
from evalsuite.training.rewards import Reward, RewardTable, make_rewards, score
from evalsuite.training.stage import Context, Outcome
from evalsuite.training.starting_point import end_tokens, load_causal_lm, load_tokenizer, require_chat_template
from evalsuite.training.trainer import base_arguments, make_config, run_trainer, trl_refusals
from evalsuite.training.trl_vllm import launched_as_before, vllm_for_any_policy

__all__ = ["Grpo", "GrpoRecipe", "GrpoRollouts", "grpo_arguments", "train_grpo"]


class GrpoRollouts(Table):
    """``[rollouts]``: the completions that are learned from."""

    samples_per_prompt: Annotated[int, Field(ge=2)] = 8
    """Completions of one prompt: the group that rewards are compared in."""
    max_tokens: Count
    """Longest completion."""
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1, strict=False)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    batches: Count = 1
    """Optimizer steps' worth of completions drawn at a time."""
    epochs: Count = 1
    """Passes over them (TRL's ``num_iterations``)."""
    engine: Literal["transformers", "vllm", "vllm_server"] = "transformers"
    """``vllm`` runs beside the policy in this process, ``vllm_server`` at ``server``; both are sent the weights."""
    server: str = "http://localhost:8000"
    weights_folder: str | None = None
    """``vllm_server`` reads weights from this folder, which both sides must see; default: they are sent over NCCL, and
    without a GPU through a temporary folder."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1, strict=False)] = 0.3
    """Share of a GPU that ``vllm`` takes."""
    max_model_tokens: Count | None = None
    """Longest prompt and completion that ``vllm`` makes room for; default the model's context."""


class Grpo(Table):
    """``[grpo]``: the algorithm (training spec §1.4)."""

    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"] = "dapo"
    beta: Annotated[float, Field(ge=0, strict=False)] = 0.0
    """Weight of the divergence from the reference (k3) in the loss; 0 needs no reference."""
    epsilon: Positive = 0.2
    epsilon_high: Positive | None = None
    scale_rewards: Literal["group", "batch", "none"] = "group"
    mask_truncated: bool = False
    """Completions that the token limit cut off carry no loss."""


class GrpoRecipe(Recipe):
    """``stage = "grpo"``. ``training.batch_size`` counts completions."""

    columns: ClassVar = (("prompt",),)

    stage: Literal["grpo"]
    init: str
    """Where to start: a bundled model, a checkpoint folder or a Hub id."""
    rewards: Annotated[list[RewardTable], Field(min_length=1)]
    rollouts: GrpoRollouts
    grpo: Grpo = Grpo()
    reference: Reference | None = None

    @property
    def prompts_per_rollout(self) -> int:
        """Prompts that completions are drawn for at a time."""
        return self.training.batch_size * self.rollouts.batches // self.rollouts.samples_per_prompt

    @property
    def steps_per_rollout(self) -> int:
        """Optimizer steps between two rollouts."""
        return self.rollouts.batches * self.rollouts.epochs

    @property
    def steps(self) -> int:
        """Number of optimizer steps; prompts that do not fill a rollout are left out of an epoch."""
        if self.training.steps is not None:
            return self.training.steps
        rollouts = self.data.rows // self.prompts_per_rollout
        return -int(-(self.training.epochs or 0) * rollouts * self.steps_per_rollout // 1)

    @property
    def save_every(self) -> int:
        """Steps between checkpoints, a multiple of those between rollouts: completions in hand are not saved."""
        wanted = self.checkpoints.every or max(1, -(-self.steps // 10))
        return -(-wanted // self.steps_per_rollout) * self.steps_per_rollout

    @model_validator(mode="after")
    def _fits_together(self) -> GrpoRecipe:
        drawn = self.training.batch_size * self.rollouts.batches
        if drawn % self.rollouts.samples_per_prompt:
            raise ValueError(
                f"{drawn} completions a rollout are no multiple of {self.rollouts.samples_per_prompt} samples"
            )
        if self.data.rows < self.prompts_per_rollout:
            raise ValueError(f"a rollout takes {self.prompts_per_rollout} prompts, and data.rows is {self.data.rows}")
        if self.evaluation is not None and self.evaluation.every % self.steps_per_rollout:
            raise ValueError(f"evaluation.every must be a multiple of the {self.steps_per_rollout} steps of a rollout")
        idle = sorted({"reward_weights", "multi_objective_aggregation"} & (self.trl or {}).keys())
        if idle:
            raise ValueError(f"[trl] {idle[0]}: TRL is given one reward, the sum; each has a 'weight' in [[rewards]]")
        if self.reference is not None and (self.peft is not None or not self.grpo.beta):
            raise ValueError("[reference] needs grpo.beta above 0, and no [peft]")
        return self


def train_grpo(context: Context[GrpoRecipe]) -> Outcome:
    """Train on prompts; rewards see the whole row behind a prompt, whatever its columns hold."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    recipe, start = context.recipe, context.start or ""
    on_vllm = recipe.rollouts.engine != "transformers"
    if on_vllm and find_spec("vllm") is None:
        raise MissingExtra("vllm", "vllm", "rollouts with vLLM")
    config = make_config(GRPOConfig, grpo_arguments(context), recipe)
    tokenizer = load_tokenizer(start)
    require_chat_template(start, tokenizer, context.rows[0]["prompt"])
    tokenizer.padding_side = "left"
    ends = end_tokens(start, tokenizer)
    device = "cpu" if config.use_cpu else "cuda"
    rewards = make_rewards(recipe.rewards, eos_token_ids=ends, device=device)
    prompts = [{"prompt": row["prompt"], "row": number} for number, row in enumerate(context.rows)]
    with launched_as_before(), vllm_for_any_policy(recipe.rollouts.weights_folder) if on_vllm else nullcontext():
        with trl_refusals():
            trainer = GRPOTrainer(
                model=load_causal_lm(start, recipe),
                reward_funcs=[TrlReward(rewards, context.rows, context.keep_samples)],
                args=config,
                train_dataset=Dataset.from_list(prompts),
                processing_class=tokenizer,
                peft_config=lora_config(recipe.peft, "CAUSAL_LM"),
            )
        return run_trainer(trainer, context)


def grpo_arguments(context: Context[Any]) -> dict[str, Any]:
    """Return the arguments of TRL's ``GRPOConfig``."""
    recipe = context.recipe
    rollouts, table = recipe.rollouts, recipe.grpo
    ours = base_arguments(context)
    return {
        **ours,
        **reference_arguments(recipe.reference),
        "num_generations": rollouts.samples_per_prompt,
        "steps_per_generation": rollouts.batches * ours["gradient_accumulation_steps"],
        "num_iterations": rollouts.epochs,
        "max_completion_length": rollouts.max_tokens,
        "temperature": rollouts.temperature,
        "top_p": rollouts.top_p,
        "top_k": rollouts.top_k,
        "loss_type": table.loss,
        "beta": table.beta,
        "epsilon": table.epsilon,
        "epsilon_high": table.epsilon_high,
        "scale_rewards": table.scale_rewards,
        "mask_truncated_completions": table.mask_truncated,
        "disable_dropout": True,
        **_engine_arguments(rollouts),
    }


def _engine_arguments(rollouts: GrpoRollouts) -> dict[str, Any]:
    match rollouts.engine:
        case "transformers":
            return {"use_vllm": False}
        case "vllm":
            return {
                "use_vllm": True,
                "vllm_mode": "colocate",
                "vllm_gpu_memory_utilization": rollouts.gpu_memory_utilization,
                "vllm_max_model_length": rollouts.max_model_tokens,
            }
        case _:
            return {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": rollouts.server}


@dataclass(frozen=True)
class TrlReward:
    """The sum of a recipe's rewards as the one reward function that TRL calls.

    TRL adds several functions up without those that say nothing; to us a sum that lacks a part is no number.
    """

    rewards: Sequence[Reward]
    rows: Sequence[Row]
    keep_samples: Callable[[int, Sequence[dict[str, Any]]], None]

    @property
    def __name__(self) -> str:
        """The name TRL logs the sum under."""
        return "+".join(reward.name for reward in self.rewards)

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        row: Sequence[int],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float | None]:
        """Return a number a completion, and log the solve rates; ``row`` are the numbers of the prompts' rows."""
        texts = [completion_text(completion) for completion in completions]
        scored = score(self.rewards, [self.rows[number] for number in row], texts, completion_ids)
        for name, rate in scored.solved.items():
            log_metric(f"solved/{name}", rate)
        for name, judged in scored.judged.items():
            known = [reward for reward in judged.rewards if reward is not None]
            if known and len(self.rewards) > 1:
                log_metric(f"rewards/{name}/mean", sum(known) / len(known))
            kept = zip(prompts, texts, judged.rewards, judged.reasons, strict=True)
            self.keep_samples(
                trainer_state.global_step + 1,
                [
                    {"prompt": prompt, "completion": text, "reward": reward, "reason": reason, "by": name}
                    for prompt, text, reward, reason in kept
                ],
            )
        return scored.totals

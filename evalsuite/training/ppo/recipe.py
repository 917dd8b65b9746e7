"""``stage = "ppo"``: what a PPO recipe says beside the tables that all stages have.

A *step* is one batch of completions and all updates made with it. ``training.batch_size`` is the minibatch: the
completions behind one optimizer step. Numbers in the literature: training spec §2.1, §2.2 and §4.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from evalsuite.training.ppo.kl import Estimator, KlCoefficient
from evalsuite.training.recipe import Count, Positive, Recipe, Share, Size, Table
from evalsuite.training.rewards import RewardTable

__all__ = ["Algorithm", "Kl", "PpoRecipe", "Reference", "Rollouts", "Scores", "Value"]

NotNegative = Annotated[float, Field(ge=0, strict=False)]


class Rollouts(Table):
    """``[rollouts]``: the completions of a step."""

    batch_size: Count
    """Completions a step, over all processes."""
    samples_per_prompt: Count = 1
    max_tokens: Count
    """Longest completion."""
    max_prompt_tokens: Count | None = None
    """Rows with longer prompts are left out; default: what the model's context leaves beside a completion."""
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1, strict=False)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    ahead: Literal[0, 1] = 0
    """1: the next step's completions are generated during this step's updates, by the policy before them (one step
    off-policy; what is learned from is fixed all the same). 0: exactly on-policy."""
    engine: Literal["transformers", "vllm", "vllm_server"] = "transformers"
    """``vllm`` runs beside the policy in the same process, ``vllm_server`` at ``server``; weights follow."""
    generation_batch_size: Count = 128
    """Completions that ``transformers`` works on at a time."""
    server: str = "http://localhost:8000"
    weights_folder: str | None = None
    """``vllm_server`` reads weights from this folder, which both sides must see; default: they are sent over NCCL, and
    without a GPU through a temporary folder."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1, strict=False)] = 0.3
    """Share of a GPU that ``vllm`` takes."""


class Scores(Table):
    """``[scores]``: what is done to a completion's rewards, once they are added up, in this order."""

    clip: Positive | None = None
    """Largest magnitude."""
    without_eos: Annotated[float, Field(strict=False)] | None = -10.0
    """Replaces the score of a completion that does not end by itself."""
    mask_truncated: bool = False
    """Completions that do not end by themselves carry no loss."""
    whiten: bool = False
    """Divide the rewards of all tokens (divergence included) by their standard deviation; the mean stays."""


class Value(Table):
    """``[value]``: the value model, with its own weights and optimizer."""

    init: str | None = None
    """A checkpoint: of a reward model the head is kept. Default: the recipe's ``init`` with a new head."""
    size: Size | None = None
    """Of ``init``, where it is of another size than the policy and its config cannot be read."""
    learning_rate: Positive | None = None
    """Default: the policy's."""
    coefficient: Positive = 0.1
    clip: Positive | None = 0.2
    """How far a value may move from its old one, in the units of the value model."""
    normalize: bool = False
    """Predict returns in units of their running mean and standard deviation."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.99995
    """Of the running mean and standard deviation, a step."""


class Kl(Table):
    """``[kl]``: the price of leaving the reference."""

    beta: NotNegative = 0.05
    estimator: Estimator = "k1"
    target: Positive | None = None
    """Adapt β so that the KL of a completion is about this many nats; default: β is fixed."""
    horizon: Count = 10_000
    """Completions over which β adapts."""

    def coefficient(self) -> KlCoefficient:
        """Return β as it is before the first step."""
        return KlCoefficient(self.beta, self.target, self.horizon)


class Reference(Table):
    """``[reference]``: the policy KL is measured against; it starts from the recipe's ``init``."""

    ema: Share = 0.0
    """After every step the reference moves this share of the way to the policy."""


class Algorithm(Table):
    """``[ppo]``: the algorithm."""

    epochs: Count = 4
    """Passes over a step's completions, each in a new order."""
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    gamma: Share = 1.0
    lam: Share = 0.95
    whiten_advantages: bool = True
    """To mean 0 and variance 1 over all tokens of a step, of all processes."""


class PpoRecipe(Recipe):
    """``stage = "ppo"``: reinforcement learning of an existing model on prompts and verifiers."""

    columns: ClassVar[tuple[tuple[str, ...], ...]] = (("prompt",),)

    stage: Literal["ppo"]
    init: str
    """Where to start: a bundled model, a checkpoint folder or a Hub id."""
    rollouts: Rollouts
    rewards: Annotated[list[RewardTable], Field(min_length=1)]
    scores: Scores = Scores()
    value: Value = Value()
    kl: Kl = Kl()
    reference: Reference = Reference()
    ppo: Algorithm = Algorithm()

    @property
    def also_reads(self) -> tuple[str, ...]:
        """The value model's checkpoint, if it has one of its own."""
        return () if self.value.init is None else (self.value.init,)

    @property
    def rows_per_step(self) -> float:
        """Prompts of a step."""
        return self.rollouts.batch_size // self.rollouts.samples_per_prompt

    @property
    def minibatches(self) -> int:
        """Optimizer steps an epoch."""
        return self.rollouts.batch_size // self.training.batch_size

    @property
    def updates(self) -> int:
        """Optimizer steps of the whole run."""
        return self.steps * self.ppo.epochs * self.minibatches

    @property
    def needs_reference(self) -> bool:
        """Whether divergence from the reference has a price."""
        return self.kl.beta > 0

    @model_validator(mode="after")
    def _fits_together(self) -> PpoRecipe:
        rollouts = self.rollouts
        for name, part in (
            ("training.batch_size", self.training.batch_size),
            ("rollouts.samples_per_prompt", rollouts.samples_per_prompt),
        ):
            if rollouts.batch_size % part:
                raise ValueError(f"rollouts.batch_size {rollouts.batch_size} is not a multiple of {name} {part}")
        if self.kl.target is not None and not self.kl.beta:
            raise ValueError("kl.target needs a kl.beta above 0 to start from")
        for table in ("peft", "trl"):
            if getattr(self, table) is not None:
                raise ValueError(f"[{table}] has no effect on stage 'ppo': remove it")
        return self

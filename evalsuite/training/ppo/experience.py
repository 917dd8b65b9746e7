"""Episodes as tensors: sequences for the models, and from what the models say to what the update learns from.

An experience is whole on every process (a few numbers a token), so that advantages are whitened, and minibatches drawn,
over all processes alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.training.ppo.advantages import gae, token_rewards, whiten
from evalsuite.training.ppo.kl import kl_estimate
from evalsuite.training.ppo.recipe import PpoRecipe, Scores
from evalsuite.training.ppo.rollout import Episode
from evalsuite.training.ppo.value_model import ValueScale

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batch", "Experience", "Measured", "batches", "episode_score", "estimate", "policy_logits", "state_values"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences for one pass through a model, padded at the right: causal attention needs no mask then.

    ``rows`` are the places of its episodes; ``input_ids`` is (b, L), without the last column, after which nothing was
    drawn; ``tokens`` (b, t) are the completions and ``drawn`` (b, t) the positions they were drawn at, each one before
    its token's; ``first`` is the lowest of those.
    """

    rows: list[int]
    first: int
    input_ids: Tensor
    tokens: Tensor
    drawn: Tensor

    @property
    def width(self) -> int:
        """Tokens of the longest completion."""
        return int(self.tokens.shape[1])


@dataclass(frozen=True, slots=True)
class Measured:
    """What the models say of every token of every episode, (N, T) each, 0 on padding; ``mask`` is 1 on tokens.

    ``entropies`` are those of the policy; ``reference`` is ``None`` where no reference is asked.
    """

    mask: Tensor
    logprobs: Tensor
    entropies: Tensor
    values: Tensor
    reference: Tensor | None


@dataclass(frozen=True, slots=True)
class Experience:
    """What the update learns from: N episodes, T tokens of the longest.

    ``loss_mask`` (N, T) is 1 on the tokens that carry loss; ``logprobs``, ``values``, ``advantages`` and ``returns``
    are (N, T), the values and returns in the units of the value model; ``kl`` (N, T) in nats.
    """

    prompts: Sequence[tuple[int, ...]]
    completions: Sequence[tuple[int, ...]]
    loss_mask: Tensor
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    kl: Tensor


def batches(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    rows: Sequence[int],
    size: int,
    *,
    pad: int,
    device: Any,
) -> list[Batch]:
    """Return the episodes ``rows`` in batches of ``size``, sorted by length so that there is little padding."""
    order = sorted(rows, key=lambda row: (len(prompts[row]) + len(completions[row]), row))
    return [_batch(prompts, completions, order[at : at + size], pad, device) for at in range(0, len(order), size)]


def _batch(
    prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], rows: list[int], pad: int, device: Any
) -> Batch:
    import torch

    length = max(len(prompts[row]) + len(completions[row]) for row in rows)
    width = max(len(completions[row]) for row in rows)
    ids = [[*prompts[row], *completions[row]] for row in rows]
    sequences = torch.tensor([one + [pad] * (length - len(one)) for one in ids], device=device)
    starts = [len(prompts[row]) - 1 for row in rows]
    # Where a completion is shorter than the longest, any position will do: it is masked.
    places = torch.tensor(starts, device=device)[:, None] + torch.arange(width, device=device)
    drawn = places.clamp(max=length - 2)
    return Batch(rows, min(starts), sequences[:, :-1], sequences.gather(1, drawn + 1), drawn)


def policy_logits(model: Any, batch: Batch) -> Tensor:
    """Return the logits from which the tokens of the completions were drawn, (b, t, V)."""
    kept = batch.input_ids.shape[1] - batch.first
    logits: Tensor = model(input_ids=batch.input_ids, logits_to_keep=kept, use_cache=False).logits
    return logits.gather(1, (batch.drawn - batch.first)[..., None].expand(-1, -1, logits.shape[-1]))


def state_values(model: Any, batch: Batch) -> Tensor:
    """Return the values of the states in which the tokens of the completions were drawn, (b, t)."""
    values: Tensor = model(input_ids=batch.input_ids, use_cache=False).logits.float()
    return values[..., 0].gather(1, batch.drawn)


def episode_score(episode: Episode, rule: Scores) -> float:
    """Return what PPO takes a completion to be worth: clipped, and replaced where it did not end by itself."""
    if not episode.ended and rule.without_eos is not None:
        return rule.without_eos
    score = episode.score or 0.0
    return score if rule.clip is None else min(max(score, -rule.clip), rule.clip)


def estimate(
    recipe: PpoRecipe,
    prompts: Sequence[tuple[int, ...]],
    episodes: Sequence[Episode],
    measured: Measured,
    *,
    beta: float,
    scale: ValueScale,
) -> tuple[Experience, ValueScale]:
    """Return what to learn from N episodes, and the value scale after it.

    An episode without a score (its verifiers failed) carries no loss, and neither does one that was cut off where the
    recipe says so.
    """
    import torch

    mask = measured.mask
    kl = torch.zeros_like(measured.logprobs)
    if measured.reference is not None:
        kl = kl_estimate(measured.logprobs, measured.reference, recipe.kl.estimator) * mask
    counts = [
        (episode.score is not None or (not episode.ended and recipe.scores.without_eos is not None))
        and (episode.ended or not recipe.scores.mask_truncated)
        for episode in episodes
    ]
    loss_mask = mask * torch.tensor(counts, dtype=mask.dtype, device=mask.device)[:, None]
    scores = torch.tensor([episode_score(episode, recipe.scores) for episode in episodes], device=mask.device)
    rewards = token_rewards(scores, kl, mask, beta)
    if recipe.scores.whiten:
        rewards = whiten(rewards, loss_mask, shift_mean=False)
    values = scale.from_units(measured.values) * mask
    advantages, returns = gae(rewards, values, mask, gamma=recipe.ppo.gamma, lam=recipe.ppo.lam)
    scale = scale.after(returns, loss_mask)
    if recipe.ppo.whiten_advantages:
        advantages = whiten(advantages, loss_mask)
    experience = Experience(
        prompts=prompts,
        completions=[episode.tokens for episode in episodes],
        loss_mask=loss_mask,
        logprobs=measured.logprobs,
        values=measured.values,
        advantages=advantages,
        returns=scale.to_units(returns) * mask,
        kl=kl,
    )
    return experience, scale

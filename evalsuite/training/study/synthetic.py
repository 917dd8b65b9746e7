"""The synthetic experiment of *Is DPO Superior to PPO for LLM Alignment?* (arXiv 2404.10719, section 4.2).

Eight prompts, eight responses; policy and reward model are two small networks; the best response to prompt ``i`` is
response ``i``. Preference pairs cover a part of the space. DPO is free to raise responses that no pair is about; PPO
follows the learned reward and the reference. The paper gives neither widths, steps nor the reference: what is chosen
here stands in :class:`Setting`. Trained to convergence DPO does not show the effect; stopped early it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.training.ppo.advantages import gae, token_rewards, whiten
from evalsuite.training.ppo.kl import kl_estimate
from evalsuite.training.ppo.losses import policy_losses, value_losses

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = ["Outcome", "Setting", "run_synthetic"]

#: A response counts as raised when it is this much likelier than under the reference (relative).
_RAISED = 0.05


@dataclass(frozen=True, slots=True)
class Setting:
    """One experiment. Preferences are drawn as ``optimal`` (the best response against another) or ``random`` pairs."""

    seed: int = 0
    prompts: int = 8
    responses: int = 8
    pairs: int = 3
    """Preference pairs for each prompt."""
    preferences: Literal["optimal", "random"] = "optimal"
    hidden: int = 64
    learning_rate: float = 3e-3
    beta: float = 0.1
    dpo_steps: int = 20
    """Full-batch steps: about where DPO's accuracy on its pairs reaches 1."""
    reward_steps: int = 300
    ppo_steps: int = 600
    rollout: int = 32
    """Responses drawn for each prompt in a PPO step."""
    clip: float = 0.1
    """At 0.2 a prompt now and then settles on another response before its best one was drawn."""
    epochs: int = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out, each array (prompts, responses): probabilities, learned rewards, and what the pairs covered."""

    covered: Any
    reference: Any
    dpo: Any
    ppo: Any
    reward: Any

    def raised_cells(self, policy: Any) -> Any:
        """Return which responses are outside the pairs and likelier under ``policy`` than under the reference."""
        return ~self.covered & (policy > self.reference * (1 + _RAISED))

    def raised(self, policy: Any) -> float:
        """Return the share of responses outside the pairs that ``policy`` raised above the reference."""
        return float(self.raised_cells(policy).sum() / (~self.covered).sum())

    def largest_gain(self, policy: Any) -> float:
        """Return the largest probability that ``policy`` added to a response outside the pairs."""
        return float((policy - self.reference)[~self.covered].max())

    def optimal(self, policy: Any) -> float:
        """Return the mean probability of the best response."""
        return float(policy.diagonal().mean())


def run_synthetic(setting: Setting) -> Outcome:
    """Draw preferences, train a reward model on them, and train the reference policy by DPO and by PPO.

    The same setting gives the same outcome on the same machine.
    """
    import torch

    with _seeded(setting.seed):
        pairs = _draw_pairs(setting)
        reference = _network(setting)
        start = {name: value.clone() for name, value in reference.state_dict().items()}
        reward = _train_reward(_network(setting), pairs, setting)
        dpo, ppo = _network(setting), _network(setting)
        for policy in (dpo, ppo):
            policy.load_state_dict(start)
        _train_dpo(dpo, reference, pairs, setting)
        _train_ppo(ppo, reference, reward, setting)
        covered = torch.zeros(setting.prompts, setting.responses, dtype=torch.bool)
        covered[pairs[:, 0], pairs[:, 1]] = covered[pairs[:, 0], pairs[:, 2]] = True
        reference_table, dpo_table, ppo_table = (
            _logprobs(model, setting).exp().detach().numpy() for model in (reference, dpo, ppo)
        )
        return Outcome(covered.numpy(), reference_table, dpo_table, ppo_table, reward.numpy())


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _network(setting: Setting) -> Module:
    """Return a network from a one-hot prompt to one number a response."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(setting.prompts, setting.hidden), nn.Tanh(), nn.Linear(setting.hidden, setting.responses)
    )


def _logprobs(policy: Module, setting: Setting) -> Tensor:
    """Return every response's log-probability, (prompts, responses), in nats."""
    logprobs: Tensor = _outputs(policy, setting).log_softmax(dim=-1)
    return logprobs


def _outputs(model: Module, setting: Setting) -> Tensor:
    import torch

    outputs: Tensor = model(torch.eye(setting.prompts))
    return outputs


def _draw_pairs(setting: Setting) -> Tensor:
    """Return preference pairs, (N, 3): prompt, preferred response, other response."""
    import torch

    rows = []
    for prompt in range(setting.prompts):
        others = torch.tensor([response for response in range(setting.responses) if response != prompt])
        for _ in range(setting.pairs):
            first, second = others[torch.randperm(len(others))[:2]].tolist()
            if setting.preferences == "optimal":
                rows.append((prompt, prompt, first))
            else:
                rows.append((prompt, first, second))
    return torch.tensor(rows)


def _train_reward(model: Module, pairs: Tensor, setting: Setting) -> Tensor:
    """Fit a Bradley-Terry reward to the pairs and return it, (prompts, responses)."""
    from torch.nn.functional import logsigmoid

    optimizer = _adam(model, setting)
    prompts, preferred, other = pairs.unbind(dim=1)
    for _ in range(setting.reward_steps):
        rewards = _outputs(model, setting)
        loss = -logsigmoid(rewards[prompts, preferred] - rewards[prompts, other]).mean()
        _descend(loss, optimizer)
    return _outputs(model, setting).detach()


def _train_dpo(policy: Module, reference: Module, pairs: Tensor, setting: Setting) -> None:
    from torch.nn.functional import logsigmoid

    optimizer = _adam(policy, setting)
    prompts, preferred, other = pairs.unbind(dim=1)
    anchor = _logprobs(reference, setting).detach()
    for _ in range(setting.dpo_steps):
        ratios = _logprobs(policy, setting) - anchor
        loss = -logsigmoid(setting.beta * (ratios[prompts, preferred] - ratios[prompts, other])).mean()
        _descend(loss, optimizer)


def _train_ppo(policy: Module, reference: Module, reward: Tensor, setting: Setting) -> None:
    """Maximise the learned reward by PPO with a value network; a response is an episode of one step."""
    import torch

    value = _network(setting)
    optimizer, value_optimizer = _adam(policy, setting), _adam(value, setting)
    anchor = _logprobs(reference, setting).detach()
    for _ in range(setting.ppo_steps):
        old = _logprobs(policy, setting).detach()
        drawn = torch.multinomial(old.exp(), setting.rollout, replacement=True).flatten()
        asked = torch.arange(setting.prompts).repeat_interleave(setting.rollout)
        step = _Rollout.judged(asked, drawn, old, anchor, reward, value, setting)
        for _ in range(setting.epochs):
            _descend(step.policy_loss(_logprobs(policy, setting), setting.clip), optimizer)
            _descend(step.value_loss(_outputs(value, setting)), value_optimizer)


@dataclass(frozen=True, slots=True)
class _Rollout:
    """Drawn responses with what the update needs of them; ``(N,)`` indices and ``(N, 1)`` numbers."""

    asked: Tensor
    drawn: Tensor
    old: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor

    @classmethod
    def judged(
        cls,
        asked: Tensor,
        drawn: Tensor,
        old: Tensor,
        anchor: Tensor,
        reward: Tensor,
        value: Module,
        setting: Setting,
    ) -> _Rollout:
        import torch

        logprobs, anchored = old[asked, drawn][:, None], anchor[asked, drawn][:, None]
        mask = torch.ones_like(logprobs)
        values = _state_values(_outputs(value, setting).detach(), asked)
        rewards = token_rewards(reward[asked, drawn], kl_estimate(logprobs, anchored, "k1"), mask, setting.beta)
        advantages, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0)
        return cls(asked, drawn, logprobs, values, whiten(advantages, mask), returns)

    def policy_loss(self, logprobs: Tensor, clip: float) -> Tensor:
        return policy_losses(logprobs[self.asked, self.drawn][:, None], self.old, self.advantages, clip).mean()

    def value_loss(self, outputs: Tensor) -> Tensor:
        return value_losses(_state_values(outputs, self.asked), self.values, self.returns, None).mean()


def _state_values(outputs: Tensor, asked: Tensor) -> Tensor:
    """Return the value of each asked prompt, (N, 1): the mean output of the value network."""
    return outputs.mean(dim=1)[asked][:, None]


def _adam(model: Module, setting: Setting) -> Any:
    import torch

    return torch.optim.Adam(model.parameters(), lr=setting.learning_rate)


def _descend(loss: Tensor, optimizer: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

"""A step's numbers, counted by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo.experience import Experience, Measured  # noqa: E402
from evalsuite.training.ppo.metrics import completion_metrics, sample_rows, solve_rates  # noqa: E402
from evalsuite.training.ppo.rollout import Episode, Prompt  # noqa: E402
from tests.training.ppo.harness import recipe_of  # noqa: E402

EPISODES = [
    Episode(0, (5, 6, 2), "one", True, 4.0, {"math": True}),
    Episode(1, (7,), "two", False, 4.0, {"math": False, "form": True}),
    Episode(0, (8, 2), "three", True, None, {"math": False}),
    Episode(1, (9, 2), "four", True, 3.0, {}),
]
MASK = torch.tensor([[1.0, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 0]])
LOSS_MASK = MASK * torch.tensor([1.0, 1, 0, 1])[:, None]


def numbers(values, returns):
    tokens = MASK * torch.tensor([[1.0, 2, 3]])
    measured = Measured(MASK, tokens, tokens, tokens, None)
    known = Experience([], [], LOSS_MASK, tokens, values, tokens, returns, tokens / 4)
    return completion_metrics(recipe_of(scores={"without_eos": -1.0}), EPISODES, measured, known)


def test_the_metrics_of_completions():
    """Eight tokens: 1 + 2 + 3, 1, 1 + 2 and 1 + 2."""
    found = numbers(MASK * 0, MASK * 0)
    assert found == pytest.approx(
        {
            "reward": (4 - 1 + 0 + 3) / 4,
            "length": 2,
            "truncated": 1 / 4,
            "unjudged": 1 / 4,
            "entropy": 13 / 8,
            "kl": 13 / 4 / 8,
            "completion_kl": 13 / 4 / 4,
            "explained_variance": 0,
        }
    )


@pytest.mark.parametrize(("share", "explained"), [(1.0, 1.0), (0.5, 0.75), (0.0, 0.0), (-1.0, -3.0)])
def test_values_explain_what_they_leave_no_variance_of(share, explained):
    """Of returns of any mean, over the tokens that carry loss: what others are said to be does not count."""
    returns = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)) + 3
    values = torch.where(LOSS_MASK > 0, share * returns + 7, torch.full_like(returns, 1e3))
    assert numbers(values, returns)["explained_variance"] == pytest.approx(explained, abs=1e-4)


def test_solve_rates_are_over_what_each_reward_judged():
    assert solve_rates(EPISODES) == {"form": 1.0, "math": pytest.approx(1 / 3)}


def test_samples_are_told_with_their_own_prompts():
    prompts = [Prompt({}, (1,), "first"), Prompt({}, (2,), "second")]
    rows = sample_rows(recipe_of(scores={"without_eos": -1.0}, log={"samples": 2}), prompts, EPISODES)
    assert rows == [
        {"prompt": "first", "completion": "one", "reward": 4.0, "ended": True},
        {"prompt": "second", "completion": "two", "reward": -1.0, "ended": False},
    ]

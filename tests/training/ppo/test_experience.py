"""From episodes to what is learned from: against open-instruct's own code, and rule by rule."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo.experience import (  # noqa: E402
    Measured,
    batches,
    episode_score,
    estimate,
    policy_logits,
    state_values,
)
from evalsuite.training.ppo.recipe import Scores  # noqa: E402
from evalsuite.training.ppo.rollout import Episode  # noqa: E402
from evalsuite.training.ppo.value_model import ValueScale, load_value_model  # noqa: E402
from tests.training.ppo.harness import recipe_of  # noqa: E402

F64 = torch.float64
LOGPROBS = [[-0.5, -1.0, -0.25], [-2.0, -0.125, -1.5]]
REFERENCE = [[-0.75, -0.5, -0.25], [-1.0, -0.25, -3.0]]
VALUES = [[1.0, 2.0, 4.0], [-1.0, 0.5, -3.0]]

#: (estimator, whitened rewards) -> advantages and returns of open-instruct's ``ppo_vllm_thread_ray_gtrl.py`` at commit
#: 9b39f557a for the numbers above, scores of 10, no end in the second, a penalty of -10, β = 0.1, γ = 1 and λ = 0.95.
PUBLISHED = (
    (
        ("k1", False),
        [[1.013958, 0.947253, 0.748558], [-0.862552, -1.102718, -0.744498]],
        [[9.3375, 9.75, 10.0], [-9.18975, -9.805, -10.15]],
    ),
    (
        ("k2", False),
        [[1.013951, 0.944272, 0.752298], [-0.873906, -1.097208, -0.739408]],
        [[9.3, 9.6875, 10.0], [-9.294773, -9.757656, -10.1125]],
    ),
    (
        ("k3", False),
        [[1.014088, 0.944226, 0.752136], [-0.875701, -1.096748, -0.738001]],
        [[9.297991, 9.685128, 10.0], [-9.280303, -9.719447, -10.072313]],
    ),
    (
        ("k1", True),
        [[0.825763, 0.165438, -1.228437], [0.004949, -1.057459, 1.289746]],
        [[1.694771, 1.688382, 1.564005], [-1.556216, -1.67541, -1.598083]],
    ),
)


def episode(tokens=3, ended=True, score=10.0):
    return Episode(0, tuple(range(5, 5 + tokens)), "text", ended, score, {})


def measured(mask=((1, 1, 1), (1, 1, 1))):
    numbers = [torch.tensor(one, dtype=F64) for one in (mask, LOGPROBS, LOGPROBS, VALUES, REFERENCE)]
    return Measured(numbers[0], *(one * numbers[0] for one in numbers[1:]))


def estimated(episodes, measures=None, scale=None, **changes):
    return estimate(
        recipe_of(**{"kl": {"beta": 0.1}, "scores": {"without_eos": -10.0}, **changes}),
        [(1, 2)] * len(episodes),
        episodes,
        measures or measured(),
        beta=0.1,
        scale=scale or ValueScale(None),
    )[0]


@pytest.mark.parametrize(("setting", "advantages", "returns"), PUBLISHED)
def test_advantages_and_returns_are_open_instructs(setting, advantages, returns):
    estimator, whiten = setting
    found = estimated(
        [episode(), episode(ended=False)],
        kl={"beta": 0.1, "estimator": estimator},
        scores={"without_eos": -10.0, "whiten": whiten},
    )
    torch.testing.assert_close(found.advantages, torch.tensor(advantages, dtype=F64), atol=2e-6, rtol=0)
    torch.testing.assert_close(found.returns, torch.tensor(returns, dtype=F64), atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("rule", "score", "ended", "worth"),
    [
        ({}, 10.0, True, 10.0),
        ({}, 10.0, False, -10.0),  # replaced, not added: Tülu 3
        ({}, None, False, -10.0),
        ({"without_eos": None}, 10.0, False, 10.0),
        ({"without_eos": -1.0}, 10.0, False, -1.0),
        ({"clip": 5.0}, 10.0, True, 5.0),
        ({"clip": 5.0}, -7.0, True, -5.0),
        ({"clip": 5.0}, 10.0, False, -10.0),  # the clip is for what was judged
    ],
)
def test_what_a_completion_is_worth(rule, score, ended, worth):
    assert episode_score(episode(ended=ended, score=score), Scores(**rule)) == worth


@pytest.mark.parametrize(
    ("scores", "carry"),
    [
        ({"without_eos": -10.0}, [1, 1, 0, 1]),
        ({"without_eos": -10.0, "mask_truncated": True}, [1, 0, 0, 0]),
        ({"without_eos": None}, [1, 1, 0, 0]),
    ],
)
def test_who_carries_loss(scores, carry):
    """Judged and ended, judged and cut off, ended without a verdict, cut off without a verdict."""
    episodes = [episode(), episode(ended=False), episode(score=None), episode(ended=False, score=None)]
    twice = Measured(*(torch.cat([one, one]) for one in (getattr(measured(), n) for n in Measured.__slots__)))
    found = estimated(episodes, twice, scores=scores)
    assert found.loss_mask.tolist() == [[float(one)] * 3 for one in carry]
    assert found.advantages[found.loss_mask > 0].mean() == pytest.approx(0, abs=1e-9)
    assert found.advantages[found.loss_mask == 0].abs().sum() == 0


def test_without_a_reference_divergence_costs_nothing():
    alone = measured()
    found = estimated([episode(), episode()], Measured(alone.mask, alone.logprobs, alone.entropies, alone.values, None))
    assert found.kl.abs().sum() == 0 and found.returns[:, -1].tolist() == [10.0, 10.0]


def test_values_are_normalised_by_returns_and_advantages_are_in_units_of_rewards():
    """A scale that has seen returns of mean 4 and deviation 2: a value of 0 stands for 4, one of 1 for 6."""
    scale = ValueScale(0.5, mean=2.0, square=10.0, weight=0.5)
    same = Measured(*(getattr(measured(), n) for n in Measured.__slots__))
    found = estimated([episode(), episode()], same, scale, ppo={"lam": 1.0, "whiten_advantages": False})
    plain = estimated([episode(), episode()], same, ppo={"lam": 1.0, "whiten_advantages": False})
    expected = plain.advantages + torch.tensor(VALUES, dtype=F64) - (4 + 2 * torch.tensor(VALUES, dtype=F64))
    torch.testing.assert_close(found.advantages, expected)
    assert found.values.tolist() == VALUES  # the value model's own units, which its losses are in


def test_returns_are_told_to_the_value_model_in_the_units_after_them():
    """At λ = 1 returns are what is still to come, 10 everywhere; averages were 4 and 20, and have 10 and 100 now."""
    alone = measured(((1, 1, 1),) * 2)
    free = Measured(alone.mask, alone.logprobs, alone.entropies, alone.values, None)
    scale = ValueScale(0.5, mean=2.0, square=10.0, weight=0.5)
    found = estimated([episode(), episode()], free, scale, ppo={"lam": 1.0})
    mean, square = (0.25 * 4 + 0.5 * 10) / 0.75, (0.25 * 20 + 0.5 * 100) / 0.75
    assert found.returns[0].tolist() == pytest.approx([(10 - mean) / (square - mean**2) ** 0.5] * 3)


def test_batches_ask_models_for_the_tokens_of_completions(tiny):
    """Whatever shares a batch: the logits and values are those of each sequence on its own."""
    from transformers import AutoModelForCausalLM

    policy = AutoModelForCausalLM.from_pretrained(tiny).eval()
    value = load_value_model(str(tiny), torch.float32).eval()
    torch.nn.init.normal_(value.score.weight)
    prompts = [(5, 6, 7, 8, 9), (10, 11), (12, 13, 14)]
    completions = [(20, 2), (21, 22, 23, 24, 2), (25,)]
    seen = []
    with torch.no_grad():
        for batch in batches(prompts, completions, [2, 0, 1], 2, pad=0, device="cpu"):
            logits, values = policy_logits(policy, batch), state_values(value, batch)
            for place, row in enumerate(batch.rows):
                seen.append(row)
                ids = torch.tensor([[*prompts[row], *completions[row]]])
                first, last = len(prompts[row]) - 1, len(completions[row])
                assert batch.tokens[place, :last].tolist() == list(completions[row])
                alone = policy(ids).logits[0, first:-1], value(ids).logits[0, first:-1, 0]
                torch.testing.assert_close(logits[place, :last], alone[0], atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(values[place, :last], alone[1], atol=1e-5, rtol=1e-5)
    assert sorted(seen) == [0, 1, 2]

"""Which completions share an update, and what their tokens weigh in it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo import update  # noqa: E402
from evalsuite.training.ppo.experience import Experience, batches  # noqa: E402
from evalsuite.training.ppo.losses import chosen_logprobs, policy_losses, value_losses  # noqa: E402
from evalsuite.training.ppo.update import Tally, minibatches  # noqa: E402
from evalsuite.training.ppo.value_model import load_value_model  # noqa: E402
from tests.training.ppo.harness import recipe_of  # noqa: E402

RECIPE = recipe_of(rollouts={"batch_size": 64}, training={"batch_size": 16}, ppo={"epochs": 3})


def test_every_epoch_takes_every_completion_once_in_an_order_of_its_own():
    orders = [[], [], []]
    for step in (0, 1):
        batches = list(minibatches(RECIPE, step))
        assert [len(places) for places in batches] == [16] * 12
        for number, places in enumerate(batches):
            orders[number // 4].extend(places)
    epochs = [tuple(order[at : at + 64]) for order in orders for at in (0, 64)]
    assert all(sorted(epoch) == list(range(64)) for epoch in epochs)
    assert len(set(epochs)) == 6


def test_a_step_that_is_taken_again_has_the_same_minibatches():
    assert list(minibatches(RECIPE, 5)) == list(minibatches(RECIPE, 5))


PROMPTS = [(5, 6, 7), (8, 9), (10, 11, 12, 13), (14,)]
COMPLETIONS = [(20, 2), (21, 22, 23, 24, 2), (25,), (26, 27, 2)]
LENGTHS = [2, 5, 1, 3]


def uneven_experience():
    """Four completions of 1 to 5 tokens; the third carries no loss."""
    generator = torch.Generator().manual_seed(1)
    mask = (torch.arange(5) < torch.tensor(LENGTHS)[:, None]).float()
    old, values, advantages, returns = (torch.randn(4, 5, generator=generator) * mask for _ in range(4))
    loss_mask = mask * torch.tensor([1.0, 1.0, 0.0, 1.0])[:, None]
    return Experience(PROMPTS, COMPLETIONS, loss_mask, old - 6 * mask, values, advantages, returns, mask * 0)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_every_token_weighs_the_same_whatever_micro_batch_it_is_in(tiny, size):
    """The loss is the mean over the ten tokens that carry it, computed here sequence by sequence."""
    from transformers import AutoModelForCausalLM

    policy, value = AutoModelForCausalLM.from_pretrained(tiny), load_value_model(str(tiny), torch.float32)
    torch.nn.init.normal_(value.score.weight)
    recipe, known = recipe_of(value={"coefficient": 0.25}), uneven_experience()
    losses = update._Losses(recipe, known, Tally(), float(known.loss_mask.sum()))
    parts = batches(PROMPTS, COMPLETIONS, [3, 0, 2, 1], size, pad=0, device="cpu")
    expected = {"policy": 0.0, "value": 0.0}
    for row in (0, 1, 3):
        ids, length = torch.tensor([[*PROMPTS[row], *COMPLETIONS[row]]]), LENGTHS[row]
        drawn = slice(len(PROMPTS[row]) - 1, -1)
        new = chosen_logprobs(policy(ids).logits[:, drawn], torch.tensor([COMPLETIONS[row]]))[0]
        old, advantages = known.logprobs[row, :length], known.advantages[row, :length]
        expected["policy"] += policy_losses(new, old, advantages, recipe.ppo.clip).sum() / 10
        values = value(ids).logits[0, drawn, 0]
        terms = value_losses(values, known.values[row, :length], known.returns[row, :length], recipe.value.clip)
        expected["value"] += 0.25 * terms.sum() / 10
    for name, model in (("policy", policy), ("value", value)):
        found = sum(getattr(losses, name)(model, part) for part in parts)
        torch.testing.assert_close(found, expected[name], atol=1e-5, rtol=1e-5)


def test_a_token_counts_as_clipped_where_clipping_takes_its_gradient():
    """Too large with an advantage, too small with a disadvantage; not where the step would go back."""
    old = torch.zeros(1, 6)
    new = torch.tensor([[1.5, 1.5, 0.5, 0.5, 1.1, 0.9]]).log().requires_grad_()
    advantages = torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]])
    policy_losses(new, old, advantages, 0.2).sum().backward()
    found = update._clipped(new.detach().exp(), advantages, 0.2)
    assert found.tolist() == (new.grad == 0).float().tolist() == [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]]

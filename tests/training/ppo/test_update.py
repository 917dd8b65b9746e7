"""Which completions share an update."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from evalsuite.training.ppo.update import minibatches
from tests.training.ppo.harness import recipe_of

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

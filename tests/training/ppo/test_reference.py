from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo.reference import freeze, move_towards  # noqa: E402


def test_a_reference_moves_its_share_of_the_way_and_learns_nothing():
    reference, policy = (torch.nn.Linear(2, 1) for _ in range(2))
    for model, number in ((reference, 1.0), (policy, 5.0)):
        for weights in model.parameters():
            torch.nn.init.constant_(weights, number)
    reference = freeze(reference)
    for expected in (2.0, 2.75):
        move_towards(reference, policy, 0.25)
        assert all((weights == expected).all() for weights in reference.parameters())
    assert all((weights == 5).all() for weights in policy.parameters())
    assert not reference.training and not any(weights.requires_grad for weights in reference.parameters())

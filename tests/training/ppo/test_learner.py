"""One optimizer step, by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo.learner import learning_rate_share, make_learner  # noqa: E402
from evalsuite.training.ppo.setup import make_accelerator  # noqa: E402
from evalsuite.training.recipe import Optimizer  # noqa: E402
from tests.training.ppo.harness import recipe_of  # noqa: E402


def test_a_step_is_clipped_decayed_and_averaged_as_the_recipe_says():
    """Four weights of 1, each with a gradient of 10 from two batches: a norm of 20, clipped to 0.5, so 0.25 each."""
    settings = Optimizer(learning_rate=0.1, schedule="constant", weight_decay=0.5, max_grad_norm=0.5, beta2=0.9)
    model = torch.nn.Linear(4, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    learner = make_learner("policy", model, make_accelerator(recipe_of()), settings, 10)
    loss, norm = learner.descend([4.0, 6.0], lambda model, factor: factor * model.weight.sum(), 0)
    assert (loss, norm) == (pytest.approx(40), pytest.approx(20))
    (state,) = learner.optimizer.state.values()
    assert state["exp_avg"].tolist() == [pytest.approx([0.1 * 0.25] * 4)]
    assert state["exp_avg_sq"].tolist() == [pytest.approx([0.1 * 0.25**2] * 4)]
    assert model.weight.tolist() == [pytest.approx([1 - 0.1 * 0.5 - 0.1] * 4)]
    assert model.weight.grad is None


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [0, 0.5, 1, 1, 1, 1]),
        ("linear", [0, 0.5, 1, 0.75, 0.5, 0.25]),
        ("cosine", [0, 0.5, 1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2]),
    ],
)
def test_the_learning_rate_rises_from_zero_and_falls_to_zero(schedule, shares):
    settings = Optimizer(learning_rate=1.0, schedule=schedule, warmup_ratio=1 / 3)
    assert [learning_rate_share(settings, done, 6) for done in range(6)] == pytest.approx(shares)

"""PPO and GRPO learn: digits in an exact form, from a model that gets half of them right.

Both end above 0.95 where this was measured; what is asserted leaves room for other processors, on which the same seed
draws other completions.
"""

from __future__ import annotations

import json
import statistics

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from evalsuite.training.run import train  # noqa: E402
from tests.training.ppo.harness import arithmetic_rows  # noqa: E402

COMMON = {
    "allow_overlap": "a dozen words make all the demo's questions",
    "optimizer.learning_rate": 3e-4,
    "rollouts.max_tokens": 14,
}
STAGES = {
    "demo/ppo": {
        "training.steps": 100,
        "training.batch_size": 32,
        "scores.without_eos": None,
        "value.coefficient": 0.5,
        "kl.beta": 0.0,
        "ppo.epochs": 1,
    },
    "demo/grpo": {"training.steps": 150, "training.batch_size": 128},
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("recipe", STAGES)
def test_a_weak_start_is_taught_exact_arithmetic(tmp_path, recipe):
    rows = arithmetic_rows()
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes = {**COMMON, **STAGES[recipe], "data": {"file": str(tmp_path / "rows.jsonl"), "rows": len(rows)}}
    steps = []
    train(recipe, tmp_path / "run", changes, steps.append)
    rewards = [step.reward for step in steps]
    assert rewards[0] < 0.7 and statistics.mean(rewards[-10:]) > 0.93

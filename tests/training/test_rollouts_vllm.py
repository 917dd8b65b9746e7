"""GRPO with rollouts by vLLM, without a GPU: what is drawn from are the weights of the policy."""

from __future__ import annotations

import os

import pytest

from evalsuite.training.metrics_log import read_rows
from evalsuite.training.run import train
from tests.architectures import build

pytestmark = pytest.mark.vllm

#: Large steps, so that completions of old weights would be told at once.
CHANGES = {
    "rollouts.engine": "vllm",
    "rollouts.max_model_tokens": 128,
    "training.steps": 4,
    "training.batch_size": 32,
    "optimizer.learning_rate": 3e-3,
    "optimizer.schedule": "constant",
}
_DIFFERENCE = "sampling/sampling_logp_difference/mean"


def differences(folder):
    """By step: how far log-probabilities of the drawn tokens are apart in vLLM and in the policy, in nats a token."""
    return [row["more"][_DIFFERENCE] for row in read_rows(folder / "metrics.jsonl")]


def test_completions_change_as_the_weights_do(tmp_path, monkeypatch):
    pytest.importorskip("vllm")
    pytest.importorskip("trl")
    from evalsuite.training import grpo

    synced = differences(train("demo/grpo", tmp_path / "synced", CHANGES))
    assert len(synced) == 4 and max(synced) < 0.02
    assert "RANK" not in os.environ and "MASTER_PORT" not in os.environ  # of which the next run would think the worst

    monkeypatch.setattr(grpo, "vllm_for_any_policy", never_again)
    stale = differences(train("demo/grpo", tmp_path / "stale", CHANGES))
    assert stale[0] < 0.02  # before the first update both have the same weights
    assert min(stale[1:]) > 10 * max(synced)


@pytest.mark.parametrize("name", ["Olmo2", "Mixtral"])
def test_policies_of_other_architectures_train_beside_vllm(name, tmp_path):
    """OLMo 2 runs by Transformers' classes in vLLM, and a checkpoint of it is evaluated meanwhile; of Mixtral's experts
    vLLM knows only the checkpoint's names."""
    pytest.importorskip("vllm")
    pytest.importorskip("trl")
    changes = CHANGES | {"init": str(build(tmp_path / "start", name)), "training.steps": 2}
    asked = {"evaluation.tasks": ["demo_strings"], "evaluation.every": 2, "evaluation.limit": 2}
    folder = train("demo/grpo", tmp_path / "run", changes | asked)
    assert len([row for row in read_rows(folder / "metrics.jsonl") if "evaluation" in row]) == 1


def test_a_server_draws_from_the_weights_of_the_policy_too(tmp_path, weights_server):
    pytest.importorskip("vllm")
    pytest.importorskip("trl")
    _, url = weights_server
    changes = CHANGES | {"rollouts.engine": "vllm_server", "rollouts.server": url}
    served = differences(train("demo/grpo", tmp_path / "served", changes))
    assert len(served) == 4 and max(served) < 0.02


def never_again(folder):
    """Instead of sending weights: send none."""
    from contextlib import contextmanager

    from trl.generation.vllm_generation import VLLMGeneration

    @contextmanager
    def deaf():
        original, VLLMGeneration.sync_weights = VLLMGeneration.sync_weights, lambda self: None
        try:
            yield
        finally:
            VLLMGeneration.sync_weights = original

    return deaf()

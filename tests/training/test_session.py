"""What surrounds every stage: development scores, and randomness that an evaluation leaves alone."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace

import pytest

from evalsuite.training import session
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.library import load_recipe
from evalsuite.training.session import Session

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")


def scored(**scores):
    tasks = [SimpleNamespace(task=name, estimate=SimpleNamespace(score=score)) for name, score in scores.items()]
    return SimpleNamespace(tasks=tasks)


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A session, and a function that saves a checkpoint with these development scores."""
    monkeypatch.setattr(session, "write_card", lambda folder, provenance: None)
    recipe = load_recipe("demo/grpo", {"evaluation.tasks": ["a", "b"], "evaluation.every": 2, "checkpoints.keep": 9})
    known = Session(recipe, TrainingFolder(tmp_path), {}, print)

    def save(step, **scores):
        def evaluate(*_, **__):
            random.random(), numpy.random.rand(), torch.rand(1)
            return scored(**scores)

        monkeypatch.setattr(session, "evaluate", evaluate)
        folder = known.folder.checkpoint(step)
        folder.mkdir(parents=True)
        known.saved(folder, step)

    return known, save


def test_the_best_checkpoint_has_the_best_mean_over_the_tasks(asked):
    known, save = asked
    save(2, a=0.2, b=0.6)
    save(3, a=1.0, b=1.0)  # not asked: it is no multiple of evaluation.every
    save(4, a=0.1, b=0.9)
    save(6, a=0.0, b=0.8)
    best = json.loads((known.folder.path / "best.json").read_text())
    assert best == {"step": 4, "score": pytest.approx(0.5), "checkpoint": "checkpoints/checkpoint-4"}


def test_an_evaluation_leaves_randomness_as_it_found_it(asked):
    def drawn():
        return random.random(), numpy.random.rand(), torch.rand(1).item()

    _, save = asked
    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    expected = drawn()
    random.setstate(states[0]), numpy.random.set_state(states[1]), torch.set_rng_state(states[2])
    save(2, a=0.5, b=0.5)
    assert drawn() == expected

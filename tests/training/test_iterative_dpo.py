"""The rounds of iterative DPO: who answers, with which seeds, what an answer is judged against, who is preferred."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from evalsuite.engines.base import Generation, Sample
from evalsuite.engines.sampling import row_seed
from evalsuite.training import iterative_dpo
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.iterative_dpo import Sampled, make_pairs, train_iterative_dpo
from evalsuite.training.library import load_recipe
from evalsuite.training.stage import Context, Outcome, Step

ROWS = [{"prompt": str(number), "answer": str(number)} for number in range(8)]
CHANGES = {
    "rounds": 2,
    "data.rows": 8,
    "data.params.count": 8,
    "samples.prompts": 4,
    "samples.temperature": 0.5,
    "samples.top_p": 0.9,
    "training.batch_size": 2,
}


class Engine:
    """Answers the first time with the prompt, which is right, and then with something else; the last asked first."""

    def __init__(self, asked):
        self.asked = asked

    def generate(self, requests):
        self.asked += requests
        for request in reversed(requests):
            texts = [request.prompt.text, *["wrong"] * (request.sampling.n - 1)]
            yield Generation(request.id, tuple(Sample(text, 1, False) for text in texts), 1)

    def close(self):
        pass


@pytest.fixture
def rounds(tmp_path, monkeypatch):
    """Run two rounds of four prompts; return what was asked, by whom, what was trained on, reported and kept."""
    asked, answering, trained, reported, kept = [], [], [], [], []

    def create(engine, model, options):
        answering.append(model)
        return Engine(asked)

    def train(context):
        trained.append(context)
        (context.folder.path / "model.safetensors").write_text(str(len(trained)))
        context.report(Step(2, 2, 0.5, tokens=10))
        return Outcome(2, 0.5, 7, {"tokens": 10})

    monkeypatch.setattr(iterative_dpo, "create_engine", create)
    monkeypatch.setattr(iterative_dpo, "train_dpo", train)
    recipe = load_recipe("demo/dpo", CHANGES)
    folder = TrainingFolder(tmp_path)
    context = Context(
        "mine", recipe, ROWS, "start", folder, None, reported.append, lambda *_: None, lambda _, rows: kept.extend(rows)
    )
    outcome = train_iterative_dpo(context)
    return asked, answering, trained, reported, kept, outcome


def test_a_round_is_answered_by_and_trained_from_the_model_before(rounds, tmp_path):
    _, answering, trained, _, _, outcome = rounds
    starts = ["start", str(tmp_path / "rounds" / "round-1")]
    assert answering == starts
    assert [one.start for one in trained] == starts and [one.recipe.init for one in trained] == starts
    assert Path(tmp_path / "model.safetensors").read_text() == "2"
    assert outcome.steps == 4 and outcome.more == {"pairs": [4, 4], "tokens": 20}


def test_prompts_and_seeds_are_a_rounds_own(rounds):
    asked = rounds[0]
    assert [request.prompt.text for request in asked] == [row["prompt"] for row in ROWS]
    assert len({row_seed(request.sampling.seed, request.id, 0) for request in asked}) == 8
    sampling = {(s.max_tokens, s.temperature, s.top_p, s.n) for s in (request.sampling for request in asked)}
    assert sampling == {(16, 0.5, 0.9, 4)}


def test_answers_are_judged_against_their_own_row(rounds):
    _, _, trained, _, kept, _ = rounds
    assert all(row["reward"] == (row["completion"] == row["prompt"]) for row in kept) and len(kept) == 32
    pairs = [pair for one in trained for pair in one.rows]
    assert pairs == [{"prompt": row["prompt"], "chosen": row["prompt"], "rejected": "wrong"} for row in ROWS]


def test_steps_and_tokens_count_on_over_the_rounds(rounds):
    reported = rounds[3]
    assert [(step.step, step.tokens, step.more["round"]) for step in reported] == [(2, 10, 1), (4, 20, 2)]
    assert reported[-1].steps == 4


def test_a_right_answer_of_its_own_is_preferred_to_the_known_good_one():
    one = Sampled({"prompt": "p", "solution": "known"}, ["wrong", "own"], [0.0, 1.0])
    (pair,) = make_pairs([one], flip=0, gold="solution", rng=random.Random(0))
    assert pair == {"prompt": "p", "chosen": "own", "rejected": "wrong"}

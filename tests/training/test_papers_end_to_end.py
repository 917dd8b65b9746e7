"""Every recipe of the two papers, from its own ``[data]`` table to a finished folder, one after the other.

What is a sixteenth of what the recipe says, or less, are sizes; what is different are starting points that only the Hub
has, vLLM, and how long SFT learns where a verifier judges later: until the tiny model knows some answers by heart, so
that there is something to reward. A recipe starts from what another one has made here, as in the papers.
"""

from __future__ import annotations

import gzip
import json
import math
import re

import pytest

from evalsuite.errors import DataMismatch
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.library import load_recipe, recipe_paths
from evalsuite.training.metrics_log import read_rows
from evalsuite.training.rewards import make_rewards, score
from evalsuite.training.run import plan, train
from tests.training.papers_mirror import write_mirror

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

PAPERS = {name: load_recipe(name) for name in recipe_paths() if not name.startswith("demo/")}
MADE_BY = {f"runs/train-{name.replace('/', '-')}": name for name in PAPERS}
STEPS, ROUNDS, TOKENS = 2, 2, 64
LESSONS = {"steps": None, "epochs": 60, "batch_size": 4, "micro_batch_size": 4}


def chain(name):
    """The recipes that a recipe's policy descends from, nearest first, down to the bundled model's."""
    before = MADE_BY.get(PAPERS[name].init)
    return ["demo/sft"] if before is None else [before, *chain(before)]


def verifiers(recipe):
    return {table.label for table in getattr(recipe, "rewards", None) or () if table.model is None}


#: The SFT of every policy whose answers a verifier judges.
TAUGHT = {chain(name)[-2] for name, recipe in PAPERS.items() if verifiers(recipe)}


@pytest.fixture(scope="session")
def papers_mirror(tmp_path_factory, request):
    """A few rows of every data set; those of HH-RLHF are real where there are some."""
    try:
        path = request.getfixturevalue("mirror") / "Anthropic" / "hh-rlhf" / "harmless-base" / "test.jsonl.gz"
        with gzip.open(path, "rt") as lines:
            dialogues = sorted(map(json.loads, lines), key=lambda row: len(row["chosen"]) + len(row["rejected"]))[:16]
    except (pytest.skip.Exception, FileNotFoundError):
        dialogues = None
    return write_mirror(tmp_path_factory.mktemp("papers"), dialogues)


@pytest.fixture(scope="session")
def made(tmp_path_factory, papers_mirror):
    """Return the folder that a recipe fills; what it starts from is made first, everything once."""
    folders = {}
    place = tmp_path_factory.mktemp("made")

    def make(name):
        if name not in folders:
            changes = sizes(name, papers_mirror) | starting_points(PAPERS[name], make)
            folders[name] = train(name, place / name, changes, data=papers_mirror)
        return folders[name]

    return make


def sizes(name, mirror):
    """Keys of a recipe that say how much of something, made small."""
    recipe = PAPERS[name]
    batch = smaller(recipe.training.batch_size)
    portion = math.gcd(batch, recipe.training.micro_batch_size)
    loop = {"steps": STEPS, "epochs": None, "batch_size": batch, "micro_batch_size": portion}
    changes = {"data.rows": len(rows_of(name, mirror)), "checkpoints.every": 1}
    if name in TAUGHT:
        loop = LESSONS
        changes |= {"optimizer.learning_rate": 3e-3, "checkpoints.every": 1000}
    if recipe.stage == "ppo":
        changes |= {"rollouts.batch_size": smaller(recipe.rollouts.batch_size), "rollouts.max_tokens": TOKENS}
        changes |= {"rollouts.engine": "transformers"}
    if recipe.stage == "iterative_dpo":
        changes |= {"rounds": ROUNDS, "samples.max_tokens": TOKENS, "samples.engine": "transformers"}
    if recipe.evaluation is not None:
        changes |= {"evaluation.every": STEPS, "evaluation.engine": "transformers"}
    loop = loop | {"dtype": None, "threads": 1}
    return changes | {f"training.{key}": value for key, value in loop.items()}


def smaller(size):
    return max(1, size // 16)


def rows_of(name, mirror):
    """The rows of a recipe; how many its rules leave is found out as a user finds out: the first run tells."""
    with pytest.raises(DataMismatch) as told:
        plan(name, {"data.rows": 1}, mirror)
    count = int(re.search(r"--set data\.rows=(\d+)$", str(told.value))[1])
    return plan(name, {"data.rows": count}, mirror).data.rows


def starting_points(recipe, make):
    """Keys of a recipe that name a model: what another recipe has made, or the bundled one for what the Hub has."""

    def at(path):
        return str(make(MADE_BY[path])) if path in MADE_BY else "demo"

    changes = {"init": at(recipe.init)}
    tables = [table.model_dump(exclude_unset=True) for table in getattr(recipe, "rewards", None) or ()]
    if tables:
        changes["rewards"] = [table | ({"model": at(table["model"])} if "model" in table else {}) for table in tables]
    if recipe.stage == "ppo" and recipe.value.init is not None:
        changes["value.init"] = at(recipe.value.init)
    return changes


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_a_recipe_of_the_papers_runs(name, made, papers_mirror):
    recipe, folder = PAPERS[name], made(name)
    rows, record = read_rows(folder / "metrics.jsonl"), json.loads((folder / "provenance.json").read_text())
    steps = rows[-1]["steps"] if name in TAUGHT else STEPS * (ROUNDS if recipe.stage == "iterative_dpo" else 1)
    assert [row["step"] for row in rows if "evaluation" not in row] == list(range(1, steps + 1))
    assert all(math.isfinite(row["loss"]) for row in rows)
    hubs = [" ".join(filter(None, [one.hub, one.config, "train"])) for one in recipe.data.mix or [recipe.data]]
    assert (record["name"], record["sources"]) == (name, hubs)
    assert [one["name"] for one in record["lineage"]][: len(chain(name))] == chain(name)
    assert_loads_and_has_learned(name, folder, record["lineage"][0]["model"])
    if recipe.stage == "ppo":
        assert_judged(recipe, rows, rows_of(name, papers_mirror))
    if recipe.stage == "iterative_dpo":
        assert_paired(recipe, folder, record, rows_of(name, papers_mirror))
    if recipe.evaluation is not None:
        assert set(rows[-1]["evaluation"]) == set(recipe.evaluation.tasks) and record["weights_of"]["step"] == STEPS


def assert_loads_and_has_learned(name, folder, start):
    """The folder is a checkpoint with the chat template of its SFT, and its weights are not those it started from."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    scorer = PAPERS[name].stage == "reward_model"
    model = (AutoModelForSequenceClassification if scorer else AutoModelForCausalLM).from_pretrained(folder)
    before = AutoModelForCausalLM.from_pretrained(start).state_dict()
    pairs = [(weights, before[key]) for key, weights in model.state_dict().items() if key in before]
    assert all(bool(now.isfinite().all()) for now, _ in pairs) and any(not torch.equal(*pair) for pair in pairs)
    said = [getattr(PAPERS[one], "chat_template", None) for one in [name, *chain(name)[:-1]]]
    assert AutoTokenizer.from_pretrained(folder).chat_template == next(filter(None, said)).strip()


def assert_judged(recipe, steps, rows):
    """The policy begins as its reference; every verifier has found right answers, and judged all rows that have tests.

    The eight completions that are all of an ablation with small batches may be wrong, every one.
    """
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert all(math.isfinite(step["reward"]) and set(step.get("solved", {})) == verifiers(recipe) for step in steps)
    if smaller(recipe.rollouts.batch_size) * STEPS > 8:
        assert all(any(step["solved"][name] > 0 for step in steps) for name in verifiers(recipe))
    untested = any(row["reference"] == {"inputs": [], "outputs": []} for row in rows if "reference" in row)
    assert any(step["more"]["unjudged"] > 0 for step in steps) is untested


def assert_paired(recipe, folder, record, rows):
    """Where tests judge, every pair prefers a program that passes those of its row to one that fails them."""
    pairs = [read_rows(one.path / "pairs.jsonl") for one in TrainingFolder(folder).rounds()]
    assert record["pairs"] == [len(found) for found in pairs] and len(pairs) == ROUNDS
    if verifiers(recipe):
        rewards = make_rewards(recipe.rewards, eos_token_ids=())
        known = {row["prompt"][-1]["content"]: row for row in rows}
        for pair in (pair for found in pairs for pair in found):
            row = known[pair["prompt"][-1]["content"]]
            answers = [pair[side][0]["content"] for side in ("chosen", "rejected")]
            assert score(rewards, [row, row], answers).totals == [10.0, 0.0]

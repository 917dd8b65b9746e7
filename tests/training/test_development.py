"""Development tasks asked while training goes on, and what may and can be asked is known before it begins."""

from __future__ import annotations

import json
import shutil

import pytest

from evalsuite.errors import DataUnavailable, InvalidInput, InvalidRecipe, SplitViolation
from evalsuite.split import Split
from evalsuite.tasks.registry import load_task
from evalsuite.training.checkpoint import next_step
from evalsuite.training.library import load_recipe
from evalsuite.training.metrics_log import read_rows
from evalsuite.training.preview import preview, summary
from evalsuite.training.run import check_plan, plan, train

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

SMALL = {"training.steps": 2, "training.batch_size": 8, "data.rows": 64, "data.params.count": 64}
ASKED = {"evaluation.tasks": ["demo_strings"], "evaluation.every": 1, "evaluation.limit": 2}


def test_checkpoints_of_adapters_are_asked_and_load_without_peft(tmp_path):
    """The merged model lies in the checkpoint, and the best one's weights in the finished folder."""
    pytest.importorskip("peft")
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    changes = SMALL | ASKED | {"peft.r": 2, "evaluation.select": "best", "optimizer.learning_rate": 1e-2}
    folder = train("demo/grpo", tmp_path / "run", changes)
    rows = [row for row in read_rows(folder / "metrics.jsonl") if "evaluation" in row]
    assert [row["step"] for row in rows] == [1, 2]
    best = folder / json.loads((folder / "best.json").read_text())["checkpoint"]
    chosen = json.loads((folder / "provenance.json").read_text())["weights_of"]
    assert chosen["step"] == int(best.name.rpartition("-")[2])
    assert f"of step {chosen['step']}, which had the best" in (folder / "README.md").read_text()
    assert "of the last step" in (best / "README.md").read_text()
    assert not (best / "adapter_config.json").exists()
    assert (folder / "model.safetensors").read_bytes() == (best / "model.safetensors").read_bytes()
    _, told = AutoModelForCausalLM.from_pretrained(best, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    assert not any("lora" in name for name in load_file(best / "model.safetensors"))


@pytest.mark.slow
def test_training_of_adapters_goes_on_as_if_it_had_not_stopped(tmp_path):
    pytest.importorskip("peft")
    from safetensors.torch import load_file

    class Stopped(BaseException):
        """Nothing in the house catches it."""

    def stop(step):
        if step.step == 3:
            raise Stopped

    changes = SMALL | {"training.steps": 5, "peft.r": 2, "peft.dropout": 0.1, "checkpoints.every": 2}
    train("demo/grpo", tmp_path / "whole", changes)
    with pytest.raises(Stopped):
        train("demo/grpo", tmp_path / "stopped", changes, stop)
    train("demo/grpo", tmp_path / "stopped", changes, resume=True)
    whole, stopped = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


@pytest.mark.parametrize(
    ("tasks", "error", "said"),
    [
        (["demo_strings", "demo_strings_unseen"], SplitViolation, "may not steer training"),
        (["alpaca_eval"], InvalidRecipe, r"asks a judge \(alpaca_eval\).*--judge"),
    ],
)
def test_what_may_not_or_cannot_be_asked_is_refused_before_any_data_are_read(tasks, error, said):
    with pytest.raises(error, match=said):
        plan("demo/grpo", {"evaluation.tasks": tasks, "evaluation.every": 6, "data.generator": "none"})


def test_development_data_are_read_before_training_begins(tmp_path):
    with pytest.raises(DataUnavailable, match="gsm8k"):
        train("demo/grpo", tmp_path / "run", SMALL | ASKED | {"evaluation.tasks": ["gsm8k"]})
    assert not (tmp_path / "run").exists()


def test_training_prompts_may_not_overlap_with_the_recipes_own_task(tmp_path):
    """What chooses a checkpoint is an evaluation like any other, wherever its file lies."""
    task, data = tmp_path / "mine.toml", tmp_path / "asked.jsonl"
    data.write_text("".join(json.dumps({"prompt": " ".join(f"{n}x{k}" for k in range(40))}) + "\n" for n in range(64)))
    task.write_text("""
title = "Mine"
skill = "strings"
prompt = "{{ prompt }}"
target = "none"
[data]
hub = "mine/asked"
split = "train"
rows = 64
[sampling]
max_tokens = 8
[verifier]
name = "exact_match"
""")
    (tmp_path / "mirror" / "mine" / "asked").mkdir(parents=True)
    shutil.copy(data, tmp_path / "mirror" / "mine" / "asked" / "train.jsonl")
    changes = {"data": {"file": str(data), "rows": 64}, "training.steps": 2, "training.batch_size": 8}
    changes |= ASKED | {
        "evaluation.tasks": [str(task)],
        "rewards": [{"verifier": "exact_match", "reference": "prompt"}],
    }
    with pytest.raises(InvalidInput, match="64 of 64 instances of mine"):
        train("demo/grpo", tmp_path / "run", changes, data=tmp_path / "mirror")


def test_a_dry_run_says_what_will_be_asked():
    shown, _ = preview("demo/grpo", ASKED, None)
    assert shown["evaluation"] == {"docs": {"demo_strings": 2}}
    assert summary(shown) == [
        "2,000 rows, 60 steps, a checkpoint every 6",
        "evaluated every 1 steps: demo_strings (2)",
    ]
    missing = preview("demo/grpo", ASKED | {"evaluation.tasks": ["gsm8k"]}, None)[0]["evaluation"]
    assert "gsm8k" in missing["unavailable"]


def test_a_reward_model_is_not_evaluated(tmp_path):
    path = tmp_path / "rm.toml"
    path.write_text("""
title = "Scorer"
stage = "reward_model"
init = "demo"
data = { file = "pairs.jsonl", rows = 8 }
optimizer = { learning_rate = 1e-3 }
training = { steps = 1, batch_size = 8, max_length = 48 }
""")
    with pytest.raises(InvalidRecipe, match=r"a reward model writes no answers"):
        load_recipe(str(path), ASKED)
    assert load_recipe(str(path)).evaluation is None


@pytest.mark.parametrize(
    ("stage", "evaluation", "generator", "said"),
    [
        ("reward_model", None, None, '[[rewards]] model = "FOLDER"'),
        ("sft", None, "demo_demonstrations", "--model FOLDER --tasks demo_arithmetic,demo_strings"),
        ("grpo", {"tasks": ["math", "ifeval"]}, None, "--model FOLDER --tasks math,ifeval"),
        ("sft", None, None, "--model FOLDER --suite dev"),
    ],
)
def test_the_end_of_training_says_what_comes_next(tmp_path, stage, evaluation, generator, said):
    """Never something that the wall would refuse."""
    recipe = {"stage": stage, "evaluation": evaluation, "data": {"generator": generator}}
    (tmp_path / "provenance.json").write_text(json.dumps({"recipe": recipe}))
    assert said.replace("FOLDER", str(tmp_path)) in next_step(tmp_path)


def test_the_demo_tasks_it_names_are_for_development():
    assert {load_task(name).split for name in ("demo_arithmetic", "demo_strings")} == {Split.DEV}


def test_what_lm_eval_asks_is_checked_for_overlap_too(tmp_path):
    pytest.importorskip("lm_eval")
    from tests.bridge.conftest import add_dataset, arc_rows

    asks = "Which of these six words comes right after the word that is number {} of the old list of words?"
    rows = [row | {"question": asks.format(number)} for number, row in enumerate(arc_rows(8))]
    add_dataset(tmp_path, "allenai/ai2_arc", "ARC-Easy", train=rows[:2], validation=rows[:2], test=rows)
    asked = {"evaluation.tasks": ["lm-eval/arc_easy", "demo_strings"], "evaluation.every": 1}
    clean = check_plan(plan("demo/grpo", SMALL | asked, tmp_path), lambda text: None)
    assert {"lm-eval/arc_easy", "demo_strings"} <= clean.checked.keys()
    assert (clean.checked["lm-eval/arc_easy"].instances, clean.checked["lm-eval/arc_easy"].overlapping) == (8, 0)
    assert clean.checked["lm-eval/arc_easy"].split == "dev"

    prompts = [{"prompt": f"Think. {row['question']}", "answer": "A"} for row in rows[:2]]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in prompts))
    data = {"data.generator": None, "data.file": str(path), "data.rows": 2}
    with pytest.raises(InvalidInput, match=r"2 of 8 .* of lm-eval/arc_easy \(dev\) overlap .*, for instance 0, 1"):
        train("demo/grpo", tmp_path / "run", SMALL | asked | data, data=tmp_path)
    assert not (tmp_path / "run").exists()

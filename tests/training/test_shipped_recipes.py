"""Every bundled recipe resolves, says what the papers say, and speaks TRL's language."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from evalsuite.errors import InvalidRecipe, UnknownName
from evalsuite.tasks.registry import bundled_data
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.grpo import grpo_arguments
from evalsuite.training.library import load_recipe, recipe_paths
from evalsuite.training.preference import Dpo, dpo_arguments, reward_model_arguments
from evalsuite.training.rewards import check_rewards
from evalsuite.training.run import plan
from evalsuite.training.sft import sft_arguments
from evalsuite.training.stage import Context
from evalsuite.training.stages import STAGES
from evalsuite.training.trainer import check_trl_names, make_config

trl = pytest.importorskip("trl")

TRL_STAGES = {
    "base": sft_arguments,
    "sft": sft_arguments,
    "reward_model": reward_model_arguments,
    "dpo": dpo_arguments,
    "iterative_dpo": dpo_arguments,
    "grpo": grpo_arguments,
}

#: What training spec §4 says, by recipe and key.
TULU3 = {
    "tulu3_8b/sft": {"optimizer.learning_rate": 5e-6, "training.batch_size": 128, "training.epochs": 2, "seed": 123,
                     "training.max_length": 4096, "optimizer.warmup_ratio": 0.03, "training.reduction": "sum"},
    "tulu3_70b/sft": {"optimizer.learning_rate": 2e-6, "training.batch_size": 128, "training.epochs": 2, "seed": 456},
    "tulu3_8b/dpo": {"optimizer.learning_rate": 5e-7, "training.batch_size": 128, "training.epochs": 1, "dpo.beta": 5,
                     "dpo.loss": "sigmoid_norm", "training.max_length": 2048, "optimizer.warmup_ratio": 0.1},
    "tulu3_70b/dpo": {"optimizer.learning_rate": 2e-7, "dpo.beta": 5, "dpo.loss": "sigmoid_norm"},
    "tulu3_8b/reward_model": {"optimizer.learning_rate": 3e-6, "training.max_length": 2048, "training.batch_size": 256},
    "tulu3_8b/rlvr": {"optimizer.learning_rate": 3e-7, "rollouts.batch_size": 224, "kl.beta": 0.05, "ppo.epochs": 4,
                      "rollouts.max_tokens": 2048, "scores.without_eos": -10, "seed": 3, "checkpoints.every": 100},
    "tulu3_70b/rlvr": {"optimizer.learning_rate": 1e-7, "rollouts.batch_size": 640, "kl.beta": 0.07, "seed": 8,
                       "optimizer.warmup_ratio": 0.1, "checkpoints.every": 40, "training.steps": 625},
    "dpo_vs_ppo/hh_rlhf/ppo": {"optimizer.learning_rate": 1e-5, "value.learning_rate": 5e-6, "ppo.lam": 1,
                               "rollouts.batch_size": 512, "training.batch_size": 128, "kl.beta": 0.1,
                               "rollouts.top_k": 200, "rollouts.max_tokens": 256, "training.epochs": 5},
    "dpo_vs_ppo/apps/ppo": {"rollouts.max_tokens": 1024, "training.epochs": 16},
    "dpo_vs_ppo/hh_rlhf/ablations/1_baseline": {"rollouts.batch_size": 64, "ppo.whiten_advantages": False,
                                                "reference.ema": 0},
    "dpo_vs_ppo/hh_rlhf/ablations/2_advantage_normalisation": {"rollouts.batch_size": 64,
                                                               "ppo.whiten_advantages": True, "reference.ema": 0},
    "dpo_vs_ppo/hh_rlhf/ablations/3_large_batch": {"rollouts.batch_size": 512, "reference.ema": 0},
    "dpo_vs_ppo/hh_rlhf/dpo": {"dpo.beta": 0.1, "optimizer.learning_rate": 1e-6, "training.epochs": 2},
}  # fmt: skip


def context_of(name, recipe):
    return Context(name, recipe, [], recipe.start, TrainingFolder(Path("unused")), None, print, print, print)


def at(recipe, dotted):
    for key in dotted.split("."):
        recipe = getattr(recipe, key)
    return recipe


@pytest.mark.parametrize("name", recipe_paths())
def test_a_bundled_recipe_resolves_and_its_rewards_exist(name):
    recipe = load_recipe(name)
    assert recipe.steps > 0
    check_rewards(getattr(recipe, "rewards", None) or (), [])


@pytest.mark.parametrize("name", [name for name in recipe_paths() if load_recipe(name).stage in TRL_STAGES])
def test_trl_takes_the_arguments_of_a_recipe(name):
    recipe = load_recipe(name)
    kind, arguments = STAGES[recipe.stage].trl_config, TRL_STAGES[recipe.stage]
    config = make_config(getattr(trl, kind), arguments(context_of(name, recipe)), recipe)
    assert config.learning_rate == recipe.optimizer.learning_rate
    assert config.gradient_accumulation_steps * config.per_device_train_batch_size == recipe.training.batch_size


@pytest.mark.parametrize("name", TULU3)
def test_the_papers_values_are_in_the_recipes(name):
    recipe = load_recipe(name)
    assert {key: at(recipe, key) for key in TULU3[name]} == TULU3[name]


def test_the_last_ablation_is_the_whole_recipe():
    for folder in ("hh_rlhf", "safe_rlhf", "apps", "code_contests"):
        whole, last = (load_recipe(f"dpo_vs_ppo/{folder}/{name}") for name in ("ppo", "ablations/4_reference_ema"))
        assert last.content_hash == whole.content_hash


@pytest.mark.parametrize("name", [name for name in recipe_paths() if "/ablations/" in name])
def test_an_ablation_changes_what_it_says_and_nothing_else(name):
    """Against the recipe it extends; how many rows a rule leaves is said where it has to be counted first."""
    path = recipe_paths()[name]
    table = tomllib.loads(path.read_text())
    below = load_recipe(str(path.parent / table.pop("extends")))
    before, after = (flat(recipe.model_dump()) for recipe in (below, load_recipe(name)))
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert changed | {"data.rows"} == flat(table).keys() | {"data.rows"}


def flat(table, above=""):
    """Keys of a table and of the tables in it, dotted."""
    pairs = [(f"{above}{key}", value) for key, value in table.items()]
    inner = [flat(value, f"{key}.") if isinstance(value, dict) else {key: value} for key, value in pairs]
    return {key: value for part in inner for key, value in part.items()}


@pytest.mark.parametrize("folder", ["apps", "code_contests"])
def test_pairs_of_programs_have_the_data_sets_solution_to_prefer(folder):
    """Training spec §2.2: it is the better one of a pair where no sample passes the tests."""
    recipe = load_recipe(f"dpo_vs_ppo/{folder}/iterative_dpo")
    assert recipe.samples.gold in recipe.data.columns


PAPERS = sorted(
    path
    for folder in ("tulu3_8b", "tulu3_70b", "dpo_vs_ppo")
    for path in bundled_data("train").glob(f"{folder}/**/*.toml")
)
#: Means of this machine and sizes of models, which no paper decides.
OWN = ("micro_batch_size", "gradient_checkpointing", "dtype", "engine")
CHOICES = ("schedule", "loss", "reduction", "learn", "estimator", "select")
SOURCES = re.compile(r"\b(spec|paper|cards?|Alpaca|AlphaCode|RLHF Workflow|sft\.toml|not verified)\b|§")


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: str(path.relative_to(bundled_data("train"))))
def test_every_hyperparameter_of_the_papers_is_cited(path):
    """A number, or a choice between methods, says where it stands, or that it stands nowhere."""
    table, uncited = "", []
    for line in path.read_text().splitlines():
        table = match[1] if (match := re.match(r"\[+([\w.]+)\]+", line)) else table
        match = re.match(r"(\w+) *= *([-0-9.e_]+|true|false|\"[\w-]*\")( +#.*)?$", line)
        if match is None or match[1] in OWN or table in ("size", "value.size", "evaluation"):
            continue
        decides = not match[2].startswith('"') or match[1] in CHOICES
        uncited += [line] if decides and not SOURCES.search(match[3] or "") else []
    assert not uncited


RUN = re.compile(r"runs/train-([\w-]+)")


@pytest.mark.parametrize("name", [name for name in recipe_paths() if not name.startswith("demo/")])
def test_every_recipe_starts_where_another_ends(name):
    """What a recipe starts from, is rewarded by, or makes its value model of is in the folder another one fills."""
    made = {f"runs/train-{other.replace('/', '-')}": load_recipe(other).stage for other in recipe_paths()}
    recipe = load_recipe(name)
    policies = [recipe.start]
    scorers = [table.model for table in getattr(recipe, "rewards", None) or () if table.model]
    scorers += [recipe.value.init] if recipe.stage == "ppo" and recipe.value.init else []
    for place, stages in ((policies, {"sft", "dpo"}), (scorers, {"reward_model"})):
        assert all(made[path] in stages for path in place if path.startswith("runs/"))
    assert all(path.startswith("runs/") or "/" in path for path in [*policies, *scorers])


def test_the_dialogues_of_dpo_vs_ppo_read_alike_in_training_and_in_rollouts():
    """What is trained on begins with what is asked: the same prompt, then the answer and the end of the sequence."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    for folder in ("hh_rlhf", "safe_rlhf", "apps", "code_contests"):
        text = load_recipe(f"dpo_vs_ppo/{folder}/sft").chat_template.strip()
        template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(text)
        turns = [
            {"role": role, "content": said} for role, said in (("user", "Hi."), ("assistant", "Yes?"), ("user", "So?"))
        ]
        marks = {"bos_token": "<s>", "eos_token": "</s>"}
        asked = template.render(messages=turns, add_generation_prompt=True, **marks)
        told = template.render(messages=[*turns, {"role": "assistant", "content": "Fine."}], **marks)
        assert asked == "<s>\n\nHuman: Hi.\n\nAssistant: Yes?</s>\n\nHuman: So?\n\nAssistant:"
        assert told == f"{asked} Fine.</s>"
        drawn = template.render(messages=[*turns, {"role": "assistant", "content": " Fine."}], **marks)
        assert drawn == told  # an answer to the prompt begins with the blank behind "Assistant:"


def test_loss_names_are_those_trl_knows():
    """TRL has no list of them: it compares the name when the loss is first computed."""
    known = set(re.findall(r'loss_type (?:==|in) "(\w+)"', inspect.getsource(trl.DPOTrainer)))
    ours = set(re.findall(r"'(\w+)'", str(Dpo.model_fields["loss"].annotation)))
    assert ours == known


def test_more_arguments_for_trl_are_checked_by_name(tmp_path):
    recipe = load_recipe("demo/grpo", {"trl.delta": 4.0})
    config = make_config(trl.GRPOConfig, grpo_arguments(context_of("x", recipe)), recipe)
    assert config.delta == 4.0
    with pytest.raises(UnknownName, match="did you mean delta"):
        plan("demo/grpo", {"trl.detla": 1, "data.generator": "none"})  # before any data are read
    with pytest.raises(InvalidRecipe, match="decides this already"):
        check_trl_names(trl.GRPOConfig, {"beta": 0.1}, {"beta": 1})


def test_recipes_extend_each_other_table_by_table(tmp_path):
    (tmp_path / "below.toml").write_text(recipe_paths()["demo/sft"].read_text())
    (tmp_path / "above.toml").write_text('extends = "below.toml"\ntitle = "Above"\n[optimizer]\nlearning_rate = 1e-5\n')
    below, above = (load_recipe(str(tmp_path / f"{name}.toml")) for name in ("below", "above"))
    assert above.optimizer == below.optimizer.model_copy(update={"learning_rate": 1e-5})
    assert (above.title, above.data) == ("Above", below.data)
    (tmp_path / "below.toml").write_text('extends = "above.toml"\n')
    with pytest.raises(InvalidRecipe, match="in a circle"):
        load_recipe(str(tmp_path / "above.toml"))

"""What each stage on TRL learns, against formulas written out by hand and against what its data say."""

from __future__ import annotations

import json
import math
import random

import pytest

from evalsuite.engines.factory import resolve_model
from evalsuite.training.iterative_dpo import Sampled, make_pairs
from evalsuite.training.metrics_log import read_rows
from evalsuite.training.recipe import Lora
from evalsuite.training.run import train

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

PAIRS = [{"prompt": f"Q: Max of {n} 1?\nA:", "chosen": f" {n} done", "rejected": f" {n}1 {n} 1"} for n in range(2, 10)]


@pytest.fixture
def recipe(tmp_path):
    """Write a recipe on pairs and return its path."""
    data = tmp_path / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))

    def write(stage, more="", *, steps=1, batch=8, rate=1e-3):
        path = tmp_path / f"{stage}.toml"
        path.write_text(f"""
title = "Pairs"
stage = "{stage}"
init = "demo"
{more.partition("[")[0]}
[data]
file = "{data}"
rows = {len(PAIRS)}
[optimizer]
learning_rate = {rate}
[training]
steps = {steps}
batch_size = {batch}
max_length = 48
threads = 1
{"[" + more.partition("[")[2] if "[" in more else ""}
""")
        return str(path)

    return write


def load(path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)


def answer_log_probabilities(model, tokenizer, prompt, answer):
    """Log-probabilities of an answer's tokens and of the end of sequence after a prompt."""
    ids = tokenizer(prompt)["input_ids"]
    whole = ids + tokenizer(answer)["input_ids"] + [tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([whole])).logits[0, :-1].log_softmax(-1)
    return logits.gather(-1, torch.tensor(whole[1:])[:, None])[len(ids) - 1 :, 0]


def expected_loss(name, policy, reference, beta):
    """DPO's losses from per-token log-probabilities, one pair a time, written out."""
    losses = []
    for (chosen, rejected), (chosen_ref, rejected_ref) in zip(policy, reference, strict=True):
        ratios = [p - r for p, r in ((chosen, chosen_ref), (rejected, rejected_ref))]
        summed, mean = ([float(f(ratio)) for ratio in ratios] for f in (torch.sum, torch.mean))
        match name:
            case "sigmoid":
                losses.append(-math.log(1 / (1 + math.exp(-beta * (summed[0] - summed[1])))))
            case "sigmoid_norm":
                losses.append(-math.log(1 / (1 + math.exp(-beta * (mean[0] - mean[1])))))
            case "ipo":
                losses.append((mean[0] - mean[1] - 1 / (2 * beta)) ** 2)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("loss", "beta", "rate"),
    [
        ("sigmoid_norm", 5.0, 3e-5),
        pytest.param("sigmoid", 0.1, 1e-3, marks=pytest.mark.slow),
        pytest.param("ipo", 0.1, 1e-3, marks=pytest.mark.slow),
    ],
)
def test_dpo_losses_are_the_formulas(tmp_path, recipe, loss, beta, rate):
    """The loss TRL reports at step 2 is that of the weights after step 1, against the model training started from."""
    more = f'[dpo]\nloss = "{loss}"\nbeta = {beta}\n[trl]\nlr_scheduler_kwargs = {{}}'
    first = recipe("dpo", more, steps=2, rate=rate)
    train(first, tmp_path / "run", {"checkpoints.every": 1})
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    after_one, tokenizer = load(tmp_path / "run" / "checkpoints" / "checkpoint-1")
    start, _ = load(resolve_model("demo"))
    policy, reference = (
        [
            tuple(
                answer_log_probabilities(model, tokenizer, row["prompt"], row[side]) for side in ("chosen", "rejected")
            )
            for row in PAIRS
        ]
        for model in (after_one, start)
    )
    assert rows[0]["loss"] == pytest.approx(expected_loss(loss, reference, reference, beta), abs=1e-5)
    assert rows[1]["loss"] == pytest.approx(expected_loss(loss, policy, reference, beta), abs=1e-4)
    assert 0.1 < rows[1]["loss"] < rows[0]["loss"]  # a loss of almost 0 would be that of many formulas


def test_a_reward_model_learns_to_prefer_and_its_head_starts_as_tulu_3s(tmp_path, recipe):
    from transformers import AutoModelForSequenceClassification

    path = recipe("reward_model", steps=20, rate=3e-3)
    folder = train(path, tmp_path / "rm", {"checkpoints.every": 20})
    rows = read_rows(folder / "metrics.jsonl")
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=0.3)
    assert rows[-1]["accuracy"] == 1.0 and rows[-1]["loss"] < 0.1
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.num_labels == 1

    from evalsuite.training.library import load_recipe
    from evalsuite.training.reward_scores import RewardModelJudge
    from evalsuite.training.starting_point import new_reward_model

    fresh = new_reward_model(resolve_model("demo"), load_recipe(path), 0)
    assert fresh.score.weight.std().item() == pytest.approx(1 / math.sqrt(128 + 1), rel=0.25)
    judge = RewardModelJudge(str(folder), 2.0, "cpu")
    chosen, rejected = (judge(PAIRS, [row[side] for row in PAIRS], None).rewards for side in ("chosen", "rejected"))
    assert all(good > bad for good, bad in zip(chosen, rejected, strict=True))


@pytest.mark.slow
def test_a_summed_loss_counts_long_answers_for_more(tmp_path):
    rows = [{"prompt": "Q:", "completion": " 1"}, {"prompt": "Q:", "completion": " 1 2 3 4 5 6 7 8"}]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes = {"data": {"file": str(data), "rows": 2}, "training.batch_size": 2, "training.epochs": 1}
    model, tokenizer = load(resolve_model("demo_base"))
    losses = [-answer_log_probabilities(model, tokenizer, row["prompt"], row["completion"]) for row in rows]
    for reduction, micro, expected in (
        ("mean", 2, float(torch.cat(losses).mean())),
        ("sum", 2, float(torch.cat(losses).sum()) / 2),
        ("sum", 1, float(torch.cat(losses).sum()) / 2),
    ):
        more = {"training.reduction": reduction, "training.micro_batch_size": micro}
        folder = train("demo/sft", tmp_path / f"{reduction}-{micro}", changes | more)
        assert read_rows(folder / "metrics.jsonl")[0]["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("micro", [2, 8])
@pytest.mark.slow
def test_small_portions_add_up_to_the_same_step(tmp_path, micro):
    changes = {"data.rows": 16, "data.params.count": 16, "training.batch_size": 8, "training.epochs": 1}
    whole = train("demo/sft", tmp_path / "whole", changes)
    parts = train("demo/sft", tmp_path / "parts", changes | {"training.micro_batch_size": micro})
    first, second = ([row["loss"] for row in read_rows(folder / "metrics.jsonl")] for folder in (whole, parts))
    assert first == pytest.approx(second, rel=1e-4)


@pytest.mark.slow
def test_only_the_assistants_turns_carry_loss(tmp_path):
    rows = [{"messages": [{"role": "user", "content": "Max of 3 1?"}, {"role": "assistant", "content": "3"}]}] * 4
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    template = (
        "{% for message in messages %}{% if message.role == 'user' %}Q: {{ message.content }}\n{% else %}A:"
        "{% generation %} {{ message.content }}{{ eos_token }}{% endgeneration %}{% endif %}{% endfor %}"
    )
    changes = {
        "data": {"file": str(data), "rows": 4},
        "training.batch_size": 4,
        "training.epochs": 1,
        "training.learn": "assistant",
        "chat_template": template,
    }
    folder = train("demo/sft", tmp_path / "run", changes)
    model, tokenizer = load(resolve_model("demo_base"))
    expected = -answer_log_probabilities(model, tokenizer, "Q: Max of 3 1?\nA:", " 3").mean()
    assert read_rows(folder / "metrics.jsonl")[0]["loss"] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.slow
def test_packing_puts_rows_together(tmp_path):
    changes = {"data.rows": 64, "data.params.count": 64, "training.batch_size": 4, "training.epochs": 1}
    folder = train("demo/sft", tmp_path / "run", changes | {"training.packing": True})
    assert len(read_rows(folder / "metrics.jsonl")) < 16


GRPO = {"training.steps": 3, "training.batch_size": 16, "data.rows": 64, "data.params.count": 64}


def test_grpo_reports_what_users_look_at(tmp_path):
    folder = train("demo/grpo", tmp_path / "run", GRPO | {"grpo.beta": 0.05})
    row = read_rows(folder / "metrics.jsonl")[-1]
    wanted = {"step", "steps", "loss", "reward", "solved", "kl", "length", "entropy", "tokens_per_second", "truncated"}
    assert wanted <= row.keys()
    assert row["solved"]["exact_match"] == pytest.approx(row["reward"])
    samples = read_rows(folder / "samples.jsonl")
    assert {"step", "prompt", "completion", "reward"} <= samples[0].keys()
    assert [row["step"] for row in samples] == [1] * 4 + [2] * 4 + [3] * 4
    assert len({json.dumps(row["prompt"]) for row in samples}) >= 5  # a step has two prompts with eight answers each


@pytest.mark.slow
def test_rewards_can_be_for_some_rows_only(tmp_path):
    """Two verifiers, each for its own rows: what they say is logged apart, and no row is without a reward."""
    tables = [
        {"verifier": "exact_match", "reference": "answer", "name": skill, "where": {"skill": skills}}
        for skill, skills in (("sums", ["add"]), ("others", ["max", "min", "first", "last", "ends"]))
    ]
    folder = train("demo/grpo", tmp_path / "run", GRPO | {"rewards": tables, "training.steps": 6})
    rows = read_rows(folder / "metrics.jsonl")
    assert {name for row in rows for name in row.get("solved", {})} == {"sums", "others"}


def sampled(rewards, **row):
    answers = [f"answer {number}" for number in range(len(rewards))]
    return Sampled({"prompt": "p", **row}, answers, rewards)


def test_pairs_are_the_best_over_the_worst():
    rng = random.Random(0)
    (pair,) = make_pairs([sampled([0.0, 2.0, 1.0, None])], flip=0, gold=None, rng=rng)
    assert pair == {"prompt": "p", "chosen": "answer 1", "rejected": "answer 0"}
    assert make_pairs([sampled([1.0, 1.0]), sampled([None, None])], flip=0, gold=None, rng=rng) == []
    (turned,) = make_pairs([sampled([0.0, 1.0])], flip=1, gold=None, rng=rng)
    assert turned["chosen"] == "answer 0"


def test_a_known_good_answer_stands_in_where_nothing_passes():
    rng = random.Random(0)
    (pair,) = make_pairs([sampled([0.0, 0.0], solution="right")], flip=0, gold="solution", rng=rng)
    assert pair["chosen"] == "right"
    assert make_pairs([sampled([1.0, 1.0], solution="right")], flip=0, gold="solution", rng=rng) == []


@pytest.mark.slow
def test_iterative_dpo_starts_each_round_from_the_last(tmp_path):
    changes = {"data.rows": 48, "data.params.count": 48, "training.batch_size": 4, "rounds": 2, "samples.prompts": 24}
    folder = train("demo/dpo", tmp_path / "run", changes)
    rounds = [folder / "rounds" / f"round-{number}" for number in (1, 2)]
    prompts = [{json.dumps(row["prompt"]) for row in read_rows(one / "pairs.jsonl")} for one in rounds]
    assert prompts[0] and prompts[1] and not prompts[0] & prompts[1]
    rows = read_rows(folder / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    second = next(row for row in rows if row["more"]["round"] == 2)
    assert second["loss"] == pytest.approx(math.log(2), abs=1e-3)  # policy and reference are the same again
    record = json.loads((folder / "provenance.json").read_text())
    assert record["pairs"] == [len(read_rows(one / "pairs.jsonl")) for one in rounds]


@pytest.mark.slow
def test_development_tasks_choose_the_best_checkpoint(tmp_path):
    changes = GRPO | {
        "training.steps": 4,
        "evaluation.tasks": ["demo_strings"],
        "evaluation.every": 2,
        "evaluation.limit": 6,
        "evaluation.select": "best",
        "checkpoints.keep": 1,
    }
    folder = train("demo/grpo", tmp_path / "run", changes)
    scores = {
        row["step"]: row["evaluation"]["demo_strings"]
        for row in read_rows(folder / "metrics.jsonl")
        if "evaluation" in row
    }
    assert list(scores) == [2, 4]
    best = json.loads((folder / "best.json").read_text())
    assert best["score"] == max(scores.values())
    assert (folder / "model.safetensors").read_bytes() == (
        folder / best["checkpoint"] / "model.safetensors"
    ).read_bytes()
    assert (folder / "evaluations" / f"checkpoint-{best['step']}" / "results.json").is_file()


@pytest.mark.slow
def test_every_checkpoint_says_how_it_came_about(tmp_path):
    folder = train("demo/grpo", tmp_path / "run", GRPO | {"checkpoints.every": 2})
    for one in (folder, folder / "checkpoints" / "checkpoint-2"):
        record = json.loads((one / "provenance.json").read_text())
        assert record["lineage"][0]["name"] == "demo/sft" and record["lineage"][1]["name"] == "demo/base"
        assert record["rewards"][0]["verifier"] == "exact_match"
        assert record["decontamination"]["checked"]["demo_strings"]["contaminated"] is False
        assert "HF_HUB_OFFLINE" in record["decontamination"]["unchecked"]["gsm8k"]
        assert "override" not in record["decontamination"]
        card = (one / "README.md").read_text()
        assert "exact_match" in card and "demo/sft" in card and record["recipe_hash"] in card
        load(one)


@pytest.mark.parametrize("name", ["demo/sft", "demo/dpo", "demo/grpo"])
@pytest.mark.slow
def test_adapters_are_trained_and_merged(tmp_path, name):
    pytest.importorskip("peft")
    small = {
        "demo/sft": {"data.rows": 32, "data.params.count": 32},
        "demo/dpo": {"data.rows": 32, "data.params.count": 32},
    }
    changes = small.get(name, GRPO) | {"peft": Lora(r=4).model_dump(), "optimizer.learning_rate": 1e-2}
    changes |= {"training.epochs": 1, "training.batch_size": 8} if name == "demo/sft" else {}
    folder = train(name, tmp_path / "run", changes)
    tuned, _ = load(folder)
    start, _ = load(resolve_model("demo_base" if name == "demo/sft" else "demo"))
    assert not (folder / "adapter_config.json").exists()
    moved = {n: not torch.equal(a, b) for (n, a), b in zip(tuned.named_parameters(), start.parameters(), strict=True)}
    assert any(moved.values()) and not any(yes for n, yes in moved.items() if "norm" in n or "embed" in n)

"""Whoever reads a prompt reads the same tokens: every stage, its rollouts, reward models and evaluations.

The tokenizer puts a token in front of texts, as Llama's and Gemma's do, and its chat template does not.
"""

from __future__ import annotations

import json
import shutil

import pytest

from evalsuite.data.demo_training import generate_training
from evalsuite.engines.factory import resolve_model
from evalsuite.prompts.messages import ChatPrompt, Message, TextPrompt
from evalsuite.training.run import train
from evalsuite.training.starting_point import load_tokenizer

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

BOS = 1
ASKED = generate_training("demo_prompts", {"count": 8, "seed": 1})
QUESTIONS = [row["prompt"][0]["content"] for row in ASKED]
REWARDS = 'rewards = [{ verifier = "exact_match", reference = "answer" }]'
TABLES = {
    "sft": "",
    "dpo": "",
    "reward_model": "",
    "grpo": f"rollouts = {{ max_tokens = 4, samples_per_prompt = 4 }}\n{REWARDS}",
    "ppo": f"rollouts = {{ max_tokens = 4, batch_size = 8 }}\n{REWARDS}",
    "iterative_dpo": f"rounds = 1\nsamples = {{ max_tokens = 8, per_prompt = 4 }}\n{REWARDS}",
}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("start")
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("demo"))
    assert tokenizer.bos_token_id == BOS
    tokenizer._tokenizer.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", BOS)])
    AutoModelForCausalLM.from_pretrained(resolve_model("demo")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def read(monkeypatch):
    """The rows of tokens that models were given, without padding."""
    from transformers.models.llama import modeling_llama

    rows, forward = [], modeling_llama.LlamaModel.forward

    def noting(self, input_ids=None, attention_mask=None, **options):
        for number, row in enumerate(input_ids.tolist() if input_ids is not None else ()):
            mask = attention_mask[number].tolist() if attention_mask is not None and attention_mask.dim() == 2 else ()
            rows.append([token for place, token in enumerate(row) if place >= len(mask) or mask[place]])
        return forward(self, input_ids=input_ids, attention_mask=attention_mask, **options)

    monkeypatch.setattr(modeling_llama.LlamaModel, "forward", noting)
    return rows


def rows_of(stage, chat):
    for question, row in zip(QUESTIONS, ASKED, strict=True):
        asked = [{"role": "user", "content": question}] if chat else f"Q: {question}\nA:"
        right, wrong = ([{"role": "assistant", "content": text}] if chat else f" {text}" for text in ("1", "no"))
        if stage == "sft":
            yield {"messages": [*asked, *right]} if chat else {"prompt": asked, "completion": right}
        elif stage in ("dpo", "reward_model"):
            yield {"prompt": asked, "chosen": right, "rejected": wrong}
        else:
            yield {"prompt": asked, "answer": row["answer"]}


def trained(folder, stage, chat, start):
    data = folder / f"{stage}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows_of(stage, chat)))
    length = ", max_length = 64" if stage in ("sft", "dpo", "reward_model", "iterative_dpo") else ""
    size = "epochs = 1" if stage == "iterative_dpo" else "steps = 1"
    recipe = folder / f"{stage}.toml"
    recipe.write_text(f"""
title = "Beginnings"
stage = "{stage}"
init = "{start}"
{TABLES[stage]}
data = {{ file = "{data}", rows = 8 }}
optimizer = {{ learning_rate = 1e-4 }}
training = {{ {size}, batch_size = 8{length} }}
""")
    return train(str(recipe), folder / stage)


@pytest.mark.parametrize("chat", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["chat", "text"])
@pytest.mark.parametrize("stage", TABLES)
def test_every_stage_begins_as_evaluations_do(stage, chat, start, read, tmp_path):
    from evalsuite.training.ppo.setup import open_start

    tokenizer = open_start(str(start))[1]
    prompts = [ChatPrompt((Message("user", text),)) if chat else TextPrompt(f"Q: {text}\nA:") for text in QUESTIONS]
    expected = tokenizer.encode_prompts(prompts)
    assert all(row[0] == BOS and BOS not in row[1:] for row in expected)
    length = min(map(len, expected)) - 1
    beginnings = {tuple(row[:length]) for row in expected}
    folder = trained(tmp_path, stage, chat, start)
    # Decoding reads a token each, and the value model is tried on two zeros.
    found = {tuple(row[:length]) for row in read if len(row) > 1 and any(row)}
    assert found and found <= beginnings and (found == beginnings or stage == "grpo")  # whose step takes two prompts
    assert open_start(str(folder))[1].encode_prompts(prompts) == expected
    if stage == "reward_model":
        from evalsuite.training.reward_scores import RewardModelJudge

        asked = list(rows_of("dpo", chat))
        read.clear()
        RewardModelJudge(str(folder), 1.0, "cpu")(asked, ["1"] * len(asked), None)
        assert {tuple(row[:length]) for row in read} == found


LONE = "{%- for message in messages %}{{ message.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (LONE, "{{ bos_token }}" + LONE),
        ("  " + LONE, "{{ bos_token }}" + LONE),
        ("{{ bos_token }}" + LONE, "{{ bos_token }}" + LONE),
        ({"default": LONE, "other": "<bos>" + LONE}, {"default": "{{ bos_token }}" + LONE, "other": "<bos>" + LONE}),
        ("{{ raise_exception('a system prompt first') }}", "{{ raise_exception('a system prompt first') }}"),
        ("{{ nothing.of.the.kind }}", "{{ nothing.of.the.kind }}"),
        (None, None),
    ],
)
def test_templates_write_it_once(template, expected, start, tmp_path):
    """One that takes other conversations only, or that writes it, is left as it is."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(start)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    shutil.copy(start / "config.json", tmp_path)
    assert load_tokenizer(str(tmp_path)).chat_template == expected

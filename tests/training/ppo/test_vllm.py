"""PPO whose completions come from a real vLLM, here or served: each step's are those of the policy at that time."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.data.demo_training import generate_training  # noqa: E402
from evalsuite.engines.base import Sampling  # noqa: E402
from evalsuite.engines.factory import resolve_model  # noqa: E402
from evalsuite.errors import EngineError  # noqa: E402
from evalsuite.training.ppo.samplers import Draw, TransformersSampler  # noqa: E402
from evalsuite.training.ppo.setup import open_start  # noqa: E402
from tests.architectures import build  # noqa: E402
from tests.training.ppo.harness import Run, recipe_of  # noqa: E402


def greedy(folder, prompts, max_tokens):
    """What Transformers' own ``generate`` answers to prompts in text, special tokens left out."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    texts = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        output = model.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
        texts.append(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


def recipe_on(engine, **rollouts):
    """Large steps, and the likeliest token always, so that old weights would be told by what they say."""
    rollouts = {"batch_size": 16, "max_tokens": 8, "top_k": 1, "max_prompt_tokens": 48, "engine": engine, **rollouts}
    return recipe_of(
        data={"rows": 64},
        training={"steps": 4, "batch_size": 16, "micro_batch_size": 16},
        rollouts=rollouts,
        optimizer={"learning_rate": 3e-3},
        kl={"beta": 0.0},
        ppo={"epochs": 2},
        log={"samples": 16},
        checkpoints={"every": 1},
    )


def assert_completions_follow(run, start, ahead):
    """Step n's completions are the greedy ones of the checkpoint before it (ahead: one earlier), not of the start.

    Nearly all: kernels that add up in another order decide a tie now and then.
    """
    assert len(run.steps) == 4
    fresh = stale = 0.0
    for step in (2, 3, 4):
        drawn = [row for row in run.samples if row["step"] == step]
        prompts, completions = [row["prompt"] for row in drawn], [row["completion"] for row in drawn]
        behind = step - 1 - ahead
        source = run.folder.checkpoint(behind) if behind else start
        fresh += agreement(completions, greedy(source, prompts, 8)) / 3
        stale += agreement(completions, greedy(start, prompts, 8)) / 3
    assert fresh > 0.95 and stale < 0.6


@pytest.mark.vllm
@pytest.mark.parametrize("ahead", [0, 1])
def test_completions_follow_the_weights(tmp_path, ahead):
    start = resolve_model("demo")
    rows = generate_training("demo_prompts", {"count": 64, "seed": 1})
    run = Run(tmp_path, start, recipe_on("vllm", ahead=ahead), rows=rows)
    assert_completions_follow(run, start, ahead)


@pytest.mark.vllm
def test_a_server_follows_the_weights_and_its_death_is_told(tmp_path, weights_server):
    """The weights go through a folder, which is empty afterwards; the server is killed in the middle of a last run."""
    server, url = weights_server
    start = resolve_model("demo")
    rows = generate_training("demo_prompts", {"count": 64, "seed": 1})
    for ahead in (0, 1):
        folder = tmp_path / f"weights-{ahead}"
        recipe = recipe_on("vllm_server", server=url, ahead=ahead, weights_folder=str(folder))
        assert_completions_follow(Run(tmp_path / f"run-{ahead}", start, recipe, rows=rows), start, ahead)
        assert not list(folder.iterdir())

    class Killing(Run):
        def saved(self, checkpoint, step):
            super().saved(checkpoint, step)
            server.kill()

    with pytest.raises(EngineError, match=rf"the vLLM server at {url} cannot be used: "):
        Killing(tmp_path / "killed", start, recipe_on("vllm_server", server=url), rows=rows)
    assert [path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()] == ["checkpoint-1"]


def agreement(some, others):
    return sum(one == other for one, other in zip(some, others, strict=True)) / len(some)


@pytest.mark.vllm
def test_synchronised_weights_are_those_of_a_model_loaded_afresh():
    """Also the head's, which shares the embedding's and of which vLLM keeps a packed copy on a CPU."""
    from transformers import AutoModelForCausalLM

    from evalsuite.training.ppo.vllm_sampler import VllmSampler

    start = resolve_model("demo")
    _, tokenizer = open_start(start)
    model = AutoModelForCausalLM.from_pretrained(start)
    questions = [row["prompt"][0]["content"] for row in generate_training("demo_prompts", {"count": 30, "seed": 1})]
    prompts = tokenizer.encode([f"Q: {question}\nA:" for question in questions])
    draws = [Draw(tuple(prompt), seed=1) for prompt in prompts]
    likeliest = Sampling(max_tokens=8, temperature=1.0, top_k=1)
    sampler = VllmSampler(start, likeliest, [model.config.eos_token_id], max_length=64, memory=0.3, processes=1)
    try:
        before = dict(sampler.generate(draws))
        assert before == dict(TransformersSampler(model, tokenizer, likeliest, 32).generate(draws))
        torch.manual_seed(0)
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(torch.randn_like(weights) * 0.3 * weights.std())
        sampler.synchronise(model)
        after = dict(sampler.generate(draws))
        assert after == dict(TransformersSampler(model, tokenizer, likeliest, 32).generate(draws))
        assert agreement(list(before.values()), list(after.values())) < 0.7
    finally:
        sampler.close()


@pytest.mark.vllm
@pytest.mark.parametrize("name", ["Mixtral", "Olmo2"])
def test_policies_whose_code_or_weights_vllm_shares_otherwise(name, tmp_path):
    """Experts are one tensor here and many in checkpoints; OLMo 2 runs by Transformers' own classes in vLLM."""
    from transformers import AutoModelForCausalLM

    from evalsuite.training.ppo.vllm_sampler import VllmSampler

    start = str(build(tmp_path / "start", name))
    model = AutoModelForCausalLM.from_pretrained(start)
    tokenizer = open_start(start)[1]
    draws = [Draw(tuple(tokenizer.encode([f"Q: What is {number} + 3?"])[0]), seed=1) for number in range(30)]

    def sampler_of(folder):
        likeliest = Sampling(max_tokens=8, temperature=1.0, top_k=1)
        return VllmSampler(folder, likeliest, [model.config.eos_token_id], max_length=64, memory=0.3, processes=1)

    sampler = sampler_of(start)
    try:
        before = dict(sampler.generate(draws))
        torch.manual_seed(0)
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(torch.randn_like(weights) * 0.3 * (weights.std() or 0.1))
        sampler.synchronise(model)
        after = dict(sampler.generate(draws))
        beside = AutoModelForCausalLM.from_pretrained(start)  # as checkpoints that are evaluated meanwhile
        assert beside(input_ids=torch.tensor([draws[0].prompt])).logits.isfinite().all()
    finally:
        sampler.close()
    model.save_pretrained(tmp_path / "moved")
    tokenizer.checkpoint.tokenizer.save_pretrained(tmp_path / "moved")
    afresh = sampler_of(str(tmp_path / "moved"))
    try:
        assert after == dict(afresh.generate(draws))
    finally:
        afresh.close()
    assert agreement(list(before.values()), list(after.values())) < 0.5


@pytest.mark.vllm
def test_a_seed_draws_the_same_again():
    from evalsuite.training.ppo.vllm_sampler import VllmSampler

    sampler = VllmSampler(
        resolve_model("demo"), Sampling(max_tokens=8, temperature=1.0), [2], max_length=64, memory=0.3, processes=1
    )
    try:
        draws = [Draw(tuple(range(10, 10 + n)), seed=n) for n in range(5, 25)]
        first = dict(sampler.generate(draws))
        assert len(first) == 20 and first == dict(sampler.generate(draws))
        assert first != dict(sampler.generate([Draw(draw.prompt, draw.seed + 1) for draw in draws]))
    finally:
        sampler.close()

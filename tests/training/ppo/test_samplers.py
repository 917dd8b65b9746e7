"""What the policy says as it draws a completion is what a pass over the whole completion finds."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalsuite.engines.base import Sampling  # noqa: E402
from evalsuite.training.ppo.measuring import Passes  # noqa: E402
from evalsuite.training.ppo.samplers import Completion, Draw, NotingSampler, TransformersSampler  # noqa: E402
from evalsuite.training.ppo.setup import make_models, make_sampler, open_start  # noqa: E402
from tests.training.ppo.harness import recipe_of  # noqa: E402

SAMPLING = Sampling(max_tokens=6, temperature=0.7, top_p=0.9, top_k=50)
DRAWS = [Draw(tuple(range(10, 10 + length)), seed) for seed, length in enumerate((3, 9, 5, 9, 4, 7, 3))]


@pytest.fixture
def parts(tiny):
    recipe = recipe_of(kl={"beta": 0.0})
    _, tokenizer = open_start(str(tiny))
    return make_models(recipe, str(tiny), str(tiny)), tokenizer


def drawn_by(kind, parts, rows=3):
    """Fewer places than draws, so that rows join a batch that is under way."""
    models, tokenizer = parts
    found = dict(kind(models.policy.model, tokenizer, SAMPLING, rows).generate(DRAWS))
    return [found[place] for place in range(len(DRAWS))]


def test_notes_are_what_a_whole_pass_finds(parts):
    noted, plain = drawn_by(NotingSampler, parts), drawn_by(TransformersSampler, parts)
    assert [one.tokens for one in noted] == [one.tokens for one in plain]
    assert all(one.logprobs is None and one.entropies is None for one in plain)
    passes = Passes(parts[0], 4, SAMPLING.temperature)
    prompts = [draw.prompt for draw in DRAWS]
    torch.testing.assert_close(passes.over(prompts, noted), passes.over(prompts, plain), atol=1e-5, rtol=1e-5)
    assert len({len(one.tokens) for one in noted}) > 1 and min(one.logprobs[0] for one in noted) < -0.1


def test_a_policy_whose_notes_are_taken_is_not_asked_again(parts):
    class Asked(Exception):
        pass

    def refuse(*_, **__):
        raise Asked

    noted = drawn_by(NotingSampler, parts)
    parts[0].policy.model.forward = refuse
    prompts = [draw.prompt for draw in DRAWS]
    found = Passes(parts[0], 4, SAMPLING.temperature).over(prompts, noted)
    assert found[0, 0, 0].item() == pytest.approx(noted[0].logprobs[0])
    some = [Completion(noted[0].tokens), *noted[1:]]
    with pytest.raises(Asked):
        Passes(parts[0], 4, SAMPLING.temperature).over(prompts, some)


@pytest.mark.parametrize(
    ("dtype", "ahead", "notes"), [("float32", 0, True), ("bfloat16", 0, False), ("float32", 1, False)]
)
def test_notes_are_taken_where_they_are_exact_and_fresh(parts, tiny, dtype, ahead, notes):
    models, tokenizer = parts
    models.policy.model.to(getattr(torch, dtype))
    recipe = recipe_of(rollouts={"ahead": ahead})
    sampler = make_sampler(recipe, str(tiny), tokenizer, models.policy)
    _, completion = next(iter(sampler.generate(DRAWS[:1])))
    assert (completion.logprobs is not None) == notes


@pytest.mark.parametrize(
    ("rollouts", "alike"), [({"temperature": 1e-3}, True), ({"top_k": 1}, True), ({"top_p": 1e-6}, True), ({}, False)]
)
def test_completions_are_drawn_as_the_recipe_says(parts, tiny, rollouts, alike):
    """With any of the three, only the likeliest tokens are left, whatever the seed."""
    models, tokenizer = parts
    sampler = make_sampler(recipe_of(rollouts=rollouts), str(tiny), tokenizer, models.policy)
    found = [completion.tokens for _, completion in sampler.generate([Draw((10, 11, 12), seed) for seed in range(5)])]
    assert (len(set(found)) == 1) == alike

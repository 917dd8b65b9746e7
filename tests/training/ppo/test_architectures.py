"""What the policy says of a token is the same as it is drawn, in a padded batch and alone; so is what it is worth."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")

from evalsuite.engines.base import Sampling  # noqa: E402
from evalsuite.errors import InvalidInput  # noqa: E402
from evalsuite.training.ppo.experience import batches, policy_logits, state_values  # noqa: E402
from evalsuite.training.ppo.samplers import Draw, NotingSampler  # noqa: E402
from evalsuite.training.ppo.setup import open_start  # noqa: E402
from evalsuite.training.ppo.value_model import load_value_model  # noqa: E402
from evalsuite.training.starting_point import head_of  # noqa: E402
from tests.architectures import ARCHITECTURES, build  # noqa: E402


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - {"Mamba"}))
def test_tokens_and_states_are_measured_alike_everywhere(name, tmp_path):
    from transformers import AutoModelForCausalLM

    folder = str(build(tmp_path / name, name))
    policy, value = AutoModelForCausalLM.from_pretrained(folder), load_value_model(folder, torch.float32).eval()
    assert torch.equal(value(input_ids=torch.tensor([[5, 6, 7]])).logits, torch.zeros(1, 3, 1))
    for weights in head_of(value).values():
        torch.nn.init.normal_(weights)
    chance = random.Random(0)
    prompts = [tuple(chance.choices(range(5, 60), k=length)) for length in (3, 7, 20, 31, 9, 4)]
    sampler = NotingSampler(policy, open_start(folder)[1], Sampling(max_tokens=24, temperature=1.0), rows=4)
    drawn = dict(sampler.generate([Draw(prompt, seed) for seed, prompt in enumerate(prompts)]))
    completions = [drawn[place].tokens for place in range(len(prompts))]
    assert max(map(len, completions)) > 16  # beyond the sliding windows
    with torch.no_grad():
        for batch in batches(prompts, completions, range(len(prompts)), 4, pad=0, device="cpu"):
            logprobs, values = policy_logits(policy, batch).log_softmax(-1), state_values(value, batch)
            for line, place in enumerate(batch.rows):
                alone, tokens = torch.tensor([[*prompts[place], *completions[place]]]), list(completions[place])
                states = slice(len(prompts[place]) - 1, -1)
                expected = policy(input_ids=alone).logits.log_softmax(-1)[0, states][range(len(tokens)), tokens]
                tolerance = {"atol": 1e-4, "rtol": 0.0}
                torch.testing.assert_close(torch.tensor(drawn[place].logprobs), expected, **tolerance)
                torch.testing.assert_close(logprobs[line, range(len(tokens)), tokens], expected, **tolerance)
                worth = value(input_ids=alone).logits[0, states, 0]
                torch.testing.assert_close(values[line, : len(tokens)], worth, **tolerance)


@pytest.mark.parametrize("name", ["Olmo2", "Granite", "Qwen3Moe", "Olmoe"])
def test_values_start_from_every_weight_of_the_body(name, tmp_path):
    from transformers import AutoModel

    folder = build(tmp_path / name, name)
    value, body = load_value_model(str(folder), torch.float32), AutoModel.from_pretrained(folder)
    assert value.config._experts_implementation == body.config._experts_implementation
    mine = dict(value.base_model.named_parameters())
    assert mine.keys() == dict(body.named_parameters()).keys()
    assert all(torch.equal(mine[key], weights) for key, weights in body.named_parameters())


def test_what_is_no_language_model_has_no_values(tmp_path):
    from transformers import ViTConfig

    ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match=r"value model .* cannot be made: 'vit' is no language model"):
        load_value_model(str(tmp_path), torch.float32)


def test_what_cannot_be_valued_is_told_before_the_first_rollout(tmp_path):
    with pytest.raises(InvalidInput, match=r"value model .*: PPO cannot value states of 'mamba' models"):
        load_value_model(str(build(tmp_path, "Mamba")), torch.float32)

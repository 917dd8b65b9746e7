"""Architectures that remember differently: every one must answer as ``model.generate`` and a plain forward pass do."""

from __future__ import annotations

import pytest

from evalsuite.engines.base import GenerateRequest, LogLikelihoodRequest, Sampling, TextPrompt
from evalsuite.engines.transformers import TransformersEngine, TransformersOptions
from evalsuite.errors import InvalidInput
from tests.architectures import build

EXEMPLARS = "Question: Natalia sold clips to 48 of her friends in April.\nAnswer: 72\n\n" * 3
PROMPTS = [
    *(TextPrompt(f"{EXEMPLARS}Question: {'many ' * n}?\nAnswer:") for n in range(5)),
    *(TextPrompt(f"How many {'clips ' * n}") for n in (1, 9, 30)),
]
CHOICES = (" yes", " no, the answer is 42", "42")

MERGES = {
    "Qwen3": True,
    "Mixtral": True,
    "GPT2": True,
    "Mistral": False,
    "Gemma2": False,
    "Mpt": False,
    "Jamba": False,
}


@pytest.mark.parametrize(("name", "merges"), MERGES.items())
def test_answers_are_those_of_the_library(tmp_path, model_tools, name, merges):
    folder = str(build(tmp_path, name, model_tools.build_tokenizer()))
    library = model_tools.Library(folder)
    engine = TransformersEngine(folder, TransformersOptions(batch_size=3))
    requests = [GenerateRequest(str(i), prompt, Sampling(max_tokens=16)) for i, prompt in enumerate(PROMPTS)]
    answers = {answer.id: answer.samples[0].text for answer in engine.generate(requests)}
    assert answers == {str(i): library.generate(prompt, 16, ()) for i, prompt in enumerate(PROMPTS)}
    assert engine._loaded.elastic == merges
    pairs = [LogLikelihoodRequest(str(i), prompt, CHOICES) for i, prompt in enumerate(PROMPTS)]
    for answer in engine.loglikelihood(pairs):
        expected = library.loglikelihood(PROMPTS[int(answer.id)], CHOICES)
        assert answer.values == pytest.approx([value for value, _, _ in expected], abs=1e-4)


def test_a_model_without_keys_and_values_is_refused_in_one_line(tmp_path, model_tools):
    folder = str(build(tmp_path, "Mamba", model_tools.build_tokenizer()))
    engine = TransformersEngine(folder)
    with pytest.raises(InvalidInput, match=r"MambaForCausalLM.*keeps no key-value cache.*--engine vllm"):
        next(engine.generate([GenerateRequest("a", PROMPTS[0], Sampling())]))

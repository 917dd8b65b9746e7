"""Where a completion ends: the first stop string, whatever tokens it is made of."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalsuite.engines.base import Sample, Sampling
from evalsuite.engines.chat import PromptTokenizer
from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.engines.stopping import Stopping


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return PromptTokenizer(open_checkpoint(str(tiny_llama), revision=None, trust_remote_code=False, purpose="a test"))


def complete(stopping, ids):
    """Feed tokens until the completion ends."""
    completion = []
    for token in ids:
        completion.append(token)
        if stopping.reached([0], completion):
            break
    return completion


def encode(tokenizer, text):
    return tokenizer.checkpoint.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("text", "stop", "expected", "truncated"),
    [
        ("The answer is 42.\n\nQuestion: next", ("Question:",), "The answer is 42.\n\n", False),
        ("The answer is 42.\n\nQuestion: next", ("Question:", "\n\n"), "The answer is 42.", False),
        ("The answer is 42", ("Question:",), "The answer is 42", True),
        ("half", ("half",), "", False),
        ("x = 1 # déjà vu ✓ done", ("✓",), "x = 1 # déjà vu ", False),
        ("stops at end<|end|> more", ("<|end|>",), "stops at end", False),
        ("ends </s> more", (), "ends ", False),
        ("an empty stop is none", ("",), "an empty stop is none", True),
    ],
)
def test_the_text_is_cut(tokenizer, text, stop, expected, truncated):
    stopping = Stopping(tokenizer, Sampling(stop=stop))
    completion = complete(stopping, encode(tokenizer, text))
    assert stopping.sample([0], completion) == Sample(expected, len(completion), truncated)


@given(text=st.text(max_size=60), stop=st.lists(st.text(min_size=1, max_size=4), max_size=3))
@example(text="aXbX", stop=["bX", "X"])
@example(text="\U0001f600 and \U0001f601", stop=["\U0001f601"])
def test_ending_early_gives_the_text_that_cutting_late_gives(tokenizer, text, stop):
    """Never a step too late, never a different text."""
    ids = [token for token in encode(tokenizer, text) if token not in tokenizer.checkpoint.eos_ids]
    stop = tuple(string for string in stop if string not in tokenizer.special_ids)
    stopping = Stopping(tokenizer, Sampling(stop=stop))
    completion = complete(stopping, ids)
    whole = tokenizer.decode([0], ids)
    cuts = [whole.find(string) for string in stop if string in whole]
    assert stopping.sample([0], completion).text == whole[: min(cuts, default=None)]
    before = tokenizer.decode([0], completion[:-1])
    assert not any(string in before for string in stop)

"""Replies of every wrong shape: each part of a good one replaced by junk; none of them may look like our defect."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from evalsuite.engines.base import Sampling
from evalsuite.engines.openai_http import BadReply, Unanswered
from evalsuite.engines.openai_wire import (
    echoed_loglikelihoods,
    parse_samples,
    prompt_loglikelihoods,
    prompt_tokens,
)

JUNK = (None, True, -1, 1.5, float("nan"), float("inf"), "", "x", [], [None], [[]], {}, {"index": "a"}, [1, "a"])

LIKELY = [{"token": "m", "logprob": -0.1}, {"token": "M", "logprob": -2.0}]
CHAT = {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello", "refusal": None},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "m", "logprob": -0.1, "top_logprobs": LIKELY}]},
            "token_ids": [1, 2],
            "prompt_token_ids": [1, 2, 3],
            "prompt_logprobs": [None, {"2": {"logprob": -1, "rank": 1}}, {"3": {"logprob": -2, "rank": 2}}],
        },
        {"index": 1, "message": {"content": "x"}, "finish_reason": "length"},
    ],
    "usage": {"completion_tokens": 3, "prompt_tokens": 3},
}
TEXT = {
    "choices": [
        {
            "index": 0,
            "text": "hello",
            "finish_reason": "stop",
            "logprobs": {
                "tokens": ["ab", "cd"],
                "token_logprobs": [None, -1.0],
                "top_logprobs": [None, {"cd": -1.0}],
            },
        }
    ],
    "usage": {"completion_tokens": 3, "prompt_tokens": 3},
}
READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "samples": lambda reply: parse_samples(reply, Sampling(max_tokens=5)),
    "top_logprobs": lambda reply: parse_samples(reply, Sampling(max_tokens=5, top_logprobs=5)),
    "prompt_logprobs": lambda reply: prompt_loglikelihoods(reply, [1, 2]),
    "echo": lambda reply: echoed_loglikelihoods(reply, "ab", ["cd"]),
    "usage": prompt_tokens,
}


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of a value but itself."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*above, key)
        yield from places(value[key], (*above, key))


def spoilt(reply: dict[str, Any], place: tuple[Any, ...], junk: Any) -> dict[str, Any]:
    changed = copy.deepcopy(reply)
    part: Any = changed
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = junk
    return changed


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("reply", [CHAT, TEXT], ids=["chat", "text"])
def test_junk_in_any_place_is_read_or_no_answer(reply: dict[str, Any], name: str) -> None:
    refused = 0
    for place in places(reply):
        for junk in JUNK:
            try:
                READERS[name](spoilt(reply, place, junk))
            except (BadReply, Unanswered):
                refused += 1
    assert refused or name == "usage"


def test_a_value_that_is_no_number_gives_no_score() -> None:
    place = ("choices", 0, "logprobs", "token_logprobs", 1)
    assert [one.value for one in echoed_loglikelihoods(TEXT, "ab", ["cd"])] == [-1.0]
    for junk in (float("nan"), "-1", True):
        with pytest.raises(Unanswered, match="without a log-probability"):
            echoed_loglikelihoods(spoilt(TEXT, place, junk), "ab", ["cd"])

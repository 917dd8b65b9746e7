"""What is sent to an OpenAI-compatible server and what its replies mean: pure functions, no network.

A reply becomes a :class:`~evalsuite.engines.base.Sample` only when it holds a finished text. A null content, a refusal,
a tool call, a missing finish reason or a reply of another shape raises :class:`Unanswered` or :class:`BadReply`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from evalsuite.engines.base import Message, Sample, Sampling
from evalsuite.engines.openai_http import BadReply, Unanswered
from evalsuite.engines.openai_server import ServerKind

__all__ = [
    "DIALECTS",
    "Dialect",
    "Scored",
    "chat_fields",
    "echoed_loglikelihoods",
    "logprobs_fields",
    "parse_samples",
    "prompt_loglikelihoods",
    "prompt_tokens",
    "sampling_fields",
]

_CUT_OFF = frozenset({"length", "max_tokens"})
_NOT_AN_ANSWER = frozenset({"content_filter", "tool_calls", "function_call", "abort", "error"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """The sampling fields that one kind of server takes.

    ``always`` neutralises defaults that a server would otherwise take from the model's ``generation_config.json``;
    ``most_stops`` is the longest list of stop strings it accepts.
    """

    always: Mapping[str, Any]
    chat_limit: str = "max_tokens"
    most_stops: int | None = None
    has_top_k: bool = True
    top_k_off: int | None = None


_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NEUTRAL = MappingProxyType({"min_p": 0.0, "repetition_penalty": 1.0})

DIALECTS: Mapping[ServerKind, Dialect] = MappingProxyType(
    {
        ServerKind.OPENAI: Dialect(_NOTHING, chat_limit="max_completion_tokens", most_stops=4, has_top_k=False),
        ServerKind.VLLM: Dialect(MappingProxyType({**_NEUTRAL, "return_token_ids": True}), top_k_off=-1),
        ServerKind.SGLANG: Dialect(_NEUTRAL, top_k_off=-1),
        ServerKind.UNKNOWN: Dialect(_NOTHING),
    }
)


def chat_fields(messages: Sequence[Message], continued: str = "") -> dict[str, Any]:
    """Return the part of a ``/chat/completions`` body that says what to answer.

    ``continued`` is the beginning of the answer, sent as an unfinished assistant turn.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    if not continued:
        return {"messages": turns}
    turns.append({"role": "assistant", "content": continued})
    return {"messages": turns, "continue_final_message": True, "add_generation_prompt": False}


def sampling_fields(sampling: Sampling, dialect: Dialect) -> dict[str, Any]:
    """Return the part of a body that says how to decode, but for what is named differently on each page."""
    fields: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed}
    if sampling.n > 1:
        fields["n"] = sampling.n
    if sampling.stop:
        fields["stop"] = list(sampling.stop[: dialect.most_stops])
    if sampling.top_k:
        fields["top_k"] = sampling.top_k
    elif dialect.top_k_off is not None:
        fields["top_k"] = dialect.top_k_off
    return {**fields, **dialect.always}


def logprobs_fields(sampling: Sampling, page: str) -> dict[str, Any]:
    """Return the part of a body for this page that asks for the likeliest tokens, if any."""
    if not sampling.top_logprobs:
        return {}
    if page.startswith("/chat"):
        return {"logprobs": True, "top_logprobs": sampling.top_logprobs}
    return {"logprobs": sampling.top_logprobs}


def parse_samples(reply: Mapping[str, Any], sampling: Sampling) -> tuple[Sample, ...]:
    """Return the samples in a reply: at least one, at most ``sampling.n`` (some servers ignore ``n``).

    A sample's ``tokens`` is exact when the server returns token ids or one choice; otherwise the choices share the
    total that the server counted; 0 when it counts nothing.
    """
    choices = _choices(reply)[: sampling.n]
    usage = reply.get("usage")
    total = usage.get("completion_tokens") if isinstance(usage, dict) else None
    shared = total if isinstance(total, int) else 0
    return tuple(
        _sample(choice, sampling, shared // len(choices) + (index < shared % len(choices)))
        for index, choice in enumerate(choices)
    )


def prompt_tokens(reply: Mapping[str, Any]) -> int:
    """Return how many tokens the server counted in the prompt, 0 when it does not say."""
    usage = reply.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0


def _choices(reply: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise BadReply("the reply has no choices")
    return sorted(choices, key=lambda choice: _number(choice.get("index")) or 0)


def _sample(choice: Mapping[str, Any], sampling: Sampling, tokens: int) -> Sample:
    text, reason = _text(choice, sampling), choice.get("finish_reason")
    if not isinstance(reason, str):
        raise Unanswered("the reply has no finish_reason: the answer may be incomplete", "unclear")
    if reason in _NOT_AN_ANSWER:
        raise Unanswered(f"the server ended the answer with {reason!r}", "request")
    ids = choice.get("token_ids")
    kept = text[: min((at for stop in sampling.stop if (at := text.find(stop)) >= 0), default=len(text))]
    cut_off = reason in _CUT_OFF and kept == text
    likeliest = _first_tokens(choice, sampling.top_logprobs) if sampling.top_logprobs else ()
    return Sample(kept, len(ids) if isinstance(ids, list) else tokens, truncated=cut_off, top_logprobs=likeliest)


def _first_tokens(choice: Mapping[str, Any], count: int) -> tuple[tuple[str, float], ...]:
    """Return the likeliest first tokens of a choice of either page."""
    logprobs = choice.get("logprobs")
    logprobs = logprobs if isinstance(logprobs, dict) else {}
    if "content" in logprobs:
        first = logprobs["content"][:1] if isinstance(logprobs["content"], list) else []
        entries = first[0].get("top_logprobs") if first and isinstance(first[0], dict) else None
        listed = entries if isinstance(entries, list) else []
        pairs = [(entry.get("token"), entry.get("logprob")) for entry in listed if isinstance(entry, dict)]
    else:
        tables = logprobs.get("top_logprobs")
        table = tables[0] if isinstance(tables, list) and tables and isinstance(tables[0], dict) else {}
        pairs = list(table.items())
    scored = ((token, _number(value)) for token, value in pairs)
    found = [(token, value) for token, value in scored if isinstance(token, str) and value is not None]
    if not found:
        raise Unanswered("the server gives no log-probabilities of the answer's tokens (top_logprobs)", "unclear")
    return tuple(sorted(found, key=lambda pair: -pair[1])[:count])


def _number(value: Any) -> float | None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if real and not math.isnan(value) else None


def _text(choice: Mapping[str, Any], sampling: Sampling) -> str:
    message = choice.get("message", choice)
    if not isinstance(message, dict):
        raise BadReply("the reply has a choice without a message")
    if message.get("refusal"):
        raise Unanswered(f"the server refused to answer: {message['refusal']!r:.200}", "request")
    text = message.get("content") if message is not choice else message.get("text")
    if isinstance(text, str):
        return text
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason in _CUT_OFF:
        raise Unanswered(
            f"the content is null: max_tokens = {sampling.max_tokens} were used up before the answer began "
            "(a reasoning model needs more)",
            "unclear",
        )
    raise Unanswered(f"the content is {text!r:.80}, not a text", "unclear")


@dataclass(frozen=True, slots=True)
class Scored:
    """A continuation's summed log-probability, its number of tokens, and whether each was the most likely one.

    ``greedy`` is None when the server does not tell.
    """

    value: float
    tokens: int
    greedy: bool | None


def prompt_loglikelihoods(reply: Mapping[str, Any], context_ids: Sequence[int]) -> list[Scored]:
    """Return how likely each prompt of a vLLM reply is after its context.

    The continuation is what the whole has beyond the context's number of tokens; where merging leaves nothing, what
    differs from the context's tokens.
    """
    return [_after_ids(choice, context_ids) for choice in _choices(reply)]


def _after_ids(choice: Mapping[str, Any], context_ids: Sequence[int]) -> Scored:
    ids, table = choice.get("prompt_token_ids"), choice.get("prompt_logprobs")
    if not isinstance(ids, list) or not isinstance(table, list) or len(ids) != len(table):
        raise BadReply("the reply has no prompt_logprobs")
    start = len(context_ids)
    if len(ids) <= start:
        start = next((i for i, (a, b) in enumerate(zip(ids, context_ids, strict=False)) if a != b), len(ids))
    pairs = zip(ids[start:], table[start:], strict=True)
    entries = [entry.get(str(token)) if isinstance(entry, dict) else None for token, entry in pairs]
    ranks = [entry.get("rank") if isinstance(entry, dict) else None for entry in entries]
    return _summed([_logprob(entry) for entry in entries], [None if rank is None else rank == 1 for rank in ranks])


def _logprob(entry: Any) -> float | None:
    return _number(entry.get("logprob") if isinstance(entry, dict) else entry)


def echoed_loglikelihoods(reply: Mapping[str, Any], prompt: str, continuations: Sequence[str]) -> list[Scored]:
    """Return how likely each continuation is, from echoed prompts.

    A token that reaches over the end of the prompt counts as the continuation's.
    """
    choices = _choices(reply)
    if len(choices) != len(continuations):
        raise BadReply(f"{len(continuations)} prompts were sent and {len(choices)} came back")
    return [_after_text(choice, prompt, text) for choice, text in zip(choices, continuations, strict=True)]


def _after_text(choice: Mapping[str, Any], prompt: str, continuation: str) -> Scored:
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("tokens") if isinstance(logprobs, dict) else None
    values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        raise Unanswered("the server does not give log-probabilities of the prompt (echo)", "unclear")
    spelled = "".join(map(str, tokens))
    if not spelled.endswith(prompt + continuation):
        raise Unanswered("the echoed tokens do not spell the prompt that was sent", "request")
    boundary = len(spelled) - len(continuation)
    best = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
    tops = best if isinstance(best, list) and len(best) == len(tokens) else [None] * len(tokens)
    kept: list[float | None] = []
    greedy: list[bool | None] = []
    end = 0
    for token, value, top in zip(tokens, values, tops, strict=True):
        end += len(str(token))
        if end > boundary:
            kept.append(_logprob(value))
            greedy.append(_is_best(kept[-1], top))
    return _summed(kept, greedy)


def _is_best(value: float | None, top: Any) -> bool | None:
    """Whether no likely token of a reply is likelier than this one, None where the reply does not tell."""
    likely = [_number(other) for other in top.values()] if isinstance(top, dict) else []
    known = [other for other in likely if other is not None]
    return None if value is None or not known else value >= max(known)


def _summed(values: Sequence[float | None], greedy: Sequence[bool | None]) -> Scored:
    numbers = [value for value in values if value is not None]
    if len(numbers) != len(values) or not numbers:
        raise Unanswered(
            "the continuation has no tokens, or one without a log-probability (servers give none to a text's first)",
            "request",
        )
    return Scored(sum(numbers), len(numbers), None if None in greedy else all(greedy))

"""One request at a time to an OpenAI-compatible server, as coroutines; used by :mod:`evalsuite.engines.openai`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from evalsuite.engines.base import (
    ChatPrompt,
    GenerateRequest,
    Generation,
    LogLikelihoodRequest,
    LogLikelihoods,
    Prompt,
    Sample,
    Sampling,
    TextPrompt,
)
from evalsuite.engines.openai_http import BadReply, Endpoint, post_json
from evalsuite.engines.openai_server import ServerKind
from evalsuite.engines.openai_wire import (
    DIALECTS,
    Scored,
    chat_fields,
    echoed_loglikelihoods,
    logprobs_fields,
    parse_samples,
    prompt_loglikelihoods,
    prompt_tokens,
    sampling_fields,
)
from evalsuite.errors import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIClient", "connect"]

Parsed = TypeVar("Parsed")
Scoring = tuple[list[Scored], int]


@asynccontextmanager
async def connect(endpoint: Endpoint, model: str, kind: ServerKind, prefill: str) -> AsyncIterator[OpenAIClient]:
    """Open the connections of one run; retries are :func:`~evalsuite.engines.openai_http.post_json`'s."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(**endpoint.client_settings(), max_retries=0) as http:
        yield OpenAIClient(http, endpoint, model, kind, prefill)


class OpenAIClient:
    """Answers requests; both methods raise what :func:`~evalsuite.engines.openai_http.post_json` raises."""

    def __init__(self, http: AsyncOpenAI, endpoint: Endpoint, model: str, kind: ServerKind, prefill: str) -> None:
        self._http = http
        self._endpoint = endpoint
        self._model = model
        self._kind = kind
        self._prefill = prefill
        self._round_trip_checked = False

    async def generate(self, request: GenerateRequest) -> Generation:
        """Return ``sampling.n`` samples, asking again for those that a server without ``n`` leaves out."""
        sampling, dialect = request.sampling, DIALECTS[self._kind]
        fields = await self._prompt_fields(request.prompt)
        path, limit = (
            ("/chat/completions", dialect.chat_limit) if "messages" in fields else ("/completions", "max_tokens")
        )
        samples: list[Sample] = []
        counted = 0
        while len(samples) < sampling.n:
            rest = replace(sampling, n=sampling.n - len(samples), seed=sampling.seed + len(samples))

            def parse(reply: dict[str, Any], rest: Sampling = rest) -> tuple[tuple[Sample, ...], int]:
                return parse_samples(reply, rest), prompt_tokens(reply)

            decoding = sampling_fields(rest, dialect) | logprobs_fields(rest, path) | {limit: rest.max_tokens}
            more, counted = await self._post(path, fields | decoding, parse)
            samples.extend(more)
        return Generation(request.id, tuple(samples), counted)

    async def loglikelihood(self, request: LogLikelihoodRequest) -> LogLikelihoods:
        """Score all continuations of a request in one call."""
        score = self._score_ids if self._kind is ServerKind.VLLM else self._score_echo
        scored, counted = await score(request)
        tokens = tuple(one.tokens for one in scored)
        greedy = tuple(one.greedy for one in scored if one.greedy is not None)
        return LogLikelihoods(
            id=request.id,
            values=tuple(one.value for one in scored),
            tokens=tokens,
            prompt_tokens=(counted - sum(tokens)) // len(tokens),
            greedy=greedy if len(greedy) == len(scored) else (),
        )

    async def _score_ids(self, request: LogLikelihoodRequest) -> Scoring:
        text, special = await self._context(request.prompt)
        context = await self._tokenize({"prompt": text.rstrip(), "add_special_tokens": special})
        body = {
            "prompt": [text + continuation for continuation in request.continuations],
            "add_special_tokens": special,
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": 0,
            "return_token_ids": True,
        }

        def parse(reply: dict[str, Any]) -> Scoring:
            return prompt_loglikelihoods(reply, context), prompt_tokens(reply)

        return await self._post("/completions", body, parse)

    async def _score_echo(self, request: LogLikelihoodRequest) -> Scoring:
        text, _ = await self._context(request.prompt)
        continuations = request.continuations
        body = {
            "prompt": [text + continuation for continuation in continuations],
            "max_tokens": 0,
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
        }

        def parse(reply: dict[str, Any]) -> Scoring:
            return echoed_loglikelihoods(reply, text, continuations), prompt_tokens(reply)

        return await self._post("/completions", body, parse)

    async def _prompt_fields(self, prompt: Prompt) -> dict[str, Any]:
        if isinstance(prompt, TextPrompt):
            return {"prompt": prompt.text}
        if prompt.assistant_prefix and self._prefill == "render":
            text, special = await self._context(prompt)
            return {"prompt": text, "add_special_tokens": special}
        return chat_fields(prompt.messages, prompt.assistant_prefix if self._prefill == "continue" else "")

    async def _context(self, prompt: Prompt) -> tuple[str, bool]:
        """Return the text before the answer, and whether the tokenizer has still to add its special tokens."""
        if isinstance(prompt, TextPrompt):
            return prompt.text, True
        return await self._render(prompt) + prompt.assistant_prefix, False

    async def _render(self, prompt: ChatPrompt) -> str:
        """Have vLLM apply the model's chat template, and return the text."""
        ids = await self._tokenize({**chat_fields(prompt.messages), "add_generation_prompt": True})
        text: str = await self._post(self._root("/detokenize"), {"tokens": ids}, _field("prompt", str))
        if not self._round_trip_checked:
            if await self._tokenize({"prompt": text, "add_special_tokens": False}) != ids:
                raise UserError(
                    f"the tokenizer of {self._model} does not turn a rendered prompt back into the same tokens: "
                    "set prefill to 'continue'"
                )
            self._round_trip_checked = True
        return text

    async def _tokenize(self, body: dict[str, Any]) -> list[int]:
        return await self._post(self._root("/tokenize"), body, _field("tokens", list))

    async def _post(self, path: str, body: dict[str, Any], parse: Callable[[dict[str, Any]], Parsed]) -> Parsed:
        return await post_json(self._http, self._endpoint, path, {"model": self._model, **body}, parse)

    def _root(self, path: str) -> str:
        return self._endpoint.url.removesuffix("/v1") + path


def _field(name: str, kind: type[Parsed]) -> Callable[[dict[str, Any]], Parsed]:
    def parse(reply: dict[str, Any]) -> Parsed:
        value = reply.get(name)
        if not isinstance(value, kind):
            raise BadReply(f"the reply has no {name}")
        return value

    return parse

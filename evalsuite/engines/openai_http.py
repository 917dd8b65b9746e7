"""JSON over HTTP to an OpenAI-compatible server: retries, and a clear end to every request that cannot be answered.

A reply is returned only when the server said "200" with a JSON object that is not an error. Everything else ends in one
of three exceptions: :class:`Unanswered` (this request failed, others may not), ``UserError`` (key, model or address are
wrong), ``EngineError`` (the server is gone or refuses everything).
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

from evalsuite.errors import EngineError, EvalsuiteError, InvalidInput

if TYPE_CHECKING:
    from openai import APIError, APIStatusError, AsyncOpenAI

__all__ = ["NO_KEY", "BadReply", "CircuitBreaker", "Endpoint", "Unanswered", "decode", "explain", "post_json"]

Parsed = TypeVar("Parsed")
Blame = Literal["request", "server", "unclear"]

#: Sent to servers that ask for no key, since the client insists on one.
NO_KEY = "evalsuite-has-no-key"

_LONGEST_BACKOFF = 60.0
_LONGEST_RETRY_AFTER = 600.0
_RETRYABLE_STATUS = frozenset({408, 409, 425, 429})
_CONTEXT_LENGTH = re.compile(
    r"context.?length|context.?window|maximum context|max_model_len|too many tokens|longer than the maximum|"
    r"input.{0,20}too long|prompt.{0,20}too long|exceed.{0,40}(?:context|tokens)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how patiently to ask. ``url`` ends in the API's version, without a slash: ``http://host:8000/v1``."""

    url: str
    api_key: str = field(repr=False)
    timeout: float
    retries: int
    backoff: float

    @property
    def shown(self) -> str:
        """The address without user name and password."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def client_settings(self) -> dict[str, Any]:
        """Return the arguments of an OpenAI client."""
        return {"base_url": self.url, "api_key": self.api_key, "timeout": self.timeout}

    def redacted(self, text: str) -> str:
        """Return ``text`` on one line, shortened, without the API key."""
        line = " ".join(text.replace(self.api_key, "***").split())
        return line if len(line) <= 300 else line[:297] + "..."


class Unanswered(Exception):
    """One request that could not be answered.

    ``blame`` says what the failure means for other requests: ``request`` nothing (too long for the context), ``server``
    trouble that may hit all of them, ``unclear`` either.
    """

    def __init__(self, message: str, blame: Blame) -> None:
        super().__init__(message)
        self.blame = blame


class BadReply(Exception):
    """The server said 200 and sent something that is not an answer."""


class CircuitBreaker:
    """Ends a run whose requests all fail, instead of failing them one by one.

    Trips after ``limit`` failures before the first answer, or ``limit`` failures of the server in a row later.
    """

    def __init__(self, limit: int = 16) -> None:
        self._limit = limit
        self._answered = False
        self._in_a_row = 0

    def record_answer(self) -> None:
        """Note that a request was answered."""
        self._answered = True
        self._in_a_row = 0

    def record_failure(self, problem: Unanswered) -> None:
        """Note a failure; raise :class:`EngineError` when there is no use in going on."""
        if problem.blame == "server" or (problem.blame == "unclear" and not self._answered):
            self._in_a_row += 1
        if self._in_a_row >= self._limit:
            raise EngineError(f"gave up after {self._in_a_row} failed requests in a row, the last one: {problem}")


async def post_json(
    client: AsyncOpenAI,
    endpoint: Endpoint,
    path: str,
    body: Mapping[str, Any],
    parse: Callable[[dict[str, Any]], Parsed],
) -> Parsed:
    """Post ``body`` and return what ``parse`` makes of the JSON object in the reply; it may raise :class:`BadReply`.

    Failures that may pass (connection, timeout, 408, 409, 425, 429, 5xx, a reply that is no answer) are retried after
    an exponentially growing wait with jitter, or after what ``Retry-After`` asks for. A timeout is retried once.

    Raises:
        Unanswered: this request failed for good.
        UserError: the key, model or address is wrong.
        EngineError: the server cannot be reached any more.
    """
    from openai import APIError

    attempt = 0
    while True:
        try:
            return parse(decode(await client.post(path, body=body, cast_to=str)))
        except (APIError, BadReply) as problem:
            if attempt >= _retries(problem, endpoint):
                raise explain(problem, endpoint) from problem
            wait = _seconds_to_wait(problem, endpoint, attempt)
        await asyncio.sleep(wait)
        attempt += 1


def decode(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``; raise :class:`BadReply` for anything else, and for an error sent as a 200."""
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise BadReply(f"the reply is not JSON: {text[:80]!r}") from problem
    if not isinstance(reply, dict):
        raise BadReply(f"the reply is not a JSON object: {text[:80]!r}")
    if reply.get("error"):
        raise BadReply(f"the reply is an error: {text[:200]!r}")
    return reply


def _retries(problem: APIError | BadReply, endpoint: Endpoint) -> int:
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    if isinstance(problem, APITimeoutError):
        return min(endpoint.retries, 1)  # each costs the whole time limit
    if isinstance(problem, APIStatusError):
        retryable = problem.status_code in _RETRYABLE_STATUS or problem.status_code >= 500
        return endpoint.retries if retryable and not _is_out_of_quota(problem) else 0
    return endpoint.retries if isinstance(problem, APIConnectionError | BadReply) else 0


def _seconds_to_wait(problem: Exception, endpoint: Endpoint, attempt: int) -> float:
    backoff = min(_LONGEST_BACKOFF, endpoint.backoff * 2.0**attempt)
    jittered = backoff * random.uniform(0.5, 1.0)
    asked = _retry_after(problem)
    if asked > _LONGEST_RETRY_AFTER:
        raise EngineError(
            f"{endpoint.shown} asks to come back in {asked:.0f} s: run the same command again then; "
            "finished samples are kept"
        ) from problem
    return asked + jittered if asked else jittered


def _retry_after(problem: Exception) -> float:
    """Return the seconds that the server asked for, 0 when it did not."""
    response = getattr(problem, "response", None)
    value = response.headers.get("retry-after", "") if response is not None else ""
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _is_out_of_quota(problem: APIStatusError) -> bool:
    return problem.status_code == 402 or problem.code == "insufficient_quota"


def explain(problem: APIError | BadReply, endpoint: Endpoint) -> EvalsuiteError | Unanswered:
    """Return the exception that says what ``problem`` means for the request and for the run."""
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    where = endpoint.shown
    if isinstance(problem, APITimeoutError):
        return Unanswered(f"{where} did not answer within {endpoint.timeout:g} s", "server")
    if isinstance(problem, APIConnectionError):
        cause = endpoint.redacted(str(problem.__cause__ or problem))
        return EngineError(
            f"no server answers at {where} ({cause}): start it, or set base_url or OPENAI_BASE_URL; "
            "run the same command again to go on, finished samples are kept"
        )
    if isinstance(problem, APIStatusError):
        return _explain_status(problem, endpoint)
    return Unanswered(f"{where}: {endpoint.redacted(str(problem))}", "server")


def _explain_status(problem: APIStatusError, endpoint: Endpoint) -> EvalsuiteError | Unanswered:
    said = endpoint.redacted(problem.message)
    where = f"{endpoint.shown} (HTTP {problem.status_code})"
    if _is_out_of_quota(problem):
        return EngineError(f"{where}: the account is out of quota: {said}")
    if problem.status_code == 401:
        return InvalidInput(
            f"{where} does not accept the API key: set OPENAI_API_KEY, or api_key_env to the variable that holds it"
        )
    if problem.status_code in (403, 404):
        return InvalidInput(f"{where} refuses access to the model or does not know it: {said}")
    if problem.code in ("unsupported_parameter", "unsupported_value"):
        return InvalidInput(f"{where} does not accept a sampling setting: {said}")
    return Unanswered(*_explain_refusal(problem, f"{where}: {said}"))


def _explain_refusal(problem: APIStatusError, said: str) -> tuple[str, Blame]:
    if _CONTEXT_LENGTH.search(problem.message) and problem.status_code < 500:
        return f"the prompt and its max_tokens do not fit the model's context: {said}", "request"
    if problem.code == "content_filter":
        return f"refused by the server's content filter: {said}", "request"
    transient = problem.status_code >= 500 or problem.status_code in _RETRYABLE_STATUS
    return said, "server" if transient else "unclear"

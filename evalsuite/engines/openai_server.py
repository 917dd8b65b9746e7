"""What kind of server answers at an address: asked once, before the first request of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evalsuite.engines.openai_http import BadReply, Endpoint, Unanswered, decode, explain
from evalsuite.errors import EngineError, UnknownName

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["Server", "ServerKind", "probe"]

_PROBE_SECONDS = 15.0


class ServerKind(StrEnum):
    """Servers whose abilities beyond the common protocol are known."""

    OPENAI = "openai"
    VLLM = "vllm"
    SGLANG = "sglang"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Server:
    """What a server tells about itself; empty or ``None`` where it is silent."""

    kind: ServerKind
    version: str | None = None
    models: tuple[str, ...] = ()
    served_from: str | None = None
    context_length: int | None = None


def probe(endpoint: Endpoint, model: str) -> Server:
    """Ask who answers, and whether it has ``model``.

    Raises:
        EngineError: nobody answers.
        InvalidInput: the API key is not accepted.
        UnknownName: a server of a known kind lists its models and ``model`` is not one of them.
    """
    from openai import OpenAI

    patience = replace(endpoint, timeout=min(endpoint.timeout, _PROBE_SECONDS))
    with OpenAI(**patience.client_settings(), max_retries=2) as client:
        cards = _model_cards(client, patience)
        kind = _kind(endpoint.url, cards)
        version = _version(client, endpoint.url) if kind is ServerKind.VLLM else None
    models = tuple(card["id"] for card in cards)
    if kind is not ServerKind.UNKNOWN and models and model not in models:
        raise UnknownName(f"model at {endpoint.shown}", model, models)
    card = next((card for card in cards if card["id"] == model), {})
    return Server(kind, version, models, served_from=card.get("root"), context_length=card.get("max_model_len"))


def _model_cards(client: OpenAI, endpoint: Endpoint) -> list[Mapping[str, Any]]:
    """Return the entries of ``/models``; none when the server does not have that page."""
    from openai import APIConnectionError, APIStatusError, AuthenticationError

    try:
        listed = decode(client.get("/models", cast_to=str)).get("data")
    except (APIConnectionError, AuthenticationError) as problem:
        explained = explain(problem, endpoint)
        raise EngineError(str(explained)) if isinstance(explained, Unanswered) else explained from problem
    except (APIStatusError, BadReply):
        return []
    cards = listed if isinstance(listed, list) else []
    return [card for card in cards if isinstance(card, dict) and isinstance(card.get("id"), str)]


def _kind(url: str, cards: list[Mapping[str, Any]]) -> ServerKind:
    host = urlsplit(url).hostname or ""
    if host == "api.openai.com" or host.endswith(".openai.azure.com"):
        return ServerKind.OPENAI
    owners = {card.get("owned_by") for card in cards}
    return next((kind for kind in (ServerKind.VLLM, ServerKind.SGLANG) if kind.value in owners), ServerKind.UNKNOWN)


def _version(client: OpenAI, url: str) -> str | None:
    from openai import APIError

    try:
        reply = decode(client.get(f"{url.removesuffix('/v1')}/version", cast_to=str))
    except (APIError, BadReply):
        return None
    version = reply.get("version")
    return version if isinstance(version, str) else None

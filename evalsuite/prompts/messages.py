"""What is sent to a model, before any tokenizer has seen it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ChatPrompt", "Message", "Prompt", "TextPrompt"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation for the model's chat template; ``assistant_prefix`` is text the model's answer starts with.

    The prefix is appended to the rendered template, is not part of the completion, and may be empty.
    """

    messages: tuple[Message, ...]
    assistant_prefix: str = ""


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """Raw text, sent without a chat template (a BOS token is added where the tokenizer adds one)."""

    text: str


Prompt = ChatPrompt | TextPrompt

"""Prompts to token ids and token ids to text, the same for every engine that runs a model in this process.

Source: Tülu 3 evaluation specification §2.1 (rendering) and §2.3 (truncation of the prompt); log-likelihood pairs are
split as lm-eval does. A beginning-of-sequence token that the tokenizer would add is there exactly once, whether the
chat template writes it or not; an end-of-sequence token is never added to a prompt.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from evalsuite.engines.base import ChatPrompt, LogLikelihoodRequest, Prompt
from evalsuite.engines.checkpoint import Checkpoint
from evalsuite.errors import InvalidInput

__all__ = ["EncodedChoices", "PromptTokenizer", "fit", "warn_about_cuts"]

_LOG = logging.getLogger(__name__)

# How many prompt tokens are decoded together with a completion, so that its first space is kept (SentencePiece drops
# the space a text starts with).
_DECODE_CONTEXT = 4


@dataclass(frozen=True, slots=True)
class EncodedChoices:
    """A log-likelihood request in tokens: one context and each continuation's ids (never empty)."""

    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]

    def fit(self, max_length: int) -> EncodedChoices:
        """Cut the context from the left so that it and the longest continuation fit ``max_length`` tokens."""
        room = max(1, max_length - max(map(len, self.continuations), default=0))
        return EncodedChoices(self.context[-room:], self.continuations)


@dataclass(frozen=True)
class PromptTokenizer:
    """Renders, encodes and decodes for one checkpoint."""

    checkpoint: Checkpoint = field(repr=False)

    def render(self, prompt: Prompt) -> str:
        """The exact text the model sees (without the special tokens a tokenizer adds by itself)."""
        from jinja2 import TemplateError

        if not isinstance(prompt, ChatPrompt):
            return prompt.text
        if self.checkpoint.chat_template is None:
            raise InvalidInput(f"model {self.checkpoint.model!r} has no chat template: send it raw text prompts")
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        try:
            text = self.checkpoint.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except TemplateError as error:
            roles = ", ".join(message.role for message in prompt.messages)
            raise InvalidInput(
                f"the chat template of model {self.checkpoint.model!r} refuses the turns {roles}: {error}"
            ) from error
        return f"{text}{prompt.assistant_prefix}"

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with the tokenizer's own BOS in front unless the text already starts with it."""
        if not texts:
            return []
        encoded: list[list[int]] = self._plain(list(texts))
        if self.bos is None:
            return encoded
        return [ids if ids[:1] == [self.bos] else [self.bos, *ids] for ids in encoded]

    def encode_prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each rendered prompt; an empty one becomes a single BOS (or EOS) token."""
        return [ids or self._start for ids in self.encode([self.render(prompt) for prompt in prompts])]

    def encode_choices(self, request: LogLikelihoodRequest) -> EncodedChoices:
        """Split context and continuations into tokens.

        White space at the end of the context moves to the continuations, and a continuation is what the tokens of the
        whole have beyond the context's number of tokens; where merging leaves nothing, the continuation's own tokens
        are taken.
        """
        text = self.render(request.prompt)
        continuations = request.continuations
        context = text.rstrip()
        moved = text[len(context) :]
        wholes = self.encode([f"{context}{moved}{continuation}" for continuation in continuations])
        head = self.encode([context])[0] or self._start
        shift = len(head) if context else len(self.encode([""])[0])
        tails = [
            whole[shift:] or self._plain([f"{moved}{continuation}"])[0] or self._start
            for whole, continuation in zip(wholes, continuations, strict=True)
        ]
        return EncodedChoices(tuple(head), tuple(map(tuple, tails)))

    def decode(self, prompt: Sequence[int], completion: Sequence[int]) -> str:
        """Text of ``completion`` as it continues ``prompt``, without special tokens."""
        context = list(prompt[-_DECODE_CONTEXT:])
        head = self._text(context)
        whole = self._text([*context, *completion])
        return whole[len(head) :] if head and whole.startswith(head) else self._text(list(completion))

    @cached_property
    def special_ids(self) -> dict[str, int]:
        """Special tokens by their text; as stop strings they are matched by id, since they leave no text."""
        added = self.checkpoint.tokenizer.added_tokens_decoder
        return {token.content: index for index, token in added.items() if token.special}

    def _plain(self, texts: list[str]) -> list[list[int]]:
        encoded: list[list[int]] = self.checkpoint.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return encoded

    def _text(self, ids: list[int]) -> str:
        text: str = self.checkpoint.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    @cached_property
    def bos(self) -> int | None:
        """The BOS id if this tokenizer puts one before raw text, else ``None``."""
        tokenizer = self.checkpoint.tokenizer
        added = tokenizer("", add_special_tokens=True)["input_ids"]
        bos: int | None = tokenizer.bos_token_id
        return bos if bos is not None and added[:1] == [bos] else None

    @cached_property
    def _start(self) -> list[int]:
        """What stands for an empty prompt: a model needs one token to start from."""
        bos = self.checkpoint.tokenizer.bos_token_id
        if bos is not None:
            return [bos]
        return [min(self.checkpoint.eos_ids, default=0)]


def fit(prompt: Sequence[int], max_tokens: int, max_length: int) -> tuple[list[int], int]:
    """Cut a prompt from the left so that it and its completion fit ``max_length`` tokens (§2.3).

    Returns the prompt and the room for the completion. A ``max_tokens`` of more than half the context would leave next
    to nothing of the prompt, so a prompt always keeps half the context and the completion gets the rest.
    """
    room = max(max_length - max_tokens, max_length // 2)
    kept = list(prompt[-room:])
    return kept, min(max_tokens, max_length - len(kept))


def warn_about_cuts(cut: int, max_length: int) -> None:
    """Say how many prompts lost their beginning."""
    if cut:
        _LOG.warning(
            "%d prompts leave no room for max_tokens in a context of %d tokens; their beginnings were cut off",
            cut,
            max_length,
        )

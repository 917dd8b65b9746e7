"""One loaded causal language model: prompts in, next-token logits and a :class:`~evalsuite.engines.kv_cache.Block` out.

Prompts that begin alike (few-shot exemplars, a system turn) share one pass over their common beginning, whose keys and
values are kept for the batches that follow. Limits: decoder-only models whose ``forward`` takes ``past_key_values``.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evalsuite.engines.kv_cache import Block, is_elastic, new_cache
from evalsuite.errors import InvalidInput

if TYPE_CHECKING:
    import torch

__all__ = ["CausalLM", "reading_order"]

# A shared beginning shorter than this costs more in bookkeeping than it saves.
_SHORTEST_PREFIX = 32
# Prompts that agree on this many tokens are read one after the other.
_GROUP_TOKENS = 64


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The keys and values of one token sequence, a layer each of shape ``(1, heads, tokens, head size)``."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]


class CausalLM:
    """A model in evaluation mode, and the last prompt beginning it has seen shared."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._prefix: _Prefix | None = None
        if "past_key_values" not in self._arguments:
            raise InvalidInput(
                f"model {model.config.name_or_path!r} ({type(model).__name__}) keeps no key-value cache that the "
                "transformers engine can use: try --engine vllm"
            )

    @cached_property
    def elastic(self) -> bool:
        """Whether rows of this model's cache can be merged (see :mod:`evalsuite.engines.kv_cache`).

        A model that takes no positions may count columns instead (MPT), padding in the middle of a row included.
        """
        return "position_ids" in self._arguments and is_elastic(new_cache(self._model))

    def start(self, prompts: Sequence[Sequence[int]], keep: int = 1) -> tuple[torch.Tensor, Block]:
        """Read whole prompts (none empty).

        Returns the logits after the last ``keep`` tokens, ``(prompts, keep, vocabulary)`` aligned at the right, and the
        block that remembers the prompts. Equal prompts are read once.
        """
        import torch

        unique = list(dict.fromkeys(map(tuple, prompts)))
        with torch.inference_mode():
            logits, block = self._read(unique, keep)
            if len(unique) < len(prompts):
                place = {prompt: index for index, prompt in enumerate(unique)}
                rows = [place[tuple(prompt)] for prompt in prompts]
                block.select(rows)
                logits = logits[rows]
        return logits, block

    def step(self, block: Block, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append tokens to every row of ``block`` (in place).

        ``tokens`` are ``(rows, n)`` ids. Returns the logits after each of them, ``(rows, n, vocabulary)``.
        """
        import torch

        with torch.inference_mode():
            ids = torch.tensor(tokens, dtype=torch.long, device=block.mask.device)
            return self._forward(block, ids, torch.ones_like(ids), keep=ids.shape[1])

    def forget(self) -> None:
        """Free the kept prompt beginning."""
        self._prefix = None

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        device: torch.device = self._model.device
        return device

    @cached_property
    def _arguments(self) -> frozenset[str]:
        return frozenset(inspect.signature(self._model.forward).parameters)

    def _read(self, prompts: list[tuple[int, ...]], keep: int) -> tuple[torch.Tensor, Block]:
        import torch

        prefix = self._shared_prefix(prompts) if self.elastic and keep == 1 else None
        skip = len(prefix.tokens) if prefix else 0
        width = max(map(len, prompts)) - skip
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            rest = len(prompt) - skip
            ids[row, width - rest :] = torch.tensor(prompt[skip:], dtype=torch.long)
            mask[row, width - rest :] = 1
        block = self._block(prefix, len(prompts))
        return self._forward(block, ids.to(self.device), mask.to(self.device), keep), block

    def _block(self, prefix: _Prefix | None, rows: int) -> Block:
        """A block whose rows all have read ``prefix``."""
        import torch

        cache = new_cache(self._model)
        if prefix is not None:
            for layer, (keys, values) in zip(cache.layers, prefix.layers, strict=True):
                layer.lazy_initialization(keys, values)
                layer.keys, layer.values = keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)
        columns = len(prefix.tokens) if prefix else 0
        return Block(cache, torch.ones((rows, columns), dtype=torch.long, device=self.device))

    def _forward(self, block: Block, ids: torch.Tensor, mask: torch.Tensor, keep: int) -> torch.Tensor:
        """Run the model on ``(rows, n)`` new ids and return the logits of the last ``keep``."""
        import torch

        block.mask = torch.cat([block.mask, mask], dim=1)
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": block.mask, "past_key_values": block.cache}
        if "position_ids" in self._arguments:
            positions = block.mask.cumsum(dim=1)[:, -ids.shape[1] :] - 1
            inputs["position_ids"] = positions.clamp(min=0)
        if "logits_to_keep" in self._arguments:
            inputs["logits_to_keep"] = keep
        logits: torch.Tensor = self._model(**inputs, use_cache=True).logits
        return logits[:, -keep:]

    def _shared_prefix(self, prompts: list[tuple[int, ...]]) -> _Prefix | None:
        """The kept beginning if it serves these prompts well, a newly read one if they share much, else ``None``."""
        shared = _common_beginning(min(prompts), max(prompts))[: min(map(len, prompts)) - 1]
        kept = self._prefix
        if kept is not None and shared[: len(kept.tokens)] == kept.tokens and 2 * len(kept.tokens) > len(shared):
            return kept
        if len(prompts) < 2 or len(shared) < _SHORTEST_PREFIX:
            return None
        import torch

        block = self._block(None, 1)
        ids = torch.tensor([shared], dtype=torch.long, device=self.device)
        self._forward(block, ids, torch.ones_like(ids), keep=1)
        self._prefix = _Prefix(shared, tuple((layer.keys, layer.values) for layer in block.cache.layers))
        return self._prefix


def _common_beginning(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    for place, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return first[:place]
    return first if len(first) < len(second) else second


def reading_order(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Places of the prompts in the order to read them.

    Prompts that begin alike stand together; groups, and prompts within a group, go from long to short, so that running
    out of memory shows at once.
    """
    heads = [tuple(prompt[:_GROUP_TOKENS]) for prompt in prompts]
    longest: dict[tuple[int, ...], int] = {}
    for head, prompt in zip(heads, prompts, strict=True):
        longest[head] = max(longest.get(head, 0), len(prompt))
    return sorted(range(len(prompts)), key=lambda place: (-longest[heads[place]], heads[place], -len(prompts[place])))

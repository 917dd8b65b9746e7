"""Rows of keys and values that can be dropped, merged and squeezed between two steps of a model.

A :class:`Block` is what a model remembers of a batch: its Transformers cache and the attention mask, one row a
sequence, aligned at the right. Rows of a cache whose layers all are plain attention over the whole sequence can be
merged with others and lose columns that every row masks. Sliding-window and recurrent layers depend on where a column
stands, so such a cache only loses rows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Block", "is_elastic", "merge", "new_cache"]

# Squeezing copies the whole cache, so it waits until this share of the columns is dead.
_DEAD_SHARE = 0.125


@dataclass(slots=True)
class Block:
    """``cache`` holds ``(rows, heads, columns, head size)`` a layer; ``mask`` is ``(rows, columns)``, 1 for tokens."""

    cache: Any
    mask: torch.Tensor

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be named several times."""
        import torch

        index = torch.tensor(rows, dtype=torch.long, device=self.mask.device)
        self.cache.reorder_cache(index)
        self.mask = self.mask[index]

    def take(self, rows: Sequence[int]) -> Block:
        """A new block of these rows; this one stays as it is. Only for an elastic cache."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        taken = Block(cache, self.mask)
        taken.select(rows)
        return taken

    def squeeze(self) -> None:
        """Drop the columns that no row uses. Only for an elastic cache."""
        used = self.mask.any(dim=0)
        columns = used.nonzero()[:, 0]
        if len(columns) >= (1 - _DEAD_SHARE) * len(used):
            return
        for layer in self.cache.layers:
            layer.keys = layer.keys.index_select(-2, columns.to(layer.keys.device))
            layer.values = layer.values.index_select(-2, columns.to(layer.values.device))
        self.mask = self.mask[:, columns]


def new_cache(model: Any) -> Any:
    """An empty cache with the layer types of ``model``."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def is_elastic(cache: Any) -> bool:
    """Whether every layer attends to the whole sequence, wherever a token's column stands."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in cache.layers)


def merge(first: Block, second: Block) -> Block:
    """Stack the rows of two elastic blocks; the shorter one is padded at the left. ``first`` is used up."""
    import torch

    columns = max(first.mask.shape[1], second.mask.shape[1])
    for ours, theirs in zip(first.cache.layers, second.cache.layers, strict=True):
        ours.keys = torch.cat([_widen(ours.keys, columns), _widen(theirs.keys, columns)])
        ours.values = torch.cat([_widen(ours.values, columns), _widen(theirs.values, columns)])
    masks = [torch.nn.functional.pad(block.mask, (columns - block.mask.shape[1], 0)) for block in (first, second)]
    return Block(first.cache, torch.cat(masks))


def _widen(states: torch.Tensor, columns: int) -> torch.Tensor:
    """Pad ``(rows, heads, columns, head size)`` at the left with zeros."""
    import torch

    return torch.nn.functional.pad(states, (0, 0, columns - states.shape[-2], 0))

"""Rows of keys and values that can be dropped, merged and squeezed between two steps of a model.

A :class:`Block` is what a model remembers of a batch: its Transformers cache and attention mask, one row a sequence,
aligned at the right. Rows of a cache whose layers all are plain attention over the whole sequence can be merged with
others and lose columns that every row masks. Sliding-window and recurrent layers depend on where a column stands, so
such a cache only loses rows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Block", "is_elastic", "merge", "new_cache"]

# Squeezing copies the whole cache, so it waits until this share of the columns is dead.
_DEAD_SHARE = 0.125
# Columns that are made ahead of need.
_SPARE_COLUMNS = 64


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
        taken = Block(copy.copy(self.cache), self.mask)
        taken.cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        taken.select(rows)
        return taken

    def drop(self, rows: Sequence[int]) -> list[int]:
        """Remove some rows (not all). Returns the places that the rows left had before, in their new order.

        In an elastic cache the last rows move into the gaps, so that nothing else is copied.
        """
        import torch

        order = list(range(len(self.mask)))
        if not is_elastic(self.cache):
            order = [row for row in order if row not in set(rows)]
            self.select(order)
            return order
        for row in sorted(rows, reverse=True):
            order[row] = order[-1]
            order.pop()
        gaps = [place for place, row in enumerate(order) if place != row]
        with torch.inference_mode():
            for layer in self.cache.layers:
                layer.keys = _fill(layer.keys, gaps, order)
                layer.values = _fill(layer.values, gaps, order)
            self.mask = _fill(self.mask, gaps, order)
        return order

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
    from transformers.cache_utils import DynamicLayer

    cache = DynamicCache(config=model.config)
    if all(type(layer) is DynamicLayer for layer in cache.layers):
        cache.layers = [_growing_layer()() for _ in cache.layers]
    return cache


def is_elastic(cache: Any) -> bool:
    """Whether every layer attends to the whole sequence, wherever a token's column stands."""
    return all(type(layer) is _growing_layer() for layer in cache.layers)


def merge(first: Block, second: Block) -> Block:
    """Stack the rows of two elastic blocks; the shorter one is padded at the left. ``first`` is used up."""
    import torch

    columns = max(first.mask.shape[1], second.mask.shape[1])
    for ours, theirs in zip(first.cache.layers, second.cache.layers, strict=True):
        ours.keys = torch.cat([_widen(ours.keys, columns), _widen(theirs.keys, columns)])
        ours.values = torch.cat([_widen(ours.values, columns), _widen(theirs.values, columns)])
    masks = [torch.nn.functional.pad(block.mask, (columns - block.mask.shape[1], 0)) for block in (first, second)]
    return Block(first.cache, torch.cat(masks))


@cache
def _growing_layer() -> type[Any]:
    """A cache layer that appends in place; the library's own copies all keys and values at every token."""
    from transformers.cache_utils import DynamicLayer

    class GrowingLayer(DynamicLayer):  # type: ignore[misc]
        """``keys`` and ``values`` are the used parts of two buffers with spare columns."""

        keys: torch.Tensor
        values: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.buffers: list[torch.Tensor | None] = [None, None]

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            """Append ``(rows, heads, new columns, head size)`` and return everything."""
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            key_buffer, value_buffer = self.buffers
            self.keys, key_buffer = _append(self.keys, key_states, key_buffer)
            self.values, value_buffer = _append(self.values, value_states, value_buffer)
            self.buffers = [key_buffer, value_buffer]
            return self.keys, self.values

    return GrowingLayer


def _append(states: torch.Tensor, new: torch.Tensor, buffer: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Write ``new`` behind ``states``, in ``buffer`` if ``states`` are its beginning and there is room."""
    rows, heads, added, size = new.shape
    columns = states.shape[-2] if states.dim() == new.dim() else 0
    if buffer is None or buffer.data_ptr() != states.data_ptr() or buffer.shape[-2] < columns + added:
        buffer = new.new_empty((rows, heads, columns + added + _SPARE_COLUMNS, size))
        if columns:
            buffer[:, :, :columns] = states
    buffer[:rows, :, columns : columns + added] = new
    return buffer[:rows, :, : columns + added], buffer


def _fill(rows: torch.Tensor, gaps: Sequence[int], order: Sequence[int]) -> torch.Tensor:
    """Move row ``order[gap]`` into each gap and cut off what lies behind."""
    for gap in gaps:
        rows[gap] = rows[order[gap]]
    return rows[: len(order)]


def _widen(states: torch.Tensor, columns: int) -> torch.Tensor:
    """Pad ``(rows, heads, columns, head size)`` at the left with zeros."""
    import torch

    return torch.nn.functional.pad(states, (0, 0, columns - states.shape[-2], 0))

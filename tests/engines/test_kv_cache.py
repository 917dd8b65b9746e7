"""Whatever is dropped, merged, squeezed and appended, each row keeps its own tokens in their order."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.engines.kv_cache import Block, is_elastic, merge, new_cache

LAYERS, HEADS, SIZE = 2, 2, 3


@pytest.fixture(scope="module")
def model():
    from transformers import LlamaConfig

    return SimpleNamespace(config=LlamaConfig(num_hidden_layers=LAYERS))


def states(rows):
    """Keys that say which token they belong to: ``(rows, heads, columns, size)`` full of its number."""
    tokens = torch.tensor(rows, dtype=torch.float32)
    return tokens[:, None, :, None].expand(-1, HEADS, -1, SIZE)


def append(block, rows, mask):
    for layer in range(LAYERS):
        keys, values = block.cache.update(states(rows), -states(rows), layer)
        assert torch.equal(keys, -values)
    block.mask = torch.cat([block.mask, torch.tensor(mask)], dim=1)


def make(model, rows):
    """A block of rows of different lengths, padded at the left with zeros."""
    width = max(map(len, rows))
    block = Block(new_cache(model), torch.ones((len(rows), 0), dtype=torch.long))
    padded = [[0] * (width - len(row)) + row for row in rows]
    append(block, padded, [[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return block


def contents(block):
    """Each row's tokens as every layer remembers them."""
    found = []
    for layer in block.cache.layers:
        assert layer.keys.shape[:2] == (len(block.mask), HEADS)
        rows = zip(layer.keys[:, -1, :, 0], block.mask.bool(), strict=True)
        found.append([[int(token) for token in row[used]] for row, used in rows])
    assert all(rows == found[0] for rows in found)
    return found[0]


ROWS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=20), min_size=1, max_size=5)


@given(first=ROWS, second=ROWS, data=st.data())
def test_rows_keep_their_tokens(model, first, second, data):
    block, other, expected = make(model, first), make(model, second), [*first, *second]
    assert is_elastic(block.cache)
    block = merge(block, other)
    assert contents(block) == expected
    for step in range(70):  # beyond the spare columns
        if len(expected) > 1 and step % 9 == 0:
            dropped = data.draw(st.sets(st.integers(0, len(expected) - 1), max_size=len(expected) - 1))
            order = block.drop(sorted(dropped))
            assert sorted(order) == sorted(set(range(len(expected))) - dropped)
            expected = [expected[row] for row in order]
            block.squeeze()
        append(block, [[step + 100]] * len(expected), [[1]] * len(expected))
        expected = [[*row, step + 100] for row in expected]
    assert contents(block) == expected
    assert contents(merge(make(model, [[7]]), block)) == [[7], *expected]


def test_squeezing_drops_dead_columns(model):
    block = make(model, [[1] * 40, [2, 3]])
    order = block.drop([0])
    assert order == [1]
    block.squeeze()
    assert block.mask.shape == (1, 2)
    assert contents(block) == [[2, 3]]


def test_taken_rows_leave_the_block_alone(model):
    block = make(model, [[1, 2], [3]])
    append(block, [[4], [5]], [[1], [1]])
    taken = block.take([1, 1, 0])
    append(taken, [[6], [7], [8]], [[1]] * 3)
    assert contents(taken) == [[3, 5, 6], [3, 5, 7], [1, 2, 4, 8]]
    append(block, [[9], [9]], [[1], [1]])
    assert contents(block) == [[1, 2, 4, 9], [3, 5, 9]]


def test_other_layer_types_only_lose_rows():
    from transformers import MistralConfig

    config = MistralConfig(num_hidden_layers=LAYERS, sliding_window=8)
    block = make(SimpleNamespace(config=config), [[1, 2], [3], [4]])
    assert not is_elastic(block.cache)
    assert block.drop([0]) == [1, 2]
    assert contents(block) == [[3], [4]]

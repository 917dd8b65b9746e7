"""Drawing tokens: the distribution asked for, whatever rows stand beside a row."""

from __future__ import annotations

import random

import pytest
import torch

from evalsuite.engines.base import Sampling
from evalsuite.engines.sampling import choose, row_generator, row_seed

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -30.0])


def frequencies(sampling, draws=4000):
    generator = random.Random(0)
    counts = [0] * len(LOGITS)
    for token in choose(LOGITS.expand(draws, -1), [(sampling, generator)] * draws):
        counts[token] += 1
    return [count / draws for count in counts]


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(temperature=1.0), 5),
        (Sampling(temperature=0.5), 5),
        (Sampling(temperature=2.0, top_k=3), 3),
        (Sampling(temperature=1.0, top_p=0.7), 2),
        (Sampling(temperature=1.0, top_p=0.5), 1),
        (Sampling(temperature=1.0, top_k=2, top_p=0.99), 2),
        (Sampling(temperature=1.0, top_p=0.0), 1),
    ],
)
def test_frequencies_are_the_filtered_distribution(sampling, kept):
    expected = (LOGITS[:kept] / sampling.temperature).softmax(-1).tolist()
    found = frequencies(sampling)
    assert found[:kept] == pytest.approx(expected, abs=0.03)
    assert sum(found[kept:]) == 0 or kept == 5


def test_filters_agree_with_the_library():
    """The tokens that can be drawn are those that the library's warpers leave."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    torch.manual_seed(0)
    logits = torch.randn(1, 50)
    left = TopPLogitsWarper(0.8)(None, TopKLogitsWarper(20)(None, TemperatureLogitsWarper(0.7)(None, logits)))
    sampling = Sampling(temperature=0.7, top_k=20, top_p=0.8)
    generator = random.Random(1)
    drawn = set(choose(logits.expand(20_000, -1), [(sampling, generator)] * 20_000))
    assert drawn == set(left[0].isfinite().nonzero()[:, 0].tolist())


def test_a_row_draws_the_same_beside_other_rows():
    torch.manual_seed(0)
    logits = torch.randn(3, 20)
    warm, greedy = Sampling(temperature=1.0), Sampling()
    alone = choose(logits[1:2], [(warm, row_generator(warm, "doc", 0))])
    rows = [
        (greedy, random.Random(9)),
        (warm, row_generator(warm, "doc", 0)),
        (Sampling(temperature=0.3), random.Random(2)),
    ]
    together = choose(logits, rows)
    assert together[1:2] == alone
    assert together[0] == int(logits[0].argmax())


def test_seeds_differ_by_request_sample_and_seed_and_are_fixed():
    seeds = {row_seed(seed, request, sample) for seed in (0, 1) for request in ("a", "b") for sample in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert row_seed(0, "gsm8k/0", 0) == 6947585131461307721

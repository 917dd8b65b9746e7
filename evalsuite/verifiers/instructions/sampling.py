"""The random sampling of langdetect with seed 0, a whole trial at a time.

langdetect multiplies the probabilities of n-grams drawn by ``random.Random(seed).choice`` until one language has all
but certainly won, looking after every fifth draw. The stream of random bits behind a fixed seed is a constant, so the
draws of many steps can be read off it at once and multiplied as a matrix. That the draws are the same depends on how
CPython makes ``choice``, ``random`` and ``gauss`` from 32-bit outputs of the Mersenne Twister; a test compares them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from math import cos, log, pi, sin, sqrt
from typing import Any

__all__ = ["Sampler"]

_SEED = 0
_SMOOTHING, _SMOOTHING_SPREAD, _BASE_FREQUENCY = 0.5, 0.05, 10_000
_CONVERGED, _MAX_UPDATES, _CHECK_EVERY = 0.99999, 1000, 5
_BATCH = 40  # updates at a time; a multiple of _CHECK_EVERY, a divisor of _MAX_UPDATES, too few to underflow
_STEPS = (0, *range(1, _BATCH, _CHECK_EVERY))  # where the updates begin that lead to each look, and the last few
_WINDOW = 4 * _BATCH  # random words read for them, of which at least half are used


@lru_cache(maxsize=8)
def _stream(size: int) -> Any:
    """Return the first ``size`` 32-bit outputs of the generator."""
    import numpy

    bits = random.Random(_SEED).getrandbits(32 * size)
    return numpy.frombuffer(bits.to_bytes(4 * size, "little"), dtype="<u4")


class Sampler:
    """Trials over the n-grams of one text.

    ``features`` are the rows of the text's n-grams in the matrix ``probabilities`` (n-grams x languages).
    """

    def __init__(self, features: Sequence[int], probabilities: Any) -> None:
        self._features = features
        self._probabilities = probabilities
        self._position = 0
        self._spare: float | None = None

    def trial(self) -> Any:
        """Return the probability of each language after the next trial."""
        from numpy import multiply

        weight = (_SMOOTHING + self._gauss() * _SMOOTHING_SPREAD) / _BASE_FREQUENCY
        likelihood: Any = 1.0
        for _ in range(0, _MAX_UPDATES, _BATCH):
            draws, ends = self._draw()
            factors = self._probabilities[[self._features[draw] for draw in draws]] + weight
            products = multiply.reduceat(factors, _STEPS).cumprod(axis=0) * likelihood
            checked = products[:-1]
            sums = checked.sum(axis=1)
            converged = checked.max(axis=1) > _CONVERGED * sums
            if converged.any():
                first = int(converged.argmax())
                self._position += ends[first * _CHECK_EVERY]
                return checked[first] / sums[first]
            self._position += ends[-1]
            likelihood = products[-1] / products[-1].sum()
        draws, ends = self._draw()
        self._position += ends[0]
        final = likelihood * (self._probabilities[self._features[draws[0]]] + weight)
        return final / final.sum()

    def _draw(self) -> tuple[list[int], list[int]]:
        """Return the indices that ``choice`` would draw next, and how many random words it has used after each."""
        count = len(self._features)
        draws = self._words(_WINDOW) >> (32 - count.bit_length())
        used = (draws < count).nonzero()[0]
        while len(used) < _BATCH:
            draws = self._words(2 * len(draws)) >> (32 - count.bit_length())
            used = (draws < count).nonzero()[0]
        used = used[:_BATCH]
        return draws[used].tolist(), (used + 1).tolist()

    def _words(self, count: int) -> Any:
        end = self._position + count
        return _stream(1 << max(12, end.bit_length()))[self._position : end]

    def _gauss(self) -> float:
        """Return what ``gauss(0, 1)`` would: two uniform numbers make two normal ones (Box and Muller)."""
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        a, b, c, d = self._words(4).tolist()
        self._position += 4
        angle, radius = 2 * pi * _uniform(a, b), sqrt(-2 * log(1 - _uniform(c, d)))
        self._spare = sin(angle) * radius
        return cos(angle) * radius


def _uniform(high: int, low: int) -> float:
    """Make a number in [0, 1) of 53 random bits."""
    return ((high >> 5) * 67108864 + (low >> 6)) / 9007199254740992

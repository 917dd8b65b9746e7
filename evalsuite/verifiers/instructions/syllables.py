"""Count the syllables of an English word.

With the package ``syllapy`` installed its list of irregular words is used, as IFBench does; without it only the rule:
groups of vowels, less a silent ``e`` at the end. :func:`source` says which.
"""

from __future__ import annotations

import csv
import string
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

__all__ = ["count_syllables", "source"]

_VOWELS = frozenset("aeiouy")


def source() -> str:
    """Return where irregular words come from."""
    return "syllapy" if _irregular() else "built-in"


@lru_cache(maxsize=1)
def _irregular() -> Mapping[str, int]:
    package = find_spec("syllapy")
    path = Path(package.origin).parent / "data.csv" if package and package.origin else None
    if path is None or not path.is_file():
        return MappingProxyType({})
    with path.open(encoding="utf-8", newline="") as file:
        return MappingProxyType({row[0]: int(row[1]) for row in csv.reader(file) if len(row) > 1})


@lru_cache(maxsize=1 << 16)
def count_syllables(word: str) -> int:
    """Return the number of syllables; 0 for nothing and for words with digits."""
    word = word.strip().lower().strip(string.punctuation)
    if not word or any(map(str.isdecimal, word)):
        return 0
    known = _irregular().get(word)
    if known is not None:
        return known
    first, hyphen, rest = word.partition("-")
    if first and hyphen and rest:
        parts = count_syllables(first), count_syllables(rest)
        return sum(parts) if all(parts) else 0
    return _by_rule(word)


def _by_rule(word: str) -> int:
    groups = sum(letter in _VOWELS and before not in _VOWELS for before, letter in pairwise(f" {word}"))
    silent = word.endswith("e")
    sounded = len(word) > 2 and word.endswith("le") and word[-3] not in _VOWELS
    return groups - silent + sounded or 1

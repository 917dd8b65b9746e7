"""Make up texts with a wanted overlap of character trigrams with a reference text (IFBench's ``ratio:overlap``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from evalsuite.verifiers.instructions.constraint import Constraint
from evalsuite.verifiers.instructions.counts import Overlap
from evalsuite.verifiers.instructions.response import Response
from evalsuite.verifiers.instructions.sentence_patterns import KeywordInSentence
from evalsuite.verifiers.instructions.wording import ConsonantClusters

__all__ = ["overlapping"]

_MOST_ADDED = 4000
_FIRST_FOREIGN = 0x4E00  # unified ideographs: every new character makes new trigrams


def overlapping(constraints: Sequence[Constraint]) -> Iterator[str]:
    """Yield texts that keep the wanted overlap, if one of ``constraints`` asks for it, beside some of the others."""
    wanted = next((c for c in constraints if isinstance(c, Overlap)), None)
    if wanted is None:
        return
    if any(isinstance(c, ConsonantClusters) for c in constraints):
        words = [word for word in wanted.reference_text.split() if ConsonantClusters().holds(Response(word))]
        yield from _diluted(" ".join(words), wanted, (f" {''.join(word)}" for word in product("zxqjkvwfgbp", repeat=4)))
    head = next((_sentences(c) for c in constraints if isinstance(c, KeywordInSentence)), "")
    foreign = map(chr, range(_FIRST_FOREIGN, _FIRST_FOREIGN + _MOST_ADDED))
    excerpt = wanted.reference_text[: int(4 * wanted.percentage) + 20]  # a small overlap needs little of it
    yield from _diluted(head + excerpt, wanted, foreign)


def _sentences(constraint: KeywordInSentence) -> str:
    return "Xx. " * (constraint.N - 1) + f"Xx {constraint.word}. "


def _diluted(text: str, wanted: Overlap, additions: Iterator[str]) -> Iterator[str]:
    """Yield ``text`` with as many ``additions`` as bring the overlap down to what is wanted, if it is above."""
    while not wanted.holds(Response(text)):
        addition = next(additions, None)
        if addition is None:
            return
        text += addition
    yield text

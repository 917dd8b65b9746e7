"""Split text into words as NLTK's ``word_tokenize`` does (the Penn Treebank rules), without NLTK.

The rules look at most one character past a run of non-space characters, but for the period that ends a sentence. So
every run ("chunk") is split on its own, and the result is remembered. A quotation mark that begins a line is taken for
an opening one, which NLTK does only after a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import MappingProxyType

__all__ = ["count_capital_words", "tokenize"]

_CLOSING = r"""(?:[\])}>\u00bb\u201d\u2019 ]|(?<![ (\[{<])"|(?<![ (\[{<])''|'(?!'))"""
_FINAL_PERIOD = re.compile(rf"(?<=[^.])\.(?={_CLOSING}*+\s*$)")
_CLITIC_STEMS = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})
_CLOSERS = r"""[)\]}>*;?!"@#$%&\u00bb\u201d\u2019]"""
#: Chunks that come apart by inspection: a word or number, perhaps with a clitic, between marks that stand alone.
_SIMPLE = re.compile(
    r"""(?P<opening>[(\[{<*;?!"@#$%&\u00ab\u201c\u2018\u201e]*)"""
    r"(?P<core>[A-Za-z0-9]+|[0-9]+(?:[.,][0-9]+)+|[A-Za-z]+?(?=n't|'))(?P<clitic>n't|'(?:[smd]|ll|re|ve))?"
    rf"(?P<closing>{_CLOSERS}*[,:]?{_CLOSERS}*)"
)
_OPENING_QUOTE = re.compile(r'(?:^|(?<=[(\[{<\u00ab\u201c\u2018\u201e]))"')
_TREEBANK_QUOTES = MappingProxyType({"`": "``", '"': "''"})
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"([\u00ab\u201c\u2018\u201e]|`+)", r" \1 "),
        (r'^ "', r" `` "),
        (r"``", r" `` "),
        (r"([ (\[{<])(?:\"|'{2})", r"\1 `` "),
        (r"(?i)(?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", r"' "),
        (r"([:,])([^\d])", r" \1 \2"),
        (r"(\.{2,}|[;@#$%&]|[\u2012-\u2015]|[?!])", r" \1 "),
        (r"([^'])' ", r"\1 ' "),
        (r"([*\]\[(){}<>])", r" \1 "),
        (r"--", " -- "),
        (r"([\u00bb\u201d\u2019])", r" \1 "),
        (r"''|\"", r" '' "),
        (r" +", " "),
        (r"([^' ])('[sSmMdD]|') ", r"\1 \2 "),
        (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
        (r"(?i)\b(can)(not)\b", r" \1 \2 "),
        (r"(?i)\b(d)('ye)\b", r" \1 \2 "),
        (r"(?i)\b(gim|lem)(me)\b", r" \1 \2 "),
        (r"(?i)\b(gon)(na)\b", r" \1 \2 "),
        (r"(?i)\b(got)(ta)\b", r" \1 \2 "),
        (r"(?i)\b(more)('n)\b", r" \1 \2 "),
        (r"(?i)\b(wan)(na)(?=\s)", r" \1 \2 "),
        (r"(?i) ('t)(is|was)\b", r" \1 \2 "),
    )
)


def tokenize(sentences: Iterable[str]) -> Iterator[str]:
    """Yield the words and punctuation marks of ``sentences`` in order."""
    for sentence in sentences:
        for chunk in _FINAL_PERIOD.sub(" . ", sentence).split():
            if chunk.isalpha() and chunk.lower() not in _CLITIC_STEMS:
                yield chunk
            else:
                yield from _split(chunk)


def count_capital_words(text: str) -> int:
    """Return how many tokens of ``text`` have capital letters only; where sentences end makes no difference to them."""
    count = 0
    for chunk in text.split():
        if chunk != chunk.lower():
            if chunk.isalpha() and chunk.lower() not in _CLITIC_STEMS:
                count += chunk.isupper()
            else:
                count += sum(map(str.isupper, _split(chunk)))
    return count


@lru_cache(maxsize=1 << 16)
def _split(chunk: str) -> tuple[str, ...]:
    simple = _SIMPLE.fullmatch(chunk)
    if simple and simple["core"].lower() not in _CLITIC_STEMS:
        opening, core, clitic, closing = simple.groups(default="")
        parts = (*_OPENING_QUOTE.sub("`", opening), core, clitic, *closing)
        return tuple(_TREEBANK_QUOTES.get(part, part) for part in parts if part)
    text = f" {chunk} "
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return tuple(text.split())

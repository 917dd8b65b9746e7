"""Does a text begin with a verb?

With NLTK's English perceptron tagger on the machine (``python -m nltk.downloader averaged_perceptron_tagger_eng``) its
weights decide, as in IFBench; only the first word is tagged, which needs no more than the two words after it. Without
them a small own list of verbs decides, and inflections of those. :func:`source` says which.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evalsuite.verifiers.instructions.punkt_tables import find_nltk_data

__all__ = ["begins_with_verb", "source"]

_NAME = "averaged_perceptron_tagger_eng"
_START, _START_2, _END = "-START-", "-START2-", ("-END-", "-END2-")

_COMMON_VERBS = """
    accept achieve act add adjust admit adopt advise agree aim allow analyze analyse answer apply approach arrange ask
    assess assign assume avoid bake be become begin believe boil break bring build buy calculate call can carry check
    choose chop cite clean close collect combine come compare compose complete compute conclude confirm connect consider
    contact continue convert cook copy count cover create cut decide define deliver describe design develop discover
    discuss divide do download draw drink drive eat embrace enable encourage engage enjoy ensure enter establish
    estimate evaluate examine expand explain explore express extend extract feel fill find finish fix focus follow
    forget form gather generate get give go grow guess handle have hear help hold identify imagine implement import
    improve include increase inform insert inspect install introduce invest invite join keep know learn leave let list
    listen look maintain make manage mark match may measure meet might mix monitor move must need note notice observe
    offer open organize paint pay perform pick place plan play pour prepare present print produce promote protect
    provide pull push put reach read recall receive recognize recommend reduce reflect remember remove repeat replace
    reply report request research respond return review rewrite run save say search see seek select sell send set share
    should show simplify sing sit skip sort speak spend split start state stay step stir stop store strive study submit
    suggest summarize support take talk teach tell test think translate travel treat try turn understand update use
    utilize verify view visit wait walk want watch wear will work would write
"""
_VERBS = frozenset(_COMMON_VERBS.split())


@dataclass(frozen=True)
class _Tagger:
    weights: Mapping[str, Mapping[str, float]]
    fixed: Mapping[str, str]
    tags: Sequence[str]


def source() -> str:
    """Return what decides."""
    return "built-in" if _tagger() is None else "nltk-perceptron"


def begins_with_verb(tokens: Sequence[str]) -> bool:
    """Tell whether the first of ``tokens`` is a verb; only the first three are looked at."""
    if not tokens:
        return False
    tagger = _tagger()
    return _looks_like_verb(tokens[0].lower()) if tagger is None else "VB" in _first_tag(tokens, tagger)


@lru_cache(maxsize=1)
def _tagger() -> _Tagger | None:
    folder = find_nltk_data(f"taggers/{_NAME}")
    if folder is None or not (folder / f"{_NAME}.weights.json").is_file():
        return None
    weights, fixed, tags = (
        json.loads((folder / f"{_NAME}.{part}.json").read_text(encoding="utf-8"))
        for part in ("weights", "tagdict", "classes")
    )
    return _Tagger(weights, fixed, tuple(tags))


def _first_tag(tokens: Sequence[str], tagger: _Tagger) -> str:
    fixed = tagger.fixed.get(tokens[0])
    if fixed:
        return fixed
    scores: dict[str, float] = defaultdict(float)
    for feature in _features(tokens):
        for tag, weight in tagger.weights.get(feature, {}).items():
            scores[tag] += weight
    return max(tagger.tags, key=lambda tag: (scores[tag], tag))


def _features(tokens: Sequence[str]) -> Iterator[str]:
    """Yield what the perceptron looks at for the first word of a text (features of Honnibal's tagger)."""
    word = _normal(tokens[0])
    next_word, second_next = (*map(_normal, tokens[1:3]), *_END)[:2]
    yield "bias"
    yield f"i suffix {tokens[0][-3:]}"
    yield f"i pref1 {tokens[0][0]}"
    yield f"i-1 tag {_START}"
    yield f"i-2 tag {_START_2}"
    yield f"i tag+i-2 tag {_START} {_START_2}"
    yield f"i word {word}"
    yield f"i-1 tag+i word {_START} {word}"
    yield f"i-1 word {_START_2}"
    yield f"i-1 suffix {_START_2[-3:]}"
    yield f"i-2 word {_START}"
    yield f"i+1 word {next_word}"
    yield f"i+1 suffix {next_word[-3:]}"
    yield f"i+2 word {second_next}"


def _normal(word: str) -> str:
    if "-" in word and word[0] != "-":
        return "!HYPHEN"
    if word.isdigit() and len(word) == 4:
        return "!YEAR"
    return "!DIGITS" if word[0].isdigit() else word.lower()


def _looks_like_verb(word: str) -> bool:
    if word in _VERBS:
        return True
    for ending, restored in (("ies", "y"), ("ied", "y"), ("es", ""), ("s", ""), ("ed", ""), ("d", ""), ("ing", "")):
        stem = word.removesuffix(ending) + restored
        if word.endswith(ending) and (stem in _VERBS or stem + "e" in _VERBS or _undoubled(stem) in _VERBS):
            return True
    return False


def _undoubled(stem: str) -> str:
    return stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else stem

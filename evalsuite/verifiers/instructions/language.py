"""The language of a text, as langdetect with seed 0 would name it, at a fraction of the cost.

langdetect (a Naive Bayes model over character n-grams, sampled at random) is what the published scores were made
with, so its installed profiles and character normalisation are used here. The sampling is replayed with a generator
of our own, which makes the answer a function of the text alone and leaves langdetect's global seed as the user set
it; trials stop as soon as the remaining ones cannot change the winner.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["detect_language"]

_SEED = 0
_TRIALS = 7
_MAX_CHARACTERS = 10_000
_SMOOTHING, _SMOOTHING_SPREAD, _BASE_FREQUENCY = 0.5, 0.05, 10_000
_CONVERGED, _MAX_UPDATES, _CHECK_EVERY = 0.99999, 1000, 5
_LEAST_PROBABILITY = 0.1

_SPACES = re.compile(" {2,}")
_LATIN = re.compile("[A-z]")
_NOT_LATIN = re.compile("[\u0300-\u1dff\u1f00-\U0010ffff]")


class _Normalised(dict[int, str]):
    """langdetect's normal form of each character, worked out once per character (a ``str.translate`` table)."""

    def __missing__(self, code: int) -> str:
        from langdetect.utils.ngram import NGram

        normal: str = NGram.normalize(chr(code))
        self[code] = normal
        return normal


@dataclass(frozen=True)
class _Model:
    languages: Sequence[str]
    probabilities: Mapping[str, Sequence[float]]
    normalised: _Normalised


@lru_cache(maxsize=1)
def _model() -> _Model:
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    profiles = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if not path.name.startswith("."))
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles])
    return _Model(tuple(factory.langlist), factory.word_lang_prob_map, _Normalised())


def detect_language(text: str) -> str | None:
    """Return langdetect's code of the language such as ``"en"`` or ``"unknown"``, ``None`` for text without letters."""
    model = _model()
    features = _features(_cleaned(text).translate(model.normalised), model)
    return _most_likely(features, model) if features else None


def _cleaned(text: str) -> str:
    """Drop links and addresses, cut to size, and drop Latin letters from a text in another script."""
    from langdetect.detector import Detector
    from langdetect.utils.ngram import NGram

    text = Detector.URL_RE.sub(" ", text)
    if "@" in text:
        text = Detector.MAIL_RE.sub(" ", text)
    text = _SPACES.sub(" ", NGram.normalize_vi(text)[:_MAX_CHARACTERS])
    if not text.isascii() and 2 * len(_LATIN.findall(text)) < len(_NOT_LATIN.findall(text)):
        text = _LATIN.sub("", text)
    return text


def _features(text: str, model: _Model) -> list[Sequence[float]]:
    """Return the language probabilities of every known 1- to 3-gram within a word, in the order of the text."""
    known = model.probabilities
    features = []
    before, last = "", " "
    for character in text:
        if last == " " == character or (character.isupper() and last.isupper()):
            before, last = last, character
            continue
        pair = last + character
        if character != " " and character in known:
            features.append(known[character])
        if pair in known:
            features.append(known[pair])
        if last != " " and before + pair in known:
            features.append(known[before + pair])
        before, last = last, character
    return features


def _most_likely(features: list[Sequence[float]], model: _Model) -> str:
    generator = random.Random(_SEED)
    totals = [0.0] * len(model.languages)
    for trial in range(1, _TRIALS + 1):
        probabilities = _one_trial(features, generator, len(totals))
        totals = [total + probability / _TRIALS for total, probability in zip(totals, probabilities, strict=True)]
        second, first = sorted(totals)[-2:]
        if first - second > (_TRIALS - trial) / _TRIALS and first > _LEAST_PROBABILITY:
            break
    best = max(totals)
    return model.languages[totals.index(best)] if best > _LEAST_PROBABILITY else "unknown"


def _one_trial(features: list[Sequence[float]], generator: random.Random, languages: int) -> list[float]:
    weight = (_SMOOTHING + generator.gauss(0.0, 1.0) * _SMOOTHING_SPREAD) / _BASE_FREQUENCY
    probabilities = [1.0 / languages] * languages
    for update in range(_MAX_UPDATES + 1):
        feature = generator.choice(features)
        probabilities = [p * (weight + f) for p, f in zip(probabilities, feature, strict=True)]
        if update % _CHECK_EVERY == 0:
            total = sum(probabilities)
            probabilities = [p / total for p in probabilities]
            if max(probabilities) > _CONVERGED:
                break
    return probabilities

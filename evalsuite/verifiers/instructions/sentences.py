"""Split text into sentences as Punkt does (Kiss and Strunk 2006, with NLTK's English rules).

Every ``.``, ``?`` or ``!`` that is followed by white space or closing punctuation is a candidate. The words around it
decide: an abbreviation, an initial, a number or an ellipsis may carry a period without ending a sentence. Only the
neighbourhood of a candidate is tokenised, and plain words take a short cut, so the cost is a small multiple of one
regex scan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from evalsuite.verifiers.instructions.punkt_tables import Tables
from evalsuite.verifiers.instructions.words import split_words

__all__ = ["split_sentences"]

_CLOSING = r"""[)";}\]*:@'({\[\u2018\u2019\u201c\u201d\xab\xbb?!]"""
_SPACE, _INK = r"[^\S\x1c-\x1f]", r"[\S\x1c-\x1f]"  # as Unicode has it; ``\s`` adds four control characters
_RUN = rf"(?:-{{2,}}|\.{{2,}}|(?:\.{_SPACE}){{2,}}\.)"
_CANDIDATE = re.compile(rf"[.?!](?=(?P<after>{_CLOSING}|{_SPACE}+(?P<next>{_INK}+)))")
_WORD = re.compile(
    rf"{_RUN}|(?=[^(\"`{{\[:;&\#*@)}}\]\-,]){_INK}+?"
    rf"(?={_SPACE}|$|{_CLOSING}|{_RUN}|,(?=$|{_SPACE}|{_CLOSING}|{_RUN}))|{_INK}"
)
_QUOTES = "\"')]}\u2018\u2019\u201c\u201d\xab\xbb"
_TRAILING_QUOTES = re.compile(rf"[{re.escape(_QUOTES)}]+?(?:{_SPACE}+|(?=--)|$)", re.MULTILINE)
_NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*\.?")  # any decimal digit, as in Punkt
_ELLIPSIS = re.compile(r"\.\.+")

# Bits of Tables.orthography: the word was seen at the beginning, inside, or at an unknown place of a sentence.
_BEGIN_UPPER, _INSIDE_UPPER, _UNKNOWN_UPPER, _BEGIN_LOWER, _INSIDE_LOWER, _UNKNOWN_LOWER = (1 << n for n in range(1, 7))
_ANY_UPPER = _BEGIN_UPPER | _INSIDE_UPPER | _UNKNOWN_UPPER
_ANY_LOWER = _BEGIN_LOWER | _INSIDE_LOWER | _UNKNOWN_LOWER


@dataclass(slots=True)
class _Token:
    text: str
    type: str
    ends_sentence: bool = False
    abbreviation: bool = False
    ellipsis: bool = False

    @property
    def type_without_period(self) -> str:
        return self.type[:-1] if len(self.type) > 1 and self.type.endswith(".") else self.type


def split_sentences(text: str, tables: Tables) -> Iterator[str]:
    """Yield the sentences of ``text`` in order, without the white space between them."""
    return (text[start:stop] for start, stop in _with_trailing_quotes(text, _spans(text, tables)))


def _spans(text: str, tables: Tables) -> Iterator[tuple[int, int]]:
    begin = 0
    for candidate, word in _candidates(text):
        following = candidate.start("next")
        if _breaks(word, candidate, following >= 0, tables):
            stop = candidate.end()
            yield begin, stop
            begin = stop if following < 0 else following
    yield begin, len(text.rstrip())


def _candidates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield candidates with the word before each; of several in one word only the last, as Punkt has it."""
    spaces = [space for space in " \t\n\r\v\f" if space in text]
    previous: re.Match[str] | None = None
    word_start, word_stop = 0, 0
    for candidate in _CANDIDATE.finditer(text):
        stop = candidate.start()
        last_space = -1
        for space in spaces:
            last_space = max(last_space, text.rfind(space, word_stop if last_space < 0 else last_space, stop))
        if previous is not None and (last_space > word_stop or word_start == word_stop):
            yield previous, text[word_start:word_stop]
        if last_space > word_stop:
            word_start = last_space + 1
        previous, word_stop = candidate, stop
    if previous is not None:
        yield previous, text[word_start:word_stop]


def _breaks(word: str, candidate: re.Match[str], before_space: bool, tables: Tables) -> bool:
    """Tell whether a sentence ends at ``candidate``, which follows ``word``."""
    mark = candidate[0]
    plain = before_space and len(word) > 1 and word.isalpha()
    if plain and (mark != "." or word.lower() not in tables.never_plain):
        return True
    return _contains_break(word + mark + candidate["after"], tables)


@lru_cache(maxsize=1 << 14)
def _contains_break(context: str, tables: Tables) -> bool:
    return any(token.ends_sentence for token in _annotated(context, tables)[:-1])


def _annotated(context: str, tables: Tables) -> list[_Token]:
    words = [word for line in context.split("\n") if line.strip() for word in _WORD.findall(line)]
    tokens = [_first_pass(word, tables) for word in words]
    for token, following in pairwise(tokens):
        if token.text.endswith("."):
            _second_pass(token, following, tables)
    return tokens


def _first_pass(word: str, tables: Tables) -> _Token:
    lowered = word.lower()
    token = _Token(word, "##number##" if _NUMBER.fullmatch(lowered) else lowered)
    if word in {".", "?", "!"}:
        token.ends_sentence = True
    elif _ELLIPSIS.fullmatch(word):
        token.ellipsis = True
    elif word.endswith(".") and not word.endswith(".."):
        stem = lowered[:-1]
        token.abbreviation = stem in tables.abbreviations or stem.rpartition("-")[2] in tables.abbreviations
        token.ends_sentence = not token.abbreviation
    return token


def _second_pass(token: _Token, following: _Token, tables: Tables) -> None:
    kind = token.type_without_period
    next_kind = following.type_without_period if following.ends_sentence else following.type
    is_initial = len(token.text) == 2 and bool(split_words(token.text)) and not token.text[0].isdecimal()
    if (kind, next_kind) in tables.collocations:
        token.ends_sentence, token.abbreviation = False, True
        return
    if not (token.abbreviation or token.ellipsis or is_initial or kind == "##number##"):
        return
    starts = _starts_sentence(following, next_kind, tables)
    capital = following.text[0].isupper()
    if not is_initial and (token.abbreviation or token.ellipsis):
        token.ends_sentence = starts is True or (capital and next_kind in tables.sentence_starters)
    if is_initial or kind == "##number##":
        seen_lower = tables.orthography.get(next_kind, 0) & _ANY_LOWER
        if starts is False or (starts is None and is_initial and capital and not seen_lower):
            token.ends_sentence, token.abbreviation = False, True


def _starts_sentence(token: _Token, kind: str, tables: Tables) -> bool | None:
    """Judge from training whether ``token`` begins a sentence; ``None`` when the tables do not say."""
    if token.text in {";", ":", ",", ".", "!", "?"}:
        return False
    seen = tables.orthography.get(kind, 0)
    first = token.text[0]
    if first.isupper() and seen & _ANY_LOWER and not seen & _INSIDE_UPPER:
        return True
    if first.islower() and (seen & _ANY_UPPER or not seen & _BEGIN_LOWER):
        return False
    return None


def _with_trailing_quotes(text: str, spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Move closing quotes and brackets that begin a span to the end of the span before it."""
    shift = 0
    current = next(spans)
    for following in spans:
        start, stop = current[0] + shift, current[1]
        quoted = following[0] < following[1] and text[following[0]] in _QUOTES
        if quoted and (moved := _TRAILING_QUOTES.match(text, *following)):
            yield start, following[0] + len(moved[0].rstrip())
            shift = moved.end() - following[0]
        else:
            shift = 0
            if start < stop:
                yield start, stop
        current = following
    if current[0] + shift < current[1]:
        yield current[0] + shift, current[1]

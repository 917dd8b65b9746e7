"""Sentences, tokens, words, languages and initial verbs as NLTK and langdetect find them."""

from __future__ import annotations

import random
import re
from string import punctuation

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.errors import InvalidInput
from evalsuite.verifiers.instructions.constraint import Relation
from evalsuite.verifiers.instructions.counts import Overlap
from evalsuite.verifiers.instructions.keywords import ForbiddenWords, Frequency
from evalsuite.verifiers.instructions.language import detect_language
from evalsuite.verifiers.instructions.phrases import PHRASES
from evalsuite.verifiers.instructions.punkt_tables import BUILT_IN, Tables, installed_tables
from evalsuite.verifiers.instructions.response import Response, loose_variants
from evalsuite.verifiers.instructions.sentences import split_sentences
from evalsuite.verifiers.instructions.syllables import count_syllables
from evalsuite.verifiers.instructions.verbs import begins_with_verb
from evalsuite.verifiers.instructions.words import split_words

#: Tables that exercise every rule of Punkt, unlike the built-in ones.
RICH = Tables(
    source="test",
    abbreviations=BUILT_IN.abbreviations,
    collocations=frozenset({("##number##", "may"), ("i", "see"), ("j", "bach")}),
    sentence_starters=BUILT_IN.sentence_starters,
    orthography={"see": 0b1010010, "bach": 0b100, "now": 0b100010, "it": 0b111110, "york": 0b1100},
)
PIECES = [
    *[
        ". ",
        ".",
        "? ",
        "! ",
        "...",
        ".\n",
        '." ',
        '"',
        "'",
        ") ",
        " (",
        "--",
        "-",
        ", ",
        ": ",
        "*",
        "\u201d ",
        "\u00a0",
    ],
    *[
        "Mr. ",
        "e.g. ",
        "U.S. ",
        "J. ",
        "I. ",
        "5. ",
        "1.5 ",
        "May ",
        "see ",
        "Bach ",
        "now ",
        "York",
        "The ",
        "it",
        "it. ",
    ],
    *["cannot ", "'tis ", "gonna ", "don't ", "I'LL ", "dogs' ", "a,,b", "$5 ", "C# ", "''", "``", "d'ye ", "more'n "],
]
texts_of_pieces = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
#: What ``re`` and Unicode do not agree on: digits that are no letters, and controls that are no white space.
disputed_texts = st.lists(st.sampled_from([*PIECES, "\u00bd.", "\u00b2. ", "\x1c"]), max_size=12).map("".join)
with_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.mark.parametrize("tables", [BUILT_IN, RICH], ids=["built-in", "rich"])
def test_sentences_of_real_responses_are_punkts(punkt, responses, tables):
    tokenizer = punkt(tables)
    for text in responses:
        assert list(split_sentences(text, tables)) == tokenizer.tokenize(text)


@given(text=texts_of_pieces | disputed_texts | st.text(max_size=60))
@with_fixtures
def test_sentences_of_any_text_are_punkts(punkt, text):
    assert list(split_sentences(text, RICH)) == punkt(RICH).tokenize(text)


def _without_kind_of_quotes(tokens):
    return ["''" if token == "``" else token for token in tokens]


def test_tokens_of_real_responses_are_nltks(nltk, responses):
    for text in responses:
        assert _without_kind_of_quotes(Response(text).tokens) == _without_kind_of_quotes(nltk.word_tokenize(text))


@given(text=texts_of_pieces)
@with_fixtures
def test_tokens_of_any_text_are_nltks(nltk, text):
    assert _without_kind_of_quotes(Response(text).tokens) == _without_kind_of_quotes(nltk.word_tokenize(text))


@pytest.mark.parametrize("text", ['short it "Dive in" now', '("a" b', '\u201c"a" "b"\u201d', 'say ["so"]'])
def test_quotation_marks_open_and_close_as_in_nltk(nltk, text):
    assert list(Response(text).tokens) == nltk.word_tokenize(text)


@given(text=texts_of_pieces | st.text(max_size=60))
def test_capital_words_can_be_counted_without_sentences(text):
    response = Response(text)
    assert response.capital_words == sum(token.isupper() for token in response.tokens)


@pytest.mark.parametrize(
    ("text", "count"),
    [("one two_three 4", 3), ("हिन्दी भाषा", 2), ("1\u00bd cups", 2), ("\u00bd cup", 1), ("don't", 2), ("", 0)],
)
def test_words_are_unicodes(nltk, text, count):
    assert len(split_words(text)) == count == len(nltk.tokenize.RegexpTokenizer(r"\w+").tokenize(text))


@given(text=st.text(st.characters(codec="ascii") | st.sampled_from(" _'\n\u00e9\u2019"), max_size=40))
@with_fixtures
def test_words_of_any_latin_text_are_nltks(nltk, text):
    assert split_words(text) == nltk.tokenize.RegexpTokenizer(r"\w+").tokenize(text)


@given(text=st.text(st.characters(categories=["L", "P", "S", "Cs", "Z"]), max_size=40))
def test_punctuation_is_taken_out_of_any_text(text):
    assert Response(text).unpunctuated == "".join(character for character in text if character not in punctuation)


@given(
    keyword=st.text("isk K-'1", min_size=1, max_size=3).filter(str.strip),
    text=st.text("isISkK -'1\u0130\u0131\u017f\u212a\u00df\u00e9", max_size=12),
    times=st.integers(0, 3),
)
def test_plain_keywords_are_found_as_regular_expressions_find_them(keyword, text, times):
    found = len(re.findall(keyword.strip(), text, re.IGNORECASE))
    assert Frequency(keyword, times, Relation.AT_LEAST).holds(Response(text)) == (found >= times)
    found = bool(re.search(rf"\b{keyword}\b", text, re.IGNORECASE))
    assert ForbiddenWords((keyword,)).holds(Response(text)) == (not found)


@given(text=st.text("ab\U0001f600\ud800", max_size=12), reference=st.text("ab\U0001f600", min_size=1, max_size=9))
def test_overlap_counts_different_trigrams(text, reference):
    ours, theirs = ({given[n : n + 3] for n in range(len(given) - 2)} for given in (text, reference))
    percentage = 100 * len(ours & theirs) / len(ours) if ours else 0
    assert Overlap(reference, percentage).holds(Response(text)) == bool(ours)


def _reference_language(text):
    import langdetect

    try:
        return langdetect.detect(text)
    except langdetect.LangDetectException:
        return None


@pytest.fixture
def seeded(monkeypatch):
    from langdetect import DetectorFactory

    monkeypatch.setattr(DetectorFactory, "seed", 0)


def test_languages_are_langdetects_with_seed_0(seeded, responses):
    chance = random.Random(0)
    texts = [text[: chance.randrange(1, 400)] for text in responses[:150]] + [text.upper() for text in responses[:30]]
    texts += [*PHRASES.values(), "", "123", "a@b.com http://x.y", "Hello world", "\u4f60\u597d", "\u043f\u0440"]
    assert [detect_language(text) for text in texts] == [_reference_language(text) for text in texts]


@given(text=st.text(max_size=40))
@with_fixtures
def test_languages_of_any_text_are_langdetects(seeded, text):
    assert detect_language(text) == _reference_language(text)


def test_every_phrase_is_in_its_language():
    assert {code: detect_language(phrase) for code, phrase in PHRASES.items()} == {code: code for code in PHRASES}


def test_langdetects_global_seed_is_left_alone(monkeypatch):
    from langdetect import DetectorFactory

    monkeypatch.setattr(DetectorFactory, "seed", 1234)
    assert {detect_language("Hello world") for _ in range(20)} == {"en"}
    assert DetectorFactory.seed == 1234


def test_loose_variants_are_the_eight_of_the_benchmark():
    assert list(loose_variants("*a*\nb\nc")) == ["*a*\nb\nc", "a\nb\nc", "b\nc", "*a*\nb", "a\nb", "b"]
    assert list(loose_variants("one line")) == ["one line", ""]


@pytest.mark.parametrize(("word", "count"), [("cat", 1), ("table", 2), ("syllable", 3), ("self-made", 2), ("4th", 0)])
def test_syllables(word, count):
    assert count_syllables(word) == count


@pytest.mark.parametrize(("text", "verb"), [("Write it down", True), ("Consider this", True), ("The end", False)])
def test_initial_verbs(text, verb):
    assert begins_with_verb(Response(text).tokens) is verb


def test_tables_come_from_nltks_folders(monkeypatch, tmp_path):
    folder = tmp_path / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True)
    contents = {
        "abbrev_types.txt": "zz\n",
        "sent_starters.txt": "he\n",
        "collocations.tab": "j\tbach\n",
        "ortho_context.tab": "now\t34\n",
    }
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    tables = installed_tables.__wrapped__()
    assert tables.source == "nltk-punkt-english"
    assert tables.collocations == {("j", "bach")}
    assert tables.orthography == {"now": 34}
    assert len(list(split_sentences("Ask Zz. Smith. He knows.", tables))) == 2
    (folder / "ortho_context.tab").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InvalidInput, match="english are damaged: fetch or remove them"):
        installed_tables.__wrapped__()

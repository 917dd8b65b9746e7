"""Make up completions that satisfy the constraints of IFBench, for ``fake:gold`` and ``evalsuite check``.

Every kind of constraint has a few short texts that satisfy it and are harmless to the kinds it is combined with in the
benchmark. They are offered one by one, then joined in every order, then filled up to a wanted number of words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice, permutations, product
from types import MappingProxyType
from typing import Any

from evalsuite.verifiers.instructions import bullets, counts, repeating, sentence_patterns, shapes, wording
from evalsuite.verifiers.instructions.constraint import Constraint
from evalsuite.verifiers.instructions.gold_custom import CUSTOM
from evalsuite.verifiers.instructions.gold_overlap import overlapping
from evalsuite.verifiers.instructions.response import Response
from evalsuite.verifiers.instructions.word_lists import CONJUNCTIONS, PERSON_NAMES

__all__ = ["candidates"]

_MOST_JOINED = 4096


def candidates(constraints: Sequence[Constraint]) -> Iterator[str]:
    """Yield completions of which one is likely to satisfy all ``constraints``."""
    parts = [list(_texts(constraint)) for constraint in constraints]
    if not all(parts):
        return
    joined = (
        separator.join(order)
        for choice in product(*parts)
        for order in permutations(choice)
        for separator in (" ", "\n")
    )
    several = joined if len(parts) > 1 else iter(())
    for text in chain(*parts, overlapping(constraints), islice(several, _MOST_JOINED)):
        yield _filled(text, constraints)


def _texts(constraint: Constraint) -> Iterator[str]:
    for kind, write in _WRITERS.items():
        if isinstance(constraint, kind):
            yield from write(constraint)


def _filled(text: str, constraints: Sequence[Constraint]) -> str:
    wanted = max((c.min_words for c in constraints if isinstance(c, counts.WordCountRange)), default=0)
    return text + " more" * (wanted - len(Response(text).words))


def _distinct_words(count: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join(islice(map("".join, product(letters, repeat=3)), count))


def _keywords(wanted: Sequence[tuple[str, int]]) -> str:
    return " ".join(keyword for keyword, times in wanted for _ in range(times))


def _keyword_in_sentence(constraint: sentence_patterns.KeywordInSentence) -> Iterator[str]:
    for end in (".", " \U0001f600."):
        yield " ".join([f"More{end}"] * (constraint.N - 1) + [f"Now {constraint.word}{end}"])


def _after_verbs(text: str) -> Iterator[str]:
    yield text
    for verb in ("Meet", "Run", "Write", "Go", "Be", "Is", "Consider"):
        yield f"{verb} {text}"


def _options(constraint: shapes.Options) -> Iterator[str]:
    yield constraint.choices[0]
    yield f"{constraint.choices[0]}\n \nmore"  # one word a line, counting the blank one; loose mode drops the last


def _changed(constraint: repeating.RepeatChanged) -> Iterator[str]:
    first, *rest = constraint.prompt_to_repeat.split()
    yield " ".join(["Now" if first != "Now" else "Then", *rest])


def _at_position(constraint: wording.KeywordAtPosition) -> Iterator[str]:
    sentence = "More " + "more " * (constraint.m - 2) if constraint.m > 1 else ""
    yield "More. " * (constraint.n - 1) + f"{sentence}{constraint.keyword}."


def _names(constraint: counts.PersonNames) -> Iterator[str]:
    return _after_verbs(", ".join(sorted(PERSON_NAMES)[: constraint.N]) + ".")


Writer = Callable[[Any], Iterator[str]]


def _fixed(*texts: str) -> Writer:
    return lambda _: iter(texts)


_WRITERS: Mapping[type[Constraint], Writer] = MappingProxyType(
    {
        **{kind: _fixed(text) for kind, text in CUSTOM.items()},
        bullets.ItalicThesis: _fixed("<i>Bread is good</i> and warm"),
        bullets.SentencesThenBullets: _fixed("This is one. This is two.\n* red\n* blue"),
        bullets.SubBullets: _fixed("* Apples\n- Red"),
        counts.Conjunctions: lambda c: iter((" ".join(sorted(CONJUNCTIONS)[: c.small_n]),)),
        counts.Keywords: lambda c: iter((_keywords(c.wanted),)),
        counts.NthWordJapanese: lambda c: iter((" ".join(["日本"] * c.N),)),
        counts.Numbers: lambda c: iter((" ".join(map(str, range(1, c.N + 1))), _distinct_words(1))),
        counts.Overlap: lambda c: overlapping([c]),
        counts.PersonNames: _names,
        counts.Pronouns: lambda c: iter((" ".join(["it"] * max(1, c.N)),)),
        counts.Punctuation: _fixed("Well, yes; look: here. What?! Good! Really?"),
        counts.SameLengthSentences: _fixed("Red hen.\n Big cow.\n  Shy ant."),
        counts.SentenceBalance: _fixed("Strong birds sing. Strong birds sing? Strong birds sing!"),
        counts.SentenceTypes: _fixed("It is good. It was good. Is it good?"),
        counts.StopWords: _fixed("Apples"),
        counts.UniqueWords: lambda c: iter((_distinct_words(max(1, c.N)),)),
        counts.WordCountRange: lambda c: iter(("more" * (c.max_words > 0),)),
        repeating.RepeatChanged: _changed,
        repeating.RepeatOnly: _fixed(repeating.ONLY_SENTENCE),
        repeating.RepeatSpan: lambda c: iter((c.span,)),
        sentence_patterns.AlliterationIncrement: _fixed("More bread"),
        sentence_patterns.KeywordInSentence: _keyword_in_sentence,
        sentence_patterns.WordIncrement: _fixed("More bread"),
        shapes.EmojiAtSentenceEnds: _fixed("Good day \U0001f600."),
        shapes.IndentedLines: _fixed("one\n two\n  three"),
        shapes.ListMarkers: lambda c: iter((f"{c.sep} apple\n{c.sep} bear",)),
        shapes.NestedParentheses: _fixed("(a [b {c (d [e])}])"),
        shapes.NestedQuotes: _fixed('"a \'b "c" b\' a" \U0001f600.'),
        shapes.NewLineWords: _fixed("one\ntwo\nthree"),
        shapes.NoWhitespace: _fixed("Done"),
        shapes.Options: _options,
        shapes.OutputTemplate: _fixed(" ".join(f"{label} bread" for label in shapes.TEMPLATE)),
        shapes.QuotesExplained: _fixed('"Bread" is the word for a baked food'),
        shapes.TitleCase: _fixed("Good Bread Is Warm"),
        wording.AlphabetLoop: _fixed("a b c"),
        wording.AlternatingSyllables: _fixed("Strong"),
        wording.ConsonantClusters: _fixed("Strong"),
        wording.KeywordAtPosition: _at_position,
        wording.KeywordSecondAndSecondLast: lambda c: iter((f"A {c.keyword} and a {c.keyword} end.",)),
        wording.LastWordFirstNext: _fixed("We like cats. Cats like milk."),
        wording.NoConsecutiveInitials: _fixed("apple bear"),
        wording.Palindromes: _fixed("level civic radar refer rotor kayak madam tenet solos stats"),
        wording.ParagraphsBeginAsTheyEnd: _fixed("bread is bread"),
        wording.PrimeLengths: _fixed("It is fun"),
        wording.Repeats: lambda c: iter(("Bread" * (c.small_n > 0),)),
        wording.StartsWithVerb: lambda _: _after_verbs("home now."),
        wording.ThreeVowels: _fixed("It is"),
    }
)

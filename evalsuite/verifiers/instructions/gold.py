"""Make up completions that satisfy the constraints of IFEval, for ``fake:gold`` and ``evalsuite check``.

A completion is built from parts: the repeated request, a title, a body of filler sentences, one line for each kind of
thing that must occur, an ending, and a wrapping. Where a target cannot be computed exactly (how many sentences the
splitter sees) several sizes are offered; the caller takes the first that its own checkers accept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice, product
from typing import TypeVar

from evalsuite.verifiers.instructions import keywords, layout, lengths, style
from evalsuite.verifiers.instructions.constraint import Constraint, Relation
from evalsuite.verifiers.instructions.phrases import ENGLISH, PHRASES

__all__ = ["candidates"]

Kind = TypeVar("Kind", bound=Constraint)


@dataclass(frozen=True)
class _Plan:
    """The sizes that are tried: filler words in all, and filler sentences they are spread over."""

    words: int
    sentences: int


def candidates(constraints: Sequence[Constraint]) -> Iterator[str]:
    """Yield completions of which one is likely to satisfy all ``constraints``, most likely first."""
    brief = _Brief(tuple(constraints))
    if brief.all(layout.ConstrainedResponse):
        yield layout.CONSTRAINED_RESPONSES[0]
    for plan in _plans(brief):
        yield brief.compose(plan)


def _plans(brief: _Brief) -> Iterator[_Plan]:
    least_words = max(
        (c.num_words for c in brief.all(lengths.NumberOfWords) if c.relation is Relation.AT_LEAST), default=0
    )
    needed = [c for c in brief.all(lengths.NumberOfSentences) if c.relation is Relation.AT_LEAST]
    least_sentences = max((c.num_sentences for c in needed), default=0)
    for sentences, words in product((0, 1, 3), (0, 12, 60, 240)):
        yield _Plan(max(least_words, words), max(1, least_sentences) + sentences)
    yield _Plan(0, 0)


@dataclass(frozen=True)
class _Brief:
    """The constraints, and how to write to each."""

    constraints: tuple[Constraint, ...]

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Return the constraints of one kind."""
        return [constraint for constraint in self.constraints if isinstance(constraint, kind)]

    def compose(self, plan: _Plan) -> str:
        """Write the completion of one plan."""
        opening = [c.prompt_to_repeat for c in self.all(layout.RepeatPrompt)] + [
            "<<Title>>" for _ in self.all(layout.Title)
        ]
        body = self._body(plan)
        extras = [line for line in self._extras() if line]
        ending = [c.postscript_marker + " more" for c in self.all(layout.Postscript)]
        ending += [c.end_phrase for c in self.all(layout.EndsWith)]
        text = self._arranged(opening, body, extras, ending)
        if self.all(layout.TwoResponses):
            text += f"\n******\n{self._second(plan)}"
        return self._wrapped(self._cased(text))

    def _arranged(self, opening: list[str], body: list[str], extras: list[str], ending: list[str]) -> str:
        for paragraphs in self.all(lengths.FirstWordOfParagraph):
            parts = _shared_out(body + extras, paragraphs.num_paragraphs)
            parts[paragraphs.nth_paragraph - 1] = f"{paragraphs.first_word} {parts[paragraphs.nth_paragraph - 1]}"
            parts[-1] = "\n".join([parts[-1], *ending])
            return "\n\n".join(parts)
        for paragraphs_ in self.all(lengths.NumberOfParagraphs):
            parts = _shared_out(body, paragraphs_.num_paragraphs)
            parts[-1] = "\n".join([parts[-1], *extras, *ending])
            parts[0] = "\n".join([*opening, parts[0]])
            return "\n***\n".join(parts)
        return "\n".join([*opening, *body, *extras, *ending])

    def _body(self, plan: _Plan) -> list[str]:
        words = self._filler()
        if plan.sentences == 0:
            return []
        size = max(plan.words, 6 * plan.sentences)
        stream = list(islice(cycle(words), size))
        share = size // plan.sentences
        cuts = [stream[i * share : (i + 1) * share if i + 1 < plan.sentences else None] for i in range(plan.sentences)]
        return [" ".join(cut).capitalize() + "." for cut in cuts]

    def _second(self, plan: _Plan) -> str:
        return "\n".join(self._body(replace(plan, sentences=plan.sentences + 1)))

    def _filler(self) -> list[str]:
        """Return words that break none of the limits on words and letters."""
        language = next((c.language for c in self.all(style.InLanguage)), "en")
        banned = [word.lower() for c in self.all(keywords.ForbiddenWords) for word in c.forbidden_words]
        rare = [c.keyword.strip().lower() for c in self.all(keywords.Frequency) if c.relation is Relation.LESS_THAN]
        letters = [c.letter.lower() for c in self.all(keywords.LetterFrequency) if c.let_relation is Relation.LESS_THAN]
        stream = PHRASES.get(language, ENGLISH).split()
        kept = [w for w in stream if w.lower() not in banned and not any(part in w.lower() for part in rare + letters)]
        return kept or ["word"]

    def _extras(self) -> Iterator[str]:
        yield " ".join(word for c in self.all(keywords.Existence) for word in c.keywords)
        for often in self.all(keywords.Frequency):
            if often.relation is Relation.AT_LEAST:
                yield " ".join([often.keyword.strip()] * often.frequency)
        for letters in self.all(keywords.LetterFrequency):
            if letters.let_relation is Relation.AT_LEAST:
                yield "letters " + letters.letter * letters.let_frequency
        yield from self._marks()

    def _marks(self) -> Iterator[str]:
        capitals = [
            c.capital_frequency for c in self.all(style.CapitalWords) if c.capital_relation is Relation.AT_LEAST
        ]
        yield " ".join(["GOOD"] * max(capitals, default=0))
        yield " ".join("[name]" for c in self.all(layout.NumberOfPlaceholders) for _ in range(c.num_placeholders))
        for highlights in self.all(layout.NumberOfHighlights):
            yield "see " + " and ".join(["*this*"] * highlights.num_highlights)
        for sections in self.all(layout.NumberOfSections):
            yield "\n".join(f"{sections.section_spliter} {n}\nmore" for n in range(1, sections.num_sections + 1))
        for bullets in self.all(layout.NumberOfBullets):
            yield "\n".join(["* more"] * bullets.num_bullets)

    def _cased(self, text: str) -> str:
        if self.all(style.EnglishCapitals):
            return text.upper()
        return text.lower() if self.all(style.EnglishLowercase) else text

    def _wrapped(self, text: str) -> str:
        if self.all(layout.IsJson):
            return json.dumps({"answer": text})
        return f'"{text}"' if self.all(layout.Quotation) else text


def _shared_out(lines: Iterable[str], parts: int) -> list[str]:
    """Spread sentences over ``parts`` paragraphs, repeating when there are too few."""
    sentences = [sentence for line in lines for sentence in re.split(r"(?<=\.) ", line) if sentence]
    while len(sentences) < parts:
        sentences.append("more")
    share = len(sentences) // parts
    cut = [sentences[i * share : (i + 1) * share if i + 1 < parts else None] for i in range(parts)]
    return ["\n".join(part) for part in cut]

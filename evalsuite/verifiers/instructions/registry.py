"""Constraints by the names that data sets give them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evalsuite.errors import nearest
from evalsuite.verifiers.base import BadReference
from evalsuite.verifiers.instructions import keywords, layout, lengths, style
from evalsuite.verifiers.instructions.constraint import Constraint

__all__ = ["BENCHMARK", "REWARD", "build"]

#: The constraints as the benchmarks' own checkers judge them, known defects included.
BENCHMARK: Mapping[str, type[Constraint]] = MappingProxyType(
    {
        "change_case:capital_word_frequency": style.CapitalWords,
        "change_case:english_capital": style.EnglishCapitals,
        "change_case:english_lowercase": style.EnglishLowercase,
        "combination:repeat_prompt": layout.RepeatPrompt,
        "combination:two_responses": layout.TwoResponses,
        "detectable_content:number_placeholders": layout.NumberOfPlaceholders,
        "detectable_content:postscript": layout.Postscript,
        "detectable_format:constrained_response": layout.ConstrainedResponse,
        "detectable_format:json_format": layout.IsJson,
        "detectable_format:multiple_sections": layout.NumberOfSections,
        "detectable_format:number_bullet_lists": layout.NumberOfBullets,
        "detectable_format:number_highlighted_sections": layout.NumberOfHighlights,
        "detectable_format:title": layout.Title,
        "keywords:existence": keywords.Existence,
        "keywords:forbidden_words": keywords.ForbiddenWords,
        "keywords:frequency": keywords.Frequency,
        "keywords:letter_frequency": keywords.LetterFrequency,
        "language:response_language": style.InLanguage,
        "length_constraints:nth_paragraph_first_word": lengths.FirstWordOfParagraph,
        "length_constraints:number_paragraphs": lengths.NumberOfParagraphs,
        "length_constraints:number_sentences": lengths.NumberOfSentences,
        "length_constraints:number_words": lengths.NumberOfWords,
        "punctuation:no_comma": style.NoComma,
        "startend:end_checker": layout.EndsWith,
        "startend:quotation": layout.Quotation,
    }
)

#: The same constraints with those defects mended, so that a policy cannot earn anything from them.
REWARD: Mapping[str, type[Constraint]] = MappingProxyType(
    {
        **BENCHMARK,
        "change_case:english_capital": style.KnownCapitals,
        "change_case:english_lowercase": style.KnownLowercase,
        "detectable_format:constrained_response": layout.OneConstrainedResponse,
        "detectable_format:multiple_sections": layout.LiteralSections,
        "keywords:existence": keywords.WholeExistence,
        "keywords:forbidden_words": keywords.WholeForbiddenWords,
        "keywords:frequency": keywords.WholeFrequency,
        "language:response_language": style.KnownLanguage,
        "punctuation:no_comma": style.NoCommaOfAnyScript,
    }
)


def build(name: str, arguments: Mapping[str, Any], registry: Mapping[str, type[Constraint]]) -> Constraint:
    """Return the constraint called ``name`` in ``registry`` with its arguments read.

    Raises:
        BadReference: there is no such constraint, or its arguments are wrong.
    """
    kind = registry.get(name)
    if kind is None:
        close = nearest(name, registry, count=1)
        raise BadReference(f"unknown constraint {name!r}{f': did you mean {close[0]!r}?' if close else ''}")
    return kind.from_arguments(name, arguments)

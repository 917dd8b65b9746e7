"""Constraints by the names that data sets give them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evalsuite.errors import nearest
from evalsuite.verifiers.base import BadReference
from evalsuite.verifiers.instructions import (
    bullets,
    counts,
    custom,
    keywords,
    layout,
    lengths,
    repeating,
    sentence_patterns,
    shapes,
    style,
    wording,
)
from evalsuite.verifiers.instructions.constraint import Constraint

__all__ = ["BENCHMARK", "REWARD", "build"]

_IFEVAL: Mapping[str, type[Constraint]] = MappingProxyType(
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

_IFBENCH: Mapping[str, type[Constraint]] = MappingProxyType(
    {
        "count:conjunctions": counts.Conjunctions,
        "count:keywords_multiple": counts.Keywords,
        "count:numbers": counts.Numbers,
        "count:person_names": counts.PersonNames,
        "count:pronouns": counts.Pronouns,
        "count:punctuation": counts.Punctuation,
        "count:unique_word_count": counts.UniqueWords,
        "count:word_count_range": counts.WordCountRange,
        "count:words_japanese": counts.NthWordJapanese,
        "custom:character_reverse": custom.ReversedCharacters,
        "custom:csv_city": custom.CityCsv,
        "custom:csv_quotes": custom.QuotedCsv,
        "custom:csv_special_character": custom.SpecialCharacterCsv,
        "custom:date_format_list": custom.BattleDates,
        "custom:european_capitals_sort": custom.CapitalsByLatitude,
        "custom:mcq_count_length": custom.MultipleChoice,
        "custom:multiples": custom.Multiples,
        "custom:reverse_newline": custom.CountriesReversed,
        "custom:sentence_alphabet": custom.SentenceAlphabet,
        "custom:word_reverse": custom.ReversedWords,
        "format:emoji": shapes.EmojiAtSentenceEnds,
        "format:line_indent": shapes.IndentedLines,
        "format:list": shapes.ListMarkers,
        "format:newline": shapes.NewLineWords,
        "format:no_bullets_bullets": bullets.SentencesThenBullets,
        "format:no_whitespace": shapes.NoWhitespace,
        "format:options": shapes.Options,
        "format:output_template": shapes.OutputTemplate,
        "format:parentheses": shapes.NestedParentheses,
        "format:quote_unquote": shapes.QuotesExplained,
        "format:quotes": shapes.NestedQuotes,
        "format:sub-bullets": bullets.SubBullets,
        "format:thesis": bullets.ItalicThesis,
        "format:title_case": shapes.TitleCase,
        "ratio:overlap": counts.Overlap,
        "ratio:sentence_balance": counts.SentenceBalance,
        "ratio:sentence_type": counts.SentenceTypes,
        "ratio:sentence_words": counts.SameLengthSentences,
        "ratio:stop_words": counts.StopWords,
        "repeat:repeat_change": repeating.RepeatChanged,
        "repeat:repeat_simple": repeating.RepeatOnly,
        "repeat:repeat_span": repeating.RepeatSpan,
        "sentence:alliteration_increment": sentence_patterns.AlliterationIncrement,
        "sentence:increment": sentence_patterns.WordIncrement,
        "sentence:keyword": sentence_patterns.KeywordInSentence,
        "words:alphabet": wording.AlphabetLoop,
        "words:consonants": wording.ConsonantClusters,
        "words:keywords_specific_position": wording.KeywordAtPosition,
        "words:last_first": wording.LastWordFirstNext,
        "words:no_consecutive": wording.NoConsecutiveInitials,
        "words:odd_even_syllables": wording.AlternatingSyllables,
        "words:palindrome": wording.Palindromes,
        "words:paragraph_last_first": wording.ParagraphsBeginAsTheyEnd,
        "words:prime_lengths": wording.PrimeLengths,
        "words:repeats": wording.Repeats,
        "words:start_verb": wording.StartsWithVerb,
        "words:vowel": wording.ThreeVowels,
        "words:words_position": wording.KeywordSecondAndSecondLast,
    }
)

#: The constraints as the benchmarks' own checkers judge them, known defects included.
BENCHMARK: Mapping[str, type[Constraint]] = MappingProxyType({**_IFEVAL, **_IFBENCH})

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
        "count:conjunctions": counts.LiteralConjunctions,
        "count:keywords_multiple": counts.ExactKeywords,
        "count:unique_word_count": counts.UniqueWordsProper,
        "count:words_japanese": counts.AnyNthWordJapanese,
        "custom:date_format_list": custom.RealBattleDates,
        "format:line_indent": shapes.IndentedStairs,
        "format:list": shapes.LineStartMarkers,
        "format:no_bullets_bullets": bullets.SentencesThenBulletLines,
        "format:options": shapes.OptionsTrimmed,
        "format:output_template": shapes.OutputTemplateInOrder,
        "format:parentheses": shapes.ClosedParentheses,
        "format:quote_unquote": shapes.SomeQuotesExplained,
        "format:sub-bullets": bullets.SubBulletLines,
        "format:thesis": bullets.ItalicThesisTagged,
        "ratio:sentence_balance": counts.SomeSentenceBalance,
        "ratio:sentence_type": counts.SomeSentenceTypes,
        "ratio:sentence_words": counts.SameLengthSentencesOfDifferentWords,
        "repeat:repeat_change": repeating.RepeatReallyChanged,
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

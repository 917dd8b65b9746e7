"""IFBench's constraints ``custom:*``: each belongs to one prompt, which it checks as a whole."""

from __future__ import annotations

import csv
import io
import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from evalsuite.verifiers.instructions.constraint import Constraint
from evalsuite.verifiers.instructions.punkt_tables import installed_tables
from evalsuite.verifiers.instructions.response import Response
from evalsuite.verifiers.instructions.sentences import split_sentences
from evalsuite.verifiers.instructions.word_lists import CAPITALS_BY_LATITUDE

__all__ = [
    "BattleDates",
    "CapitalsByLatitude",
    "CityCsv",
    "CountriesReversed",
    "MultipleChoice",
    "Multiples",
    "QuotedCsv",
    "RealBattleDates",
    "ReversedCharacters",
    "ReversedWords",
    "SentenceAlphabet",
    "SpecialCharacterCsv",
]

_EDGE = string.punctuation + " "
_NUMBER = re.compile(r"\d+")
_QUESTION = re.compile(r"Question \d+[.|):;]?\s*")
_OPTION = re.compile(r"[A-Ea-e][.|)]\s*\w+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SPECIAL = re.compile(r'".*[^\d\w\s].*"')
_BORN, _DIED = 1769, 1821


@dataclass(frozen=True)
class Multiples(Constraint):
    """The multiples of seven from 10 to 50, and no other number."""

    def holds(self, response: Response) -> bool:
        """Compare all numbers."""
        return _NUMBER.findall(response.text) == [str(multiple) for multiple in range(14, 51, 7)]


@dataclass(frozen=True)
class MultipleChoice(Constraint):
    """Four numbered questions of five options, each question longer than the one before."""

    def holds(self, response: Response) -> bool:
        """Split at the labels; nothing may stand before the first."""
        if not response.text.startswith("Question"):
            return False
        questions = [part.strip() for part in _QUESTION.split(response.text) if part.strip()]
        if len(questions) != 4:
            return False
        lengths = []
        for question in questions:
            lines = [line.strip() for line in question.split("\n")]
            options = [index for index, line in enumerate(lines) if _OPTION.match(line)]
            if len(options) != 5:
                return False
            lengths.append(len(" ".join(lines[: options[0]]).strip()))
        return all(longer > shorter for shorter, longer in pairwise(lengths))


@dataclass(frozen=True)
class CountriesReversed(Constraint):
    """At least 52 lines from Zimbabwe on, in reverse alphabetical order."""

    def holds(self, response: Response) -> bool:
        """Compare the lines without accents and the punctuation around them."""
        lines = [line for part in response.text.split("\n") if (line := part.strip(_EDGE))]
        start = next((index for index, line in enumerate(lines) if "Zimbabwe" in line), len(lines))
        names = [_without_accents(line) for line in lines[start:]]
        return len(names) >= 52 and all(first >= second for first, second in pairwise(names))


def _without_accents(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


@dataclass(frozen=True)
class ReversedWords(Constraint):
    """A sentence about the bald eagle with its words in reverse order."""

    def holds(self, response: Response) -> bool:
        """Search the animal in the words put back in order, which must be one sentence."""
        restored = " ".join(reversed(Response(response.lower.strip()).unpunctuated.split()))
        return "bald eagle" in restored and restored in split_sentences(restored, installed_tables())


@dataclass(frozen=True)
class ReversedCharacters(Constraint):
    """A sentence about the bald eagle with its letters in reverse order."""

    def holds(self, response: Response) -> bool:
        """Search the reversed name."""
        return "bald eagle"[::-1] in response.lower


@dataclass(frozen=True)
class SentenceAlphabet(Constraint):
    """26 sentences that begin with the letters of the alphabet in order."""

    def holds(self, response: Response) -> bool:
        """Compare the first character of each sentence."""
        initials = [sentence.lstrip().lower()[:1] for sentence in response.sentences]
        return initials == list(string.ascii_lowercase)


@dataclass(frozen=True)
class CapitalsByLatitude(Constraint):
    """The European capitals north of 45 degrees from north to south, with commas between them."""

    def holds(self, response: Response) -> bool:
        """Compare the names without accents."""
        names = (name.strip() for name in _without_accents(response.text).split(","))
        return tuple(name for name in names if name) == CAPITALS_BY_LATITUDE


@dataclass(frozen=True)
class CityCsv(Constraint):
    """Seven rows of comma-separated values under the columns ID, Country, City, Year and Count."""

    def holds(self, response: Response) -> bool:
        """Parse the text as CSV."""
        rows = _rows(response.text, ",")
        return len(rows) == 8 and rows[0] == ["ID", "Country", "City", "Year", "Count"] and _have_five(rows)


@dataclass(frozen=True)
class SpecialCharacterCsv(Constraint):
    """Fourteen rows of products, with a special character in a quoted field."""

    def holds(self, response: Response) -> bool:
        """Parse the text as CSV with the quotation marks kept; the row with the character ends the search."""
        columns = ("ProductID", "Category", "Brand", "Price", "Stock")
        rows = _rows(response.text.replace('"', '"""'), ",")
        if not _is_header(response.text, columns, r",[ \t]*") or len(rows) != 15:
            return False
        for row in rows[1:]:
            if len(row) != 5:
                return False
            if any(map(_SPECIAL.match, row)):
                return True
        return False


@dataclass(frozen=True)
class QuotedCsv(Constraint):
    """Three rows of tab-separated grades with every field in double quotation marks."""

    def holds(self, response: Response) -> bool:
        """Parse the text as CSV with the quotation marks kept."""
        columns = ("StudentID", "Subject", "Grade", "Semester", "Score")
        rows = _rows(response.text.replace('"', '"""'), "\t")
        if not _is_header(response.text, columns, r"\t *") or len(rows) != 4 or not _have_five(rows):
            return False
        return all(field.strip()[:1] == '"' == field.strip()[-1:] for row in rows for field in row)


def _is_header(text: str, columns: Sequence[str], separator: str) -> bool:
    pattern = separator.join(rf'(?:{column}|"{column}")' for column in columns)
    return re.fullmatch(pattern, text.partition("\n")[0].strip()) is not None


def _rows(text: str, delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        return []


def _have_five(rows: Sequence[Sequence[str]]) -> bool:
    return all(len(row) == 5 for row in rows)


@dataclass(frozen=True)
class BattleDates(Constraint):
    """Dates like 1796-04-12 within Napoleon's lifetime, with commas between them; months and days may be ``00``."""

    def holds(self, response: Response) -> bool:
        """Check each date."""
        return all(map(_is_date, response.text.strip().split(",")))


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text.strip()):
        return False
    year, month, day = map(int, text.strip().split("-"))
    longest = 29 if month == 2 else 30 if month in {4, 6, 9, 11} else 31 if month else 99
    return _BORN <= year <= _DIED and month <= 12 and day <= longest


class RealBattleDates(BattleDates):
    """Dates of the calendar within Napoleon's lifetime, with commas between them."""

    def holds(self, response: Response) -> bool:
        """Parse each date."""
        try:
            years = [date.fromisoformat(part.strip()).year for part in response.text.split(",")]
        except ValueError:
            return False
        return super().holds(response) and all(_BORN <= year <= _DIED for year in years)

"""IFEval's constraints on language, letter case and commas."""

from __future__ import annotations

from dataclasses import dataclass, field

from evalsuite.verifiers.instructions.constraint import COUNT, RELATION, TEXT, Constraint, Relation
from evalsuite.verifiers.instructions.response import Response

__all__ = [
    "CapitalWords",
    "EnglishCapitals",
    "EnglishLowercase",
    "InLanguage",
    "KnownCapitals",
    "KnownLanguage",
    "KnownLowercase",
    "NoComma",
    "NoCommaOfAnyScript",
]

#: ASCII, Arabic, ideographic, vertical, small, fullwidth and halfwidth forms.
_COMMAS = ",\u060c\u3001\ufe10\ufe11\ufe50\ufe51\uff0c\uff64"


@dataclass(frozen=True)
class InLanguage(Constraint):
    """The response is in a given language (ISO 639-1); the benchmark lets a text without letters pass."""

    language: str = field(metadata=TEXT)

    def holds(self, response: Response) -> bool:
        """Detect the language."""
        return response.language in (None, self.language)


class KnownLanguage(InLanguage):
    """The response is in a given language, for certain."""

    def holds(self, response: Response) -> bool:
        """Detect the language."""
        return response.language == self.language


@dataclass(frozen=True)
class EnglishCapitals(Constraint):
    """The response is English in capital letters; the benchmark lets any capitals without a known feature pass."""

    def holds(self, response: Response) -> bool:
        """Check the case, then detect the language."""
        return response.text.isupper() and response.language in (None, "en")


class KnownCapitals(EnglishCapitals):
    """The response is English in capital letters, judged by its lower-cased text.

    The detector skips runs of capitals, so that it sees little more than the initials of a text in capitals.
    """

    def holds(self, response: Response) -> bool:
        """Check the case, then detect the language of the lower-cased text."""
        return response.text.isupper() and Response(response.lower).language == "en"


@dataclass(frozen=True)
class EnglishLowercase(Constraint):
    """The response is English without capital letters."""

    def holds(self, response: Response) -> bool:
        """Check the case, then detect the language."""
        return response.text.islower() and response.language in (None, "en")


class KnownLowercase(EnglishLowercase):
    """The response is English without capital letters, for certain."""

    def holds(self, response: Response) -> bool:
        """Check the case, then detect the language."""
        return response.text.islower() and response.language == "en"


@dataclass(frozen=True)
class CapitalWords(Constraint):
    """Enough words in capital letters, or few enough."""

    capital_frequency: int = field(metadata=COUNT)
    capital_relation: Relation = field(metadata=RELATION)

    def holds(self, response: Response) -> bool:
        """Count the tokens of which all letters are capitals."""
        return self.capital_relation.holds(response.capital_words, self.capital_frequency)


@dataclass(frozen=True)
class NoComma(Constraint):
    """No comma; the benchmark knows the ASCII one only."""

    def holds(self, response: Response) -> bool:
        """Search a comma."""
        return "," not in response.text


class NoCommaOfAnyScript(NoComma):
    """No comma of any script."""

    def holds(self, response: Response) -> bool:
        """Search a comma."""
        return not any(comma in response.text for comma in _COMMAS)

"""IFBench's constraints ``words:*``: which words a response is made of."""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice, pairwise

from evalsuite.verifiers.instructions.constraint import COUNT, INDEX, TEXT, Constraint
from evalsuite.verifiers.instructions.response import Response
from evalsuite.verifiers.instructions.syllables import count_syllables
from evalsuite.verifiers.instructions.tokens import tokenize
from evalsuite.verifiers.instructions.verbs import begins_with_verb

__all__ = [
    "AlphabetLoop",
    "AlternatingSyllables",
    "ConsonantClusters",
    "KeywordAtPosition",
    "KeywordSecondAndSecondLast",
    "LastWordFirstNext",
    "NoConsecutiveInitials",
    "Palindromes",
    "ParagraphsBeginAsTheyEnd",
    "PrimeLengths",
    "Repeats",
    "StartsWithVerb",
    "ThreeVowels",
]

_EDGE = string.punctuation + " "
_ALPHABET = string.ascii_lowercase
_VOWELS = frozenset("aeiou")
_CONSONANTS = frozenset(_ALPHABET) - _VOWELS
_PRIMES = frozenset(n for n in range(2, 100) if all(n % divisor for divisor in range(2, n)))


@dataclass(frozen=True)
class AlphabetLoop(Constraint):
    """Each word begins with the next letter of the alphabet, and ``a`` follows ``z``."""

    def holds(self, response: Response) -> bool:
        """Compare initials; the first must be a letter from a to z."""
        words = response.unpunctuated.split()
        if not words or words[0][0].lower() not in _ALPHABET:
            return False
        start = _ALPHABET.index(words[0][0].lower())
        return all(word[0].lower()[0] == _ALPHABET[(start + n) % 26] for n, word in enumerate(words))


@dataclass(frozen=True)
class ThreeVowels(Constraint):
    """One paragraph with no more than three different vowels."""

    def holds(self, response: Response) -> bool:
        """Look for a line break, then at the letters."""
        paragraph = response.text.strip()
        return "\n" not in paragraph and len(_VOWELS.intersection(paragraph.lower())) <= 3


@dataclass(frozen=True)
class ConsonantClusters(Constraint):
    """Every word has two consonants in a row."""

    def holds(self, response: Response) -> bool:
        """Look at neighbouring letters."""
        return all(_has_cluster(word) for word in response.lower.split())


def _has_cluster(word: str) -> bool:
    return any(first in _CONSONANTS and second in _CONSONANTS for first, second in pairwise(word))


@dataclass(frozen=True)
class Palindromes(Constraint):
    """At least ten palindromes of five characters or more."""

    def holds(self, response: Response) -> bool:
        """Count words that read the same backwards."""
        return sum(len(word) >= 5 and word == word[::-1] for word in response.plain_words) >= 10


@dataclass(frozen=True)
class PrimeLengths(Constraint):
    """The length of every word is a prime number below 100."""

    def holds(self, response: Response) -> bool:
        """Measure the words without punctuation."""
        return all(len(word) in _PRIMES for word in response.unpunctuated.split())


@dataclass(frozen=True)
class StartsWithVerb(Constraint):
    """The first word is a verb."""

    def holds(self, response: Response) -> bool:
        """Tag the first word, see :mod:`evalsuite.verifiers.instructions.verbs`."""
        return begins_with_verb(tuple(islice(tokenize(response.each_sentence()), 3)))


@dataclass(frozen=True)
class Repeats(Constraint):
    """No word occurs more than ``small_n`` times."""

    small_n: int = field(metadata=COUNT)

    def holds(self, response: Response) -> bool:
        """Count words without punctuation, ignoring case."""
        return max(Counter(response.plain_words).values(), default=0) <= self.small_n


@dataclass(frozen=True)
class AlternatingSyllables(Constraint):
    """Words with an odd and with an even number of syllables take turns."""

    def holds(self, response: Response) -> bool:
        """Compare the parities of neighbours."""
        parities = (count_syllables(word) % 2 for word in response.plain_words)
        return all(first != second for first, second in pairwise(parities))


@dataclass(frozen=True)
class NoConsecutiveInitials(Constraint):
    """No word begins with the letter that the word before began with."""

    def holds(self, response: Response) -> bool:
        """Compare the initials of neighbours."""
        return all(first[0] != second[0] for first, second in pairwise(response.plain_words))


@dataclass(frozen=True)
class LastWordFirstNext(Constraint):
    """Each sentence begins with the last word of the one before."""

    def holds(self, response: Response) -> bool:
        """Compare words without the punctuation around the sentences, ignoring case."""
        for sentence, following in pairwise(response.each_sentence()):
            last, first = sentence.rstrip(_EDGE).split()[-1:], following.lstrip(_EDGE).split()[:1]
            if not last or not first or last[0].lower() != first[0].lower():
                return False
        return True


@dataclass(frozen=True)
class ParagraphsBeginAsTheyEnd(Constraint):
    """Each paragraph ends with the word it began with; a line is a paragraph."""

    def holds(self, response: Response) -> bool:
        """Compare words without the punctuation around the paragraph, ignoring case."""
        paragraphs = (line.strip().lower().strip(_EDGE).split() for line in response.text.split("\n"))
        return all(words[0] == words[-1] for words in paragraphs if words)


@dataclass(frozen=True)
class KeywordAtPosition(Constraint):
    """The ``m``-th word of the ``n``-th sentence is a keyword."""

    keyword: str = field(metadata=TEXT)
    n: int = field(metadata=INDEX)
    m: int = field(metadata=INDEX)

    def holds(self, response: Response) -> bool:
        """Count tokens with a letter or digit in them."""
        if len(response.sentences) < self.n:
            return False
        tokens = Response(response.sentences[self.n - 1]).tokens
        words = [token for token in tokens if any(map(str.isalnum, token))]
        return len(words) >= self.m and words[self.m - 1].lower() == self.keyword.strip().lower()


@dataclass(frozen=True)
class KeywordSecondAndSecondLast(Constraint):
    """The second word and the second last word are a keyword."""

    keyword: str = field(metadata=TEXT)

    def holds(self, response: Response) -> bool:
        """Compare tokens; one punctuation mark at the end does not count."""
        tokens = response.tokens
        from_end = 3 if tokens and tokens[-1] in string.punctuation else 2
        if len(tokens) < from_end:
            return False
        return tokens[1].lower() == tokens[-from_end].lower() == self.keyword.strip().lower()

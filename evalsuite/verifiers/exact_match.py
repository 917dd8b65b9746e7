"""Exact match with the options of Hugging Face ``evaluate`` (Tülu 3 evaluation, §2.5)."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import Any

from evalsuite.verifiers.base import TextVerifier
from evalsuite.verifiers.references import accepted_answers
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict

__all__ = ["ExactMatch"]

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_DIGITS = str.maketrans("", "", string.digits)


@dataclass(frozen=True)
class ExactMatch(TextVerifier):
    """The completion must equal the reference, a string or a list of accepted strings.

    Both sides are changed in this order: every match of ``regexes_to_ignore`` is removed, letters are lower-cased
    (``ignore_case``), ASCII punctuation (``ignore_punctuation``) and digits (``ignore_numbers``) are removed, and
    surrounding white space is cut (``strip``, which the Hugging Face metric does not do).
    """

    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False
    regexes_to_ignore: tuple[str, ...] = ()
    strip: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "regexes_to_ignore", tuple(self.regexes_to_ignore))
        for regex in self.regexes_to_ignore:
            try:
                re.compile(regex)
            except re.error as problem:
                raise ValueError(f"regexes_to_ignore: {regex!r} is not a regular expression: {problem}") from problem

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct`` on equality; ``no_answer`` for an unclosed ``<think>`` block."""
        accepted = {self.normalised(answer) for answer in accepted_answers(reference)}
        answer = final_segment(completion)
        if answer is None:
            return Verdict.no_answer("unclosed_think")
        found = self.normalised(answer)
        return Verdict.correct(found) if found in accepted else Verdict.incorrect(found, "different_text")

    def gold(self, reference: Any) -> str:
        """Return the first accepted string."""
        return accepted_answers(reference)[0]

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return ``gold`` with a word that does not belong there."""
        return f"{gold} wrongly"

    def normalised(self, text: str) -> str:
        """Return ``text`` as it is compared."""
        for regex in self.regexes_to_ignore:
            text = re.sub(regex, "", text)
        if self.ignore_case:
            text = text.lower()
        if self.ignore_punctuation:
            text = text.translate(_NO_PUNCTUATION)
        if self.ignore_numbers:
            text = text.translate(_NO_DIGITS)
        return text.strip() if self.strip else text

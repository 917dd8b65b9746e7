"""Substring recall over aliases, PopQA's "exact match" (Tülu 3 evaluation, D2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from evalsuite.verifiers.base import BadReference, TextVerifier
from evalsuite.verifiers.references import accepted_answers
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict

__all__ = ["Aliases"]


@dataclass(frozen=True)
class Aliases(TextVerifier):
    """One of the aliases must occur in the completion: as written, lower-cased, or capitalised.

    The completion's own case is kept, as the benchmark does. A reference is a string, a list, or a JSON list in a
    string, which is how PopQA stores ``possible_answers``.
    """

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct`` with the alias that was found."""
        aliases = _aliases(reference)
        text = final_segment(completion)
        if text is None:
            return Verdict.no_answer("unclosed_think")
        if not text.strip():
            return Verdict.no_answer("empty")
        for alias in aliases:
            if any(form in text for form in (alias, alias.lower(), alias.capitalize())):
                return Verdict.correct(alias)
        return Verdict.incorrect(text.strip(), "no_alias")

    def gold(self, reference: Any) -> str:
        """Return the first alias."""
        return _aliases(reference)[0]

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return a text without any letter or digit."""
        return "?!"


def _aliases(reference: Any) -> tuple[str, ...]:
    if isinstance(reference, str) and reference.lstrip().startswith("["):
        try:
            reference = json.loads(reference)
        except json.JSONDecodeError as problem:
            raise BadReference(f"aliases look like a JSON list and are none: {problem}") from problem
    aliases = tuple(alias for alias in accepted_answers(reference) if alias.strip())
    if not aliases:
        raise BadReference("no alias that is not blank")
    return aliases

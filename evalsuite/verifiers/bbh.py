"""BIG-Bench Hard: the answer of a solution, in one of the forms that the benchmark's tasks ask for."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, get_args

from evalsuite.verifiers.base import BadReference, NoGold, TextVerifier
from evalsuite.verifiers.patterns import Pattern, first_hit
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict

__all__ = ["FORMS", "Bbh"]

Version = Literal["v1", "v0"]
LoneLetter = Literal["found", "missed"]
WordMarks = Literal["kept", "cut"]

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MARKS = "'&"


@dataclass(frozen=True, slots=True)
class _Form:
    """What an answer looks like, and two answers of that kind."""

    regex: str
    examples: tuple[str, str]


#: The forms of an answer, by the name a reference gives them.
FORMS: Mapping[str, _Form] = MappingProxyType(
    {
        "letter": _Form(r"\([A-Z]\)", ("(A)", "(B)")),
        "true_false": _Form("[tT]rue|[fF]alse", ("True", "False")),
        "yes_no": _Form("[yY]es|[nN]o", ("Yes", "No")),
        "validity": _Form("[iI]nvalid|[vV]alid", ("valid", "invalid")),
        "integer": _Form(r"-?\d+", ("0", "1")),
        "count": _Form(r"\d+", ("0", "1")),
        "brackets": _Form(r"[\]\)\}\> ]+", ("]", ")")),
        "words": _Form("[a-z ]+", ("no words", "no other words")),
    }
)
_V0 = (Pattern("(?<=the answer is )(.*)(?=.)"),)


@dataclass(frozen=True)
class Bbh(TextVerifier):
    """The answer that is found must equal the reference's, whatever its case and (brackets apart) its punctuation.

    ``version`` says how it is found (Tülu 3 evaluation D4). ``v1`` looks for an answer of the reference's form: the
    last one after "So the answer is", else after "answer is", "answer:", "answer", else the last anywhere. ``v0`` takes
    what follows the first "the answer is" on its line, less a last character.

    With ``lone_letter="found"``, a ``letter`` may also stand without parentheses where no other is. With
    ``word_marks="kept"``, apostrophes and ampersands belong to ``words``.

    References: ``{"answer": "(B)", "form": "letter"}``, with a form in :data:`FORMS`.
    """

    version: Version = "v1"
    lone_letter: LoneLetter = "found"
    word_marks: WordMarks = "kept"

    def __post_init__(self) -> None:
        for name, value, valid in (
            ("version", self.version, get_args(Version)),
            ("lone_letter", self.lone_letter, get_args(LoneLetter)),
            ("word_marks", self.word_marks, get_args(WordMarks)),
        ):
            if value not in valid:
                raise ValueError(f"{name} must be one of {', '.join(valid)}, not {value!r}")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct`` on equality; ``no_answer`` when there is nothing of the reference's form."""
        answer, form = _read(reference)
        text = final_segment(completion)
        if text is None:
            return Verdict.no_answer("unclosed_think")
        found = self._extracted(text, form)
        if not found:
            return Verdict.no_answer("no_match")
        same = _normalised(found, form) == _normalised(answer, form)
        return Verdict.correct(found) if same else Verdict.incorrect(found, "different_text")

    def gold(self, reference: Any) -> str:
        """Return the sentence that ends the benchmark's own solutions.

        Raises:
            NoGold: the answer is not of its form, so that it is never found.
        """
        answer, _ = _read(reference)
        sentences = [f"So the answer is {spelt}." for spelt in (answer, answer.translate(_NO_PUNCTUATION))]
        for sentence in sentences:
            if self.judge(sentence, reference).score == 1:
                return sentence
        raise NoGold("the reference is not of the form that is looked for", best=sentences[0])

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return the same sentence with another answer of the same form."""
        answer, form = _read(reference)
        other = next(text for text in FORMS[form].examples if _normalised(text, form) != _normalised(answer, form))
        return f"So the answer is {other}."

    def _extracted(self, text: str, form: str) -> str:
        if self.version == "v0":
            return (first_hit(_V0, text) or "").strip(".")
        said, loosely_said, anywhere = _v1_patterns(form, self.lone_letter, self.word_marks)
        found = first_hit(said, text)
        if found is None:
            found = first_hit(loosely_said, _up_to_last_answers(anywhere[-1].regex, text))
        if found is None:
            found = first_hit(anywhere, text) or ""
        found = found.strip()
        # The reference implementation also peels dollars, stars and quotes off; no form has any.
        return f"({found})" if form == "letter" and len(found) == 1 else found


@lru_cache
def _v1_patterns(form: str, lone_letter: LoneLetter, word_marks: WordMarks) -> tuple[tuple[Pattern, ...], ...]:
    """Return what is tried in turn: the answer right after its phrase, the first one after it, any."""
    answer = FORMS[form].regex
    if form == "words" and word_marks == "kept":
        answer = f"[a-z{_MARKS} ]+"
    lone = [r"\b([A-Z])\b"] if form == "letter" and lone_letter == "found" else []
    groups = (
        [rf"(?i)So the answer is ({answer})\.?", rf"(?i)answer is ({answer})"],
        [rf"(?i)answer:.*?({answer})", rf"(?i)answer\b.*?({answer})"],
        [f"({answer})", *lone, f"(?i)({answer})"],
    )
    return tuple(tuple(Pattern(regex, "last") for regex in group) for group in groups)


def _up_to_last_answers(regex: str, text: str) -> str:
    """Cut off what follows the last answer of each line: from there on the word "answer" is searched one in vain.

    A model that says nothing but "answer:" would otherwise have each of them search the rest of the line.
    """
    return "\n".join(
        line[: max((match.end() for match in re.finditer(regex, line)), default=0)] for line in text.split("\n")
    )


def _read(reference: Any) -> tuple[str, str]:
    if not isinstance(reference, Mapping) or {"answer", "form"} - reference.keys():
        raise BadReference(f"an object with 'answer' and 'form' is needed, not {reference!r:.80}")
    answer, form = reference["answer"], reference["form"]
    if not isinstance(answer, str) or form not in FORMS:
        raise BadReference(f"form must be one of {', '.join(FORMS)}, not {form!r:.40}, and answer a string")
    return answer, form


def _normalised(text: str, form: str) -> str:
    text = text.lower()
    return text if form == "brackets" else text.translate(_NO_PUNCTUATION)

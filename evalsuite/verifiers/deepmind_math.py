"""DeepMind Mathematics as Tülu 3 scores it (specification U4): its own extraction, its own equality."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

from evalsuite.verifiers.base import BadReference, TextVerifier
from evalsuite.verifiers.python_expressions import equal
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict

__all__ = ["DeepMindMath"]

LastLine = Literal["ignored", "read"]

# The last full stop is not escaped, as in the benchmark: any character ends the sentence.
_STATEMENT = re.compile(r"(?i)Therefore, the final answer is (.*?)\. I hope it is correct.")
_OPENING = re.compile(r"(?i)Therefore, the final answer is ")
_LOOSE_STATEMENTS = (re.compile(r"the final answer is"), re.compile(r"answer is"))
_CLOSING = re.compile(r"\s*\.?\s*I hope it is correct.*")
# The third is meant to be one token; read as an expression, as the benchmark does, it is any of "<", "eot_id" and ">".
_TOKENS = tuple(map(re.compile, ("<end_of_turn>", "<|eot_id|>", "<s>", "</s>")))
_LAST_STOP = re.compile(r"\.\s*$")
_WRAPPINGS = tuple(
    re.compile(rf"^{re.escape(opening)}(.*){re.escape(closing)}$")
    for opening, closing in (("$", "$"), ("\\(", "\\)"), ("**", "**"), ("***", "***"), ("\\[", "\\]"))
)
_ARTEFACTS = re.compile(r"^b'|\\n'$")
_SAID_OTHERWISE = MappingProxyType({"yes": "true", "no": "false"})


@dataclass(frozen=True)
class DeepMindMath(TextVerifier):
    """The stated answer must be the reference: as text in any case, yes or no for true or false, or as SymPy sees it.

    Extraction: the last "Therefore, the final answer is ... . I hope it is correct."; else the rest of the line after
    the first "the final answer is" or "answer is"; else nothing. With ``last_line="read"`` it is then the last line,
    which the benchmark means to read, but finds the empty text behind it. The closing phrase, special tokens, a full
    stop and one layer each of ``$``, ``\\(``, ``**``, ``***`` and ``\\[`` fall away. SymPy compares in a worker,
    and only what is arithmetic (:mod:`evalsuite.verifiers.python_expressions`); what it cannot read is wrong, as in the
    benchmark, answers in LaTeX included.

    The reference is a string; ``b'`` and ``\\n'`` around it, as the Hub's copy has them, are removed.
    """

    last_line: LastLine = "ignored"

    runs_in_processes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.last_line not in get_args(LastLine):
            raise ValueError(f"last_line must be 'ignored' or 'read', not {self.last_line!r}")

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``no_answer`` when nothing is stated."""
        gold = _gold(reference)
        segment = final_segment(completion)
        if segment is None:
            return Verdict.no_answer("unclosed_think")
        stated = _stated(segment)
        answer = _clean(_last_line(segment) if stated is None and self.last_line == "read" else stated or "")
        if not answer:
            return Verdict.no_answer()
        if answer.lower() == gold.lower():
            return Verdict.correct(answer)
        if gold.lower() in _SAID_OTHERWISE.values():
            same = _SAID_OTHERWISE.get(answer.lower()) == gold.lower()
            return Verdict.correct(answer) if same else Verdict.incorrect(answer, "different_value")
        reason = equal(gold, answer)
        return Verdict.incorrect(answer, reason) if reason else Verdict.correct(answer)

    def gold(self, reference: Any) -> str:
        """Return the answer in the sentence that the prompt asks for."""
        return f"Therefore, the final answer is {_gold(reference)}. I hope it is correct."

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return the same sentence about nothing."""
        return "Therefore, the final answer is none of these. I hope it is correct."


def _gold(reference: Any) -> str:
    if not isinstance(reference, str) or not reference.strip():
        raise BadReference(f"a string is needed, not {reference!r}")
    return _ARTEFACTS.sub("", reference)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _stated(text: str) -> str | None:
    if (statement := _last_statement(text)) is not None:
        return statement
    found = next((match for match in (phrase.search(text) for phrase in _LOOSE_STATEMENTS) if match), None)
    return text[found.end() :].strip().partition("\n")[0].removesuffix(".") if found else None


def _last_statement(text: str) -> str | None:
    """Return the last match of ``_STATEMENT``: where an opening has no end in its line, later ones have none either."""
    statement, position = None, 0
    while position >= 0 and (opening := _OPENING.search(text, position)):
        found = _STATEMENT.match(text, opening.start())
        statement = found.group(1) if found else statement
        position = found.end() if found else text.find("\n", opening.end())
    return statement


def _clean(answer: str) -> str:
    answer = _CLOSING.sub("", answer)
    for token in _TOKENS:
        answer = token.sub("", answer).strip()
    answer = _LAST_STOP.sub("", answer).strip()
    for wrapping in _WRAPPINGS:
        answer = wrapping.sub(r"\1", answer).strip()
    return answer

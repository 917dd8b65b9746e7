"""Find the final answer in a solution, in time linear in its length.

The package docstring of :mod:`evalsuite.verifiers.math` has the table of what counts in which mode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evalsuite.verifiers.math.boxes import boxes, disowned, is_part_of_formula, last_together
from evalsuite.verifiers.math.equivalence import is_readable
from evalsuite.verifiers.math.units import canonical_unit
from evalsuite.verifiers.math.vocabulary import FUNCTIONS

__all__ = ["Extraction", "flexible_answers", "last_answer", "only_answer", "stated_answer"]

_MENTIONS = ("answer", "Answer", "ANSWER", "####")
_MAX_MENTIONS = 8
_STATEMENT = re.compile(r"(?:answer\b[^.\n:=$0-9\\]{0,60}?(?:\bis\b|:|=)|####)[\s:*]*", re.IGNORECASE)
_SENTENCE_LENGTH = 400
_SENTENCE_END = re.compile(r"\n|\.(?=\s|$)(?<!\b[a-z]\.)")
_FORMULA = re.compile(r"(?P<open>\$\$?|\\\(|\\\[)(?P<formula>.+?)(?:\$\$?|\\\)|\\\])(?P<rest>.*)", re.DOTALL)
_WORDY_CALCULATION = re.compile(r"[^$\\]*[A-Za-z]{3}[^$\\]*=[^$\\]*$")
_PROSE = re.compile(r"[A-Za-z]{2,}[ ,:]+[A-Za-z]{2,}|[A-Za-z]{4,}[ :]+[0-9]|\n")
_PREDICATE = re.compile(r".*\b(?:is|are|equals)\s+(?P<claim>\S.*)", re.DOTALL)
_BARE_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_QUOTED = re.compile(r"\\[A-Za-z]+ ?\{[A-Za-z ]*\}")
_MATHEMATICAL = FUNCTIONS | {"sqrt", "pi", "and", "or"}
_NEGATION = re.compile(r"(?:not|never|neither)\b", re.IGNORECASE)
_DENIAL = re.compile(r"\\|\b(?:no|not|never|neither|nor)\b|n['’]t\b", re.IGNORECASE)
_CONTINUED = re.compile(
    r"\s*(?:,\s*(?:or|and)?\s*[-$\\0-9(]|;|or\b|and\b|to\b|through\b|[-–/+*^=]|\\pm)", re.IGNORECASE
)
_AMOUNT = r"\$?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:/[0-9]+)?%?|\$?\.[0-9]+"
_LEADING_AMOUNT = re.compile(rf"(?P<amount>-?(?:{_AMOUNT}))(?![0-9A-Za-z^*\\({{_])(?P<rest>.*)", re.DOTALL)
_ANY_AMOUNT = re.compile(rf"(?:(?<![0-9A-Za-z.)\]}}])-)?(?<![A-Za-z])(?:{_AMOUNT})")
_ENUMERATED = re.compile(r"[0-9]\s*(?:,|;|,?\s*\b(?:or|and)\b)\s*$", re.IGNORECASE)
_PROSE_MONEY = re.compile(r"[0-9][0-9,.]*\s+[A-Za-z]")
# What is stated beside a box contradicts it only if it is a value, unlike in "the answer is correct".
_VALUE = re.compile(r"[0-9\\]|^\(?[A-Za-z]\)?$")
_ALTERNATIVE = re.compile(r"[\s$*)\]\\.]{0,4},?\s*or\s+(?=[-$\\0-9(])")
_TAIL = 2000
# From the first opening of a line: if that one has no end, later ones have none either.
_MINERVA = re.compile(r"(?m:^)(?>.*?Final Answer: The final answer is)(.*?). I hope it is correct.")


@dataclass(frozen=True, slots=True)
class Extraction:
    """``answer`` is the text to judge; without one, ``reason`` says why.

    ``joined`` is the list of several boxes that stand together, for a reference that is a list.
    """

    answer: str | None
    reason: str = ""
    joined: str | None = None


def only_answer(segment: str) -> tuple[list[str], str]:
    """Return every answer the segment commits to, for the strict mode: boxes, and what is stated after the last one.

    The last box has to be complete, visible, not negated and no part of a formula; else return the reason.
    """
    found = boxes(segment)
    if not found:
        return [], "no_box"
    problem = disowned(segment, found[-1])
    if problem:
        return [], problem
    if is_part_of_formula(segment, found[-1]):
        return [], "part_of_a_formula"
    other = _ALTERNATIVE.match(segment, found[-1].end)
    claims = (stated_answer(segment[found[-1].end :]), _claim(_sentence(segment, other.end())) if other else None)
    later = [claim.answer for claim in claims if claim is not None and claim.answer and _VALUE.search(claim.answer)]
    return [*later, *(box.content for box in found if box.content and box.content.strip())], ""


def last_answer(segment: str) -> Extraction:
    """Return the last answer: box, else stated answer, else the last formula or number."""
    found = boxes(segment)
    if not found:
        return stated_answer(segment) or _whole(segment) or _last_formula_or_number(segment)
    problem = disowned(segment, found[-1])
    if problem:
        return Extraction(None, problem)
    later = _final_claim(segment[found[-1].end :])
    if later is not None:
        return later
    together = last_together(segment, found)
    return Extraction(found[-1].content, joined=";".join(together) if len(together) > 1 else None)


def _final_claim(rest: str) -> Extraction | None:
    """Return the value of a "final answer" that is stated after the last box."""
    position = rest.lower().rfind("final answer")
    claim = stated_answer(rest[position:]) if position >= 0 else None
    return claim if claim and claim.answer and _VALUE.search(claim.answer) and is_readable(claim.answer) else None


def stated_answer(segment: str) -> Extraction | None:
    """Return what follows the last "answer is", "Answer:" or ``####``, or ``None``."""
    end = len(segment)
    for _ in range(_MAX_MENTIONS):
        position = max(segment.rfind(mention, 0, end) for mention in _MENTIONS)
        if position < 0:
            return None
        match = _STATEMENT.match(segment, position)
        sentence = _sentence(segment, match.end()) if match else ""
        if sentence:
            return _claim(sentence)
        end = position
    return None


def flexible_answers(segment: str, box: str | None) -> list[str]:
    """Return the candidates of Tülu's flexible rule (specification D6): any of them may be right.

    Minerva's closing phrase and what stands in the last ``box``; without both, the text between the last two dollar
    signs; without that, everything.
    """
    candidates = []
    phrase = _MINERVA.search(f"{segment}I hope it is correct.")
    if phrase and phrase.group(1).strip() != "[invalidanswer]":
        candidates.append(phrase.group(1))
    if box is not None:
        candidates.append(box)
    if candidates:
        return candidates
    pieces = segment.rsplit("$", 2)
    return [pieces[1]] if len(pieces) == 3 else [segment]


def _sentence(segment: str, start: int) -> str:
    text = segment[start : start + _SENTENCE_LENGTH]
    end = _SENTENCE_END.search(text)
    return text[: end.start() if end else len(text)].strip(" \t*:")


def _claim(sentence: str) -> Extraction:
    """Return the value that a sentence such as ``$5$ dollars, because ...`` claims."""
    if _NEGATION.match(sentence):
        return Extraction(None, "negated_answer")
    if _WORDY_CALCULATION.match(sentence):
        sentence = sentence.rpartition("=")[2].strip()
    formula = _FORMULA.match(sentence)
    amount = None if formula else _LEADING_AMOUNT.match(sentence)
    rest = formula.group("rest") if formula else amount.group("rest") if amount else ""
    if _CONTINUED.match(rest):
        return Extraction(sentence.replace("$", ""))
    if formula:
        return Extraction(formula.group("formula"))
    if amount:
        return Extraction(_with_unit(amount.group("amount"), rest))
    return _claim_in_prose(sentence) if _PROSE.search(sentence) else Extraction(sentence)


def _claim_in_prose(sentence: str) -> Extraction:
    """Return what is said to be the value, or the only number there is."""
    if inner := _PREDICATE.match(sentence):
        return _claim(inner.group("claim"))
    amounts = list(_ANY_AMOUNT.finditer(sentence))
    if len(amounts) != 1 or _DENIAL.search(sentence):
        return Extraction(sentence)
    return Extraction(_with_unit(amounts[0].group(), sentence[amounts[0].end() :]))


def _whole(segment: str) -> Extraction | None:
    """Return the completion itself if it is one readable answer and no prose."""
    text = segment.strip()
    if not 0 < len(text) <= _SENTENCE_LENGTH or "$" in text.strip("$") or "\n" in text:
        return None
    words = _BARE_WORD.findall(_QUOTED.sub("", text))
    prose = not text.isalpha() and any(word not in _MATHEMATICAL and canonical_unit(word) is None for word in words)
    return None if prose or not is_readable(text) else Extraction(text)


def _with_unit(amount: str, rest: str) -> str:
    """Keep the word after a number: it may be a unit, or change the number ("5 thousand")."""
    word = re.match(r"\s+([A-Za-z]+)", rest)
    return f"{amount} \\text{{{word.group(1)}}}" if word else amount


def _last_formula_or_number(segment: str) -> Extraction:
    formula, formula_end = _last_formula(segment)
    number = None
    for number in _ANY_AMOUNT.finditer(segment, max(0, len(segment) - _TAIL)):  # noqa: B007
        pass
    if formula and (number is None or number.start() < formula_end):
        return Extraction(formula)
    if number is None:
        return Extraction(None, "no_answer")
    if _ENUMERATED.search(segment[max(0, number.start() - 20) : number.start()]):
        return Extraction(None, "enumeration")
    return Extraction(number.group())


def _last_formula(segment: str) -> tuple[str, int]:
    """Return the last ``$...$``, ``\\(...\\)`` or ``\\[...\\]`` and where it ends."""
    last = ("", -1)
    for opening, closing in (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        end = segment.rfind(closing)
        if closing == "$" and segment[end - 1 : end] == "$":
            end -= 1
        start = segment.rfind(opening, 0, end) if end > 0 else -1
        content = segment[start + len(opening) : end].strip("$ \n") if start >= 0 else ""
        # "$5 and $7" is two amounts of money, not a formula.
        money = _PROSE_MONEY.match(content) and segment[end + 1 : end + 2].isdigit()
        if content and not money and len(content) <= _SENTENCE_LENGTH and end > last[1]:
            last = (content, end)
    return last

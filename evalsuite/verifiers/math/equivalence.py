"""Decide whether two answers are the same, the cheap way first, and remember the decision.

Tier 0: the same canonical spelling. Tier 1: two written-out numbers, compared exactly. Tier 2: our own bounded parser,
exact or numeric evaluation, and the kinds of the two answers. Tier 3: Math-Verify in a worker process, for what the
first tiers cannot read or compute, unless the answer states more than a value. Nothing longer than ``MAX_LENGTH``
reaches a parser.
"""

from __future__ import annotations

import re
from functools import lru_cache

from evalsuite.verifiers.math import symbolic
from evalsuite.verifiers.math.compare import compare
from evalsuite.verifiers.math.findings import Finding, Strictness
from evalsuite.verifiers.math.literals import Literal, close, read_literal
from evalsuite.verifiers.math.parser import parse
from evalsuite.verifiers.math.syntax import Node, Sequence, Unreadable
from evalsuite.verifiers.math.tidy import tidy

__all__ = ["MAX_LENGTH", "agree", "decide", "is_readable", "quick"]

#: Longer answers are not answers.
MAX_LENGTH = 400

_MEMORY = 32_768
_MAX_EFFORT = 60
_GROUPED = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_DECIMAL_COMMA = re.compile(r"^(-?[0-9]+),([0-9]+)$")
_BRACKETED = ("(", "[", "\\{", "\\begin")
_MATHEMATICAL = re.compile(r"[0-9\\]")
_TEXTUAL = re.compile(r"\(?\\text ?\{[^{}]*\}\)?|[A-Za-z][A-Za-z ]+")
_LABELLED = re.compile(r"\\text ?\{ ?\(([A-E])\)[ .:]*\}(.+)", re.DOTALL)
_LETTER = re.compile(r"[a-e]")
_DECORATION = re.compile(r"\\text ?|[{}()\s.]")
# Signs and words that make a statement out of a value; SymPy-based checkers take the convenient half of it.
_STATEMENT = re.compile(
    r"=|<|>|[?|'’&#‰$]|(?<=[0-9])_|\{\}|\^\{? ?[-+*] ?\}?(?![0-9A-Za-z\\({])|\\\\"
    r"|\\(?:boxed|fbox|[lc]?dots)(?![A-Za-z])"
    r"|\\(?:uparrow|downarrow|oplus|ominus|otimes|odot|star|bullet|tilde|permil)(?![A-Za-z])"
    r"|\\(?:approx|pm|mp|ne|le|ge|sim|in|or|and|text|to|lor|land|not|neg|lnot|[bp]?mod|mid|parallel|perp)(?![A-Za-z])"
    r"|\b(?:or|and|not)\b|(?<!\\)\b[A-Za-z]{3,}[ :]+[A-Za-z]{3,}"
)


_SENTENCE = re.compile(
    r"\\begin ?\{cases\}|\\text ?\{[^{}]*[A-Za-z]{2} [A-Za-z]{2}"
    r"|(?<![\\A-Za-z])[A-Za-z]{2,}(?: [A-Za-z]{2,}){2}|[^\x00-\x7f]"
)
_WORDS_WITHIN = re.compile(r"\\text(?! ?\{[^{}]*\}$)")
_ORDERED = re.compile(r"[<>]|\\[lg]e(?![A-Za-z])")


def decide(gold: str, answer: str, strictness: Strictness) -> str:
    """Return ``"same"`` or the reason why ``answer`` does not mean ``gold``."""
    # Before any cache: what is remembered has to stay small.
    return str(Finding.TOO_LONG) if len(answer) > MAX_LENGTH else _decide(gold, answer, strictness)


def quick(gold: str, answer: str, strictness: Strictness) -> Finding:
    """Return what the tiers without SymPy find; never slow, never raises."""
    return Finding.TOO_LONG if len(answer) > MAX_LENGTH else _quick(gold, answer, strictness)


@lru_cache(maxsize=_MEMORY)
def _decide(gold: str, answer: str, strictness: Strictness) -> str:
    finding = quick(gold, answer, strictness)
    if finding is not Finding.UNDECIDED:
        return str(finding)
    gold, answer = tidy(gold), tidy(answer)
    if strictness == "reward" and _readings(gold)[0] is not None:
        return str(Finding.UNREADABLE)
    if _is_hopeless(gold, answer) or _says_several_things(gold):
        return str(Finding.VALUE)
    if _effort(answer) > _MAX_EFFORT:
        return str(Finding.TOO_LARGE)
    if _states_more(gold, answer):
        return str(Finding.CHAIN)
    return _by_sympy(gold, answer)


@lru_cache(maxsize=_MEMORY)
def _by_sympy(gold: str, answer: str) -> str:
    """Compare two tidy answers: whatever their spelling was, SymPy sees each pair once."""
    same, reason = symbolic.decide(gold, answer)
    return str(Finding.SAME) if same else reason


def is_readable(text: str) -> bool:
    """Return whether the cheap tiers can read a whole ``text`` as an answer."""
    answer = tidy(text)
    return read_literal(answer) is not None or _readings(answer)[0] is not None


def agree(left: str, right: str) -> bool:
    """Return whether two answers of one completion are the same by the cheap tiers."""
    return Finding.SAME in (quick(left, right, "eval"), quick(right, left, "eval"))


@lru_cache(maxsize=_MEMORY)
def _quick(gold: str, answer: str, strictness: Strictness) -> Finding:
    expected, given = tidy(gold), tidy(answer)
    if not given:
        return Finding.EMPTY
    if expected == given:
        return Finding.SAME
    labelled = _LABELLED.fullmatch(given)
    if labelled and not _LABELLED.fullmatch(expected):  # "(C) 12"
        letter, value = labelled.groups()
        return _quick(gold, letter if _LETTER.fullmatch(_plain(expected)) else value, strictness)
    left, right = read_literal(expected), read_literal(given)
    if strictness == "eval" and right is None and left is not None and left.form == "decimal":
        right = read_literal(_DECIMAL_COMMA.sub(r"\1.\2", given))
    if left is not None and right is not None:
        return _literals(left, right, strictness)
    if _TEXTUAL.fullmatch(expected) and _plain(expected) == _plain(given):
        return Finding.SAME
    return _trees(expected, given, strictness)


def _literals(gold: Literal, answer: Literal, strictness: Strictness) -> Finding:
    rounded = "decimal" in (gold.form, answer.form)
    allowed = [answer.value]
    if gold.percent and not answer.percent:
        allowed.append(answer.value * 100)
    elif answer.percent and not gold.percent:
        if strictness == "reward":
            return Finding.PERCENT
        allowed.append(answer.value / 100)
    if not any(value == gold.value or (rounded and close(value, gold.value)) for value in allowed):
        return Finding.VALUE
    restated = strictness == "reward" and gold.form == "integer" and answer.form == "fraction"
    return Finding.UNEVALUATED if restated else Finding.SAME


def _trees(gold: str, answer: str, strictness: Strictness) -> Finding:
    """Compare the readings of both: commas either group digits on both sides, or separate items on both."""
    finding = Finding.UNDECIDED
    for expected, given in zip(_readings(gold), _readings(answer), strict=True):
        if expected is None or given is None:
            continue
        try:
            finding = compare(expected, given, strictness)
        except (RecursionError, Unreadable):
            continue
        if finding is Finding.SAME:
            return finding
    return finding


@lru_cache(maxsize=_MEMORY)
def _readings(text: str) -> tuple[Node | None, Node | None]:
    """Return the trees of ``text`` with its commas read as digit grouping and as separators."""
    separated = _read(text)
    if text.startswith(_BRACKETED):
        return separated, separated
    grouped = _GROUPED.sub(lambda match: match.group().replace(",", ""), text)
    return (separated if grouped == text else _read(grouped)), separated


def _read(text: str) -> Node | None:
    try:
        if "\\pm" not in text and "\\mp" not in text:
            return parse(text)
        upper = parse(text.replace("\\pm", "+").replace("\\mp", "-"))
        lower = parse(text.replace("\\pm", "-").replace("\\mp", "+"))
    except (RecursionError, Unreadable):
        return None
    match upper, lower:
        case Sequence(kind="," | "{}" as kind, items=left), Sequence(items=right):
            return Sequence(kind, tuple(dict.fromkeys((*left, *right))))
        case _:
            return Sequence(",", tuple(dict.fromkeys((upper, lower))))


def _plain(text: str) -> str:
    return _DECORATION.sub("", text).lower()


def _is_hopeless(gold: str, answer: str) -> bool:
    """Return whether ``answer`` is prose where ``gold`` is a number."""
    return read_literal(gold) is not None and _MATHEMATICAL.search(answer) is None


def _says_several_things(gold: str) -> bool:
    """Return whether ``gold`` is prose, or has cases or conditions: SymPy-based checkers read one part of those."""
    conditions = ",;:" if _ORDERED.search(gold) else ""
    worded = _WORDS_WITHIN.search(gold) is not None and ("=" in gold or bool(conditions))
    return worded or any(sign in gold for sign in conditions) or _SENTENCE.search(gold) is not None


def _effort(text: str) -> int:
    """Return how many brackets, powers and commands SymPy would have to work through."""
    return sum(text.count(sign) for sign in "([{|^_\\")


def _states_more(gold: str, answer: str) -> bool:
    """Return whether ``answer`` has a relation, an alternative, words or foreign signs where ``gold`` has none."""
    if not gold.isascii() or answer.isascii():
        return bool(_STATEMENT.search(answer)) and not _STATEMENT.search(gold)
    return True

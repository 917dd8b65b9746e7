"""Other spellings of an answer that say the same: rewritten before anything is compared.

Each entry names commands (or a piece of text) one of which must occur, so that answers without them cost nothing, a
pattern, and what stands in its place.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from evalsuite.verifiers.math.vocabulary import FUNCTIONS

__all__ = ["respell", "respell_unicode"]

_GROUP = r"((?:[^{}]|\{[^{}]*\})*)"
_END = r"(?![A-Za-z])"
# Text without letters is no text: "\text{3/4}", "5\text{, }7".
_PLAIN_TEXT = re.compile(r"(?:[-+\s0-9.,:;/()\[\]|%$¢\\]|\b(?:and|or)\b)*")
_TEXT = re.compile(r"\\text ?\{([^{}]*(?:\{[0-9]\})?)\}")
_RAISED_UNIT = re.compile(r"([A-Za-z. ]+)\^\{?([0-9])\}?")
# "\text{15 ways}"
_COUNT = re.compile(r"([-+]?[0-9][0-9.,/]*)(?<![.,/]) ([A-Za-z].*)")
_ANSWER_IS = re.compile(r"(?:the )?(?:final )?answer(?: is)? ?:?", re.IGNORECASE)
_MEANT: Final = MappingProxyType(
    {name: f"\\{name} " for name in FUNCTIONS}
    | {f"\\{name}": f"\\{name} " for name in ("pi", "infty", "theta", "alpha", "beta")}
    | {"negative": "-", "minus": "-", "infinity": "\\infty ", "Infinity": "\\infty "}
)
# Answers in words alone that have a sign.
_SIGNS: Final = MappingProxyType(
    dict.fromkeys(("all real numbers", "all reals", "the real numbers", "real numbers"), r"(-\infty,\infty)")
    | dict.fromkeys(("no solution", "no solutions", "no real solution", "no real solutions", "empty set"), r"\emptyset")
    | {"negative infinity": r"-\infty", "dne": r"\text{does not exist}"}
)
_WORDS_ALONE = re.compile(r"(?:\\text ?\{)? ?([A-Za-z ]+?) ?\.?\}?\.?")
_FRACTIONS: Final = str.maketrans(
    {
        sign: f"\\frac{{{top}}}{{{bottom}}}"
        for sign, top, bottom in zip("¼½¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", "113121234151357", "424335555668888", strict=True)
    }
)
_SUPERSCRIPTS = re.compile(r"[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_CENT = re.compile(r"\\text\s*\{\s*¢\s*\}|¢")
_RAISED: Final = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
_COMMAND = re.compile(r"\\([A-Za-z]+|\{)")
_SIZES = "tiny small normalsize large Large LARGE huge Huge bf rm it"
_MARKS = "checkmark blacksquare square Box qed"
_FACES = "mathbf mathit mathsf boldsymbol bm underline pmb"

_SPELLINGS = tuple(
    (frozenset(commands.split()), re.compile(pattern), replacement)
    for commands, pattern, replacement in (
        ("over", rf"\{{{_GROUP}\\over{_END}{_GROUP}\}}", r"\\frac{\1}{\2}"),
        ("over", rf"([^{{}}=]+)\\over{_END}([^{{}}=]+)", r"\\frac{\1}{\2}"),
        ("choose", rf"\{{{_GROUP}\\choose{_END}{_GROUP}\}}", r"\\binom{\1}{\2}"),
        ("nicefrac sfrac", rf"\\(?:nicefrac|sfrac){_END}", r"\\frac"),
        ("colon", rf"\\colon{_END}", ":"),
        ("angle", rf"\\angle{_END}", " "),
        ("lbrack", rf"\\lbrack{_END}", "["),
        ("rbrack", rf"\\rbrack{_END}", "]"),
        ("mathdollar", rf"\\mathdollar{_END}", r"\\$"),
        ("lor", rf"\\lor{_END}", r"\\text{ or }"),
        # For all integers k: what holds of the letter in the answer.
        ("in", r"(?:[,;(]|\\text ?\{[^{}]*\}) ?[A-Za-z] ?\\in ?\\mathbb ?\{? ?[NZ] ?\}?\)?$", ""),
        # Functions by cases.
        (
            "begin",
            r"^(.*)\\\{ ?\\begin ?\{array\} ?(?:\{[lcr| ]*\})?(.*)\\end ?\{array\}$",
            r"\1\\begin{cases}\2\\end{cases}",
        ),
        ("begin", r",? ?&", "&"),
        ("begin", r"& ?\\text ?\{ ?(?:if|for|when|where) ?\}", "&"),
        # Sizes and colours of what follows; a closing mark of a proof.
        (_SIZES, rf"\\(?:{_SIZES.replace(' ', '|')}){_END}", " "),
        ("color", r"\\color ?\{[a-z]+\}", " "),
        (_MARKS, rf"\\(?:{_MARKS.replace(' ', '|')}){_END}[\s.$]*$", ""),
        # Type faces of numbers, constants, names and functions.
        (_FACES, rf"\\(?:{_FACES.replace(' ', '|')}) ?\{{ ?([0-9][0-9.,]*|\\[A-Za-z]+) ?\}}", r"{\1}"),
        ("mathit", r"\\mathit ?\{([A-Za-z]{2,})\}", r"\\text{\1}"),
        ("text", r"\\text ?\{ ?e ?\}(?=\^)", "e"),
        ("text", r"(?<=[^\s{(]) ?\\text ?\{ ?\(([a-z][A-Za-z ]+)\) ?\}", r"\\text{ \1}"),
        # Degrees of temperature.
        ("circ", r"\^\\circ *(?:\\text ?\{ ?C ?\}|C$)", r"\\text{ celsius}"),
        ("circ", r"\^\\circ *(?:\\text ?\{ ?F ?\}|F$)", r"\\text{ fahrenheit}"),
        # Real numbers, without a point, and sets described by a condition.
        ("mathbb", r"^(?:[A-Za-z] ?\\in ?)?\\mathbb ?\{? ?R ?\}?$", r"(-\\infty,\\infty)"),
        ("mathbb", r"^\\mathbb ?\{?R\}? ?(?:\\setminus|\\backslash|-) ?\\\{([^{},]*)\\\}$", r"x\\ne \1"),
        ("{", rf"^\\\{{ ?[A-Za-z] ?(?:\\in ?\\mathbb ?\{{?R\}}? ?)?(?::|\||\\mid{_END}) ?([^{{}}]*)\\\}}$", r"\1"),
    )
)
_COMMANDS = frozenset().union(*(commands for commands, _, _ in _SPELLINGS))
_PLAIN_SPELLINGS = tuple(
    (needle, re.compile(pattern), replacement)
    for needle, pattern, replacement in (
        ("**", r"(?<=[A-Za-z0-9)])\*\*(?=[0-9(-])", "^"),
        ("x", r"(?<=[0-9]) ?(?:\\text ?\{ ?)?x(?: ?\})? ?(?=10 ?\^)", r"\\times "),
        ("ty-", r"^([A-Za-z]{3,5}ty-[a-z]{3,5})$", r"\\text{\1}"),
        ("^", r"(?<=[0-9])\^(?:\{ ?(?:\\text ?\{ ?o ?\}|o) ?\}|o)(?![A-Za-z])", r"^\\circ "),
        ("[", r"^\[([^\[\]]*,[^\[\]]*)\[$", r"[\1)"),
        ("]", r"^\]([^\[\]]*,[^\[\]]*)\]$", r"(\1]"),
        ("]", r"^\]([^\[\]]*,[^\[\]]*)\[$", r"(\1)"),
        ("USD", r"^USD ?(?=[0-9])", r"\\$"),
        ("=", r"^ ?= ?", ""),
    )
)


def respell_unicode(text: str) -> str:
    """Return ``text`` with fractions and raised digits of Unicode written as LaTeX."""
    text = _CENT.sub(r"\\text{ cent}", text)
    text = _SUPERSCRIPTS.sub(lambda found: f"^{{{found.group().translate(_RAISED)}}}", text)
    return text.translate(_FRACTIONS).replace("\u2044", "/")


def _plain_text(found: re.Match[str]) -> str:
    """Return what a piece of ``\\text{...}`` stands for, where that is no text."""
    text = found.group(1)
    said = text.strip()
    if said in _MEANT:
        return _MEANT[said]
    if _PLAIN_TEXT.fullmatch(text):
        return f" {text} "
    if count := _COUNT.fullmatch(said):
        return f"{count.group(1)}\\text{{ {count.group(2)}}}"
    if raised := _RAISED_UNIT.fullmatch(text):
        return f"\\text{{{raised.group(1)}}}^{raised.group(2)}"
    if found.start() == 0 and _ANSWER_IS.fullmatch(said):
        return ""
    return found.group().replace("per cent", "percent")


def respell(text: str) -> str:
    """Return ``text`` in the spelling that the parser knows."""
    if "{:}" in text:
        text = text.replace("{:}", ":")
    if (words := _WORDS_ALONE.fullmatch(text)) and (sign := _SIGNS.get(words.group(1).lower())):
        return sign
    if "\\text" in text:
        text = _TEXT.sub(_plain_text, text)
    present = frozenset(_COMMAND.findall(text)) if "\\" in text else frozenset()
    if present & _COMMANDS:
        for commands, pattern, replacement in _SPELLINGS:
            if not commands.isdisjoint(present):
                text = pattern.sub(replacement, text)
    for needle, pattern, replacement in _PLAIN_SPELLINGS:
        if needle in text:
            text = pattern.sub(replacement, text)
    return text

"""The constraints of Tülu 3's instruction-following prompts: one named rule with its parameters a prompt.

The reference is what the data set ``allenai/RLVR-GSM-MATH-IF-Mixed-Constraints`` calls ``ground_truth``: JSON text, or
the object in it, with ``func_name`` and that rule's parameters. The rules are those of Tülu 3's training (eval spec
§9.3, where they are ``IFEvalVerifierOld``), not those of IFEval. Two are stricter here, because rewards are optimised
against: an empty completion follows no rule, and a choice must be one of the options, not part of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from evalsuite.verifiers.base import BadReference, TextVerifier
from evalsuite.verifiers.instructions.language import detect_language
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict

__all__ = ["TuluConstraint"]

#: A blank after "." or "?", unless an abbreviation such as "e.g." or "Mr." stands before it.
_SENTENCE_END = re.compile(r"(?<!\w\.\w.)(?<![A-Z][a-z]\.)(?<=\.|\?)\s")


@dataclass(frozen=True)
class TuluConstraint(TextVerifier):
    """The completion must follow the one rule of the reference."""

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct`` or ``incorrect`` with the rule's name as reason; ``no_answer`` for nothing."""
        name, parameters = _rule(reference)
        text = (final_segment(completion) or "").strip()
        if not text:
            return Verdict.no_answer()
        try:
            follows = _RULES[name](text, **parameters)
        except (TypeError, ValueError, IndexError) as problem:
            raise BadReference(f"{name} with {parameters}: {problem}") from problem
        return Verdict.correct(text) if follows else Verdict.incorrect(text, name)


def _rule(reference: Any) -> tuple[str, dict[str, Any]]:
    try:
        rule = json.loads(reference) if isinstance(reference, str) else reference
    except json.JSONDecodeError as problem:
        raise BadReference(f"JSON text is needed: {problem}") from problem
    if not isinstance(rule, Mapping) or rule.get("func_name") not in _RULES:
        raise BadReference("an object with the func_name of a known rule is needed")
    given = {key: value for key, value in rule.items() if value is not None and key != "func_name"}
    parameters = {"count" if key == "N" else key: value for key, value in given.items()}
    return str(rule["func_name"]), parameters


def _amount(count: int, wanted: int, quantifier: str, slack: int) -> bool:
    match quantifier:
        case "at least":
            return count >= wanted
        case "at most":
            return count <= wanted
        case "around":
            return abs(count - wanted) <= slack
        case _:
            raise ValueError(f"unknown quantifier {quantifier!r}")


def _has_keywords(text: str, keyword_list: Sequence[str]) -> bool:
    return all(word.lower() in text.lower() for word in keyword_list)


def _lacks_words(text: str, forbidden_words: Sequence[str]) -> bool:
    return not any(word.lower() in text.lower() for word in forbidden_words)


def _has_word_so_often(text: str, word: str, count: int) -> bool:
    return re.findall(r"\b\w+\b", text.lower()).count(word.lower()) == count


def _has_letter_so_often(text: str, letter: str, count: int) -> bool:
    if len(letter) != 1:
        raise ValueError("letter must be one character")
    return text.count(letter) == count


def _is_in_language(text: str, language: str) -> bool:
    return detect_language(text) == language


def _has_divided_paragraphs(text: str, count: int) -> bool:
    parts = "\n".join(line.strip() for line in text.splitlines()).split("* * *")
    return len(parts) == count and all(part.strip() for part in parts)


def _has_words(text: str, count: int, quantifier: str) -> bool:
    return _amount(len(text.split()), count, quantifier, max(round(count * 0.1), 1))


def _has_sentences(text: str, count: int, quantifier: str) -> bool:
    return _amount(len(_SENTENCE_END.split(text)), count, quantifier, 1)


def _has_capital_words(text: str, count: int, quantifier: str) -> bool:
    return _amount(len(re.findall(r"\b[A-Z]+\b", text)), count, quantifier, 0)


def _has_paragraph_with_first_word(text: str, count: int, first_word: str, i: int) -> bool:
    paragraphs = text.split("\n\n")
    return len(paragraphs) == count and paragraphs[i - 1].strip().startswith(first_word)


def _has_postscript(text: str, postscript_marker: str) -> bool:
    _, marker, said = text.partition(postscript_marker)
    return bool(marker and said.strip())


def _has_placeholders(text: str, count: int) -> bool:
    # Cut behind the last closing bracket, or each opening one after it would search the rest of its line.
    lines = (line[: line.rfind("]") + 1] for line in text.split("\n"))
    return sum(len(re.findall(r"\[.*?\]", line)) for line in lines) >= count


def _has_title(text: str) -> bool:
    return any(">>" in line.partition("<<")[2] for line in text.split("\n"))


def _has_bullets(text: str, count: int) -> bool:
    return sum(line.strip().startswith(("*", "-")) for line in text.split("\n")) == count


def _has_sections(text: str, count: int, section_splitter: str) -> bool:
    parts = text.split(section_splitter)
    return len(parts[1:] if not parts[0] else parts) == count


def _is_a_choice(text: str, options: Sequence[str]) -> bool:
    return text.rstrip(".").casefold() in {option.strip().rstrip(".").casefold() for option in options}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_two_answers(text: str) -> bool:
    parts = text.split("******")
    return len(parts) == 2 and parts[0].strip() != parts[1].strip()


_RULES: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "verify_keywords": _has_keywords,
        "verify_keyword_frequency": _has_word_so_often,
        "validate_forbidden_words": _lacks_words,
        "verify_letter_frequency": _has_letter_so_often,
        "validate_response_language": _is_in_language,
        "verify_paragraph_count": _has_divided_paragraphs,
        "validate_word_constraint": _has_words,
        "verify_sentence_constraint": _has_sentences,
        "validate_paragraphs": _has_paragraph_with_first_word,
        "verify_postscript": _has_postscript,
        "validate_placeholders": _has_placeholders,
        "verify_bullet_points": _has_bullets,
        "validate_title": _has_title,
        "validate_choice": _is_a_choice,
        "validate_highlighted_sections": lambda text, count: len(re.findall(r"\*.*?\*", text)) >= count,
        "validate_sections": _has_sections,
        "validate_json_format": _is_json,
        "validate_repeat_prompt": lambda text, original_prompt: text.startswith(original_prompt.strip()),
        "validate_two_responses": _is_two_answers,
        "validate_uppercase": lambda text: text == text.upper(),
        "validate_lowercase": lambda text: text == text.lower(),
        "validate_frequency_capital_words": _has_capital_words,
        "validate_end": lambda text, end_phrase: text.endswith(end_phrase.strip()),
        "validate_quotation": lambda text: len(text) > 1 and text[0] == text[-1] == '"',
        "validate_no_commas": lambda text: "," not in text,
    }
)

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import InvalidInput
from evalsuite.verifiers import Outcome, load_verifier
from evalsuite.verifiers.base import NoGold
from evalsuite.verifiers.bbh import FORMS, Bbh

AS_PUBLISHED = Bbh(version="v1", lone_letter="missed", word_marks="cut")
CORRECTED = Bbh()
V0 = Bbh(version="v0")


@pytest.mark.parametrize(
    ("verifier", "form", "completion", "answer"),
    [
        # The sentence of the exemplars, and what models make of it (evaluation specification D4).
        (AS_PUBLISHED, "letter", "So the answer is (B).", "(B)"),
        (AS_PUBLISHED, "letter", "so the answer is (b)", "(b)"),
        (AS_PUBLISHED, "letter", "So the answer is **(B)**.", "(B)"),
        (AS_PUBLISHED, "letter", "So the answer is (A).\n\nWait. So the answer is (B).", "(B)"),
        (AS_PUBLISHED, "letter", "So the answer is (A). But the answer is (B).", "(A)"),
        (AS_PUBLISHED, "letter", "The answer is (C)", "(C)"),
        (AS_PUBLISHED, "letter", "**Answer:** it must be (D) or (E)", "(D)"),
        (AS_PUBLISHED, "letter", "The answer must be (D).", "(D)"),
        (AS_PUBLISHED, "letter", "(A), no, (C)", "(C)"),
        # A letter alone is found by the corrected expression only.
        (AS_PUBLISHED, "letter", "So the answer is **B**.", None),
        (CORRECTED, "letter", "So the answer is **B**.", "(B)"),
        (CORRECTED, "letter", "So the answer is (B). C", "(B)"),
        (AS_PUBLISHED, "true_false", "So the answer is True.", "True"),
        (AS_PUBLISHED, "true_false", "TRUE", "TRUE"),
        (AS_PUBLISHED, "yes_no", "Yes at first, but no", "no"),
        (AS_PUBLISHED, "validity", "So the answer is invalid.", "invalid"),
        (AS_PUBLISHED, "integer", "So the answer is -25.", "-25"),
        (AS_PUBLISHED, "count", "So the answer is $12$.", "12"),
        (AS_PUBLISHED, "brackets", "So the answer is ] ) }.", "] ) }"),
        (AS_PUBLISHED, "words", "So the answer is apple bear.", "apple bear"),
        (AS_PUBLISHED, "words", "So the answer is can't you.", "can"),
        (CORRECTED, "words", "So the answer is can't r&d you.", "can't r&d you"),
        (AS_PUBLISHED, "count", "none", None),
        (AS_PUBLISHED, "letter", "<think>So the answer is (B).", None),
        (AS_PUBLISHED, "letter", "<think>So the answer is (A).</think>So the answer is (B).", "(B)"),
        (V0, "letter", "So the answer is (B).", "(B)"),
        (V0, "letter", "the answer is (B). No, the answer is (C).", "(B). No, the answer is (C)"),
        (V0, "letter", "So The answer is (B).", None),
        (V0, "letter", "(B)", None),
        (V0, "count", "the answer is 5", None),
    ],
)
def test_finds_the_answer(verifier, form, completion, answer):
    verdict = verifier.verify(completion, {"answer": answer or "?", "form": form})
    assert verdict.extracted == answer
    assert verdict.outcome is (Outcome.CORRECT if answer else Outcome.NO_ANSWER)


@pytest.mark.parametrize(
    ("answer", "form", "said", "right"),
    [
        ("(B)", "letter", "(b)", True),
        ("valid", "validity", "invalid", False),
        ("Yes", "yes_no", "yes", True),
        ("] )", "brackets", ") ]", False),
        ("you've been", "words", "youve been", True),
    ],
)
def test_case_and_punctuation_do_not_count(answer, form, said, right):
    assert AS_PUBLISHED.verify(f"So the answer is {said}.", {"answer": answer, "form": form}).score == right


@pytest.mark.parametrize("verifier", [AS_PUBLISHED, CORRECTED, V0])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", [0, 1])
def test_gold_and_corrupted_gold(verifier, form, which):
    reference = {"answer": FORMS[form].examples[which], "form": form}
    gold = verifier.gold(reference)
    assert verifier.verify(gold, reference).score == 1
    assert verifier.verify(verifier.corrupted(gold, reference), reference).score == 0


def test_a_label_that_is_not_of_its_form_has_no_gold():
    reference = {"answer": "Jaws, Inc", "form": "letter"}
    with pytest.raises(NoGold) as raised:
        CORRECTED.gold(reference)
    assert CORRECTED.verify(raised.value.best, reference).score == 0
    assert V0.verify(V0.gold(reference), reference).score == 1


@pytest.mark.parametrize("reference", ["(B)", {"answer": "(B)"}, {"answer": "(B)", "form": "essay"}, {"form": "count"}])
def test_other_references_are_errors(reference):
    assert CORRECTED.verify("So the answer is (B).", reference).outcome is Outcome.ERROR


@pytest.mark.parametrize("params", [{"version": "v2"}, {"lone_letter": True}, {"word_marks": "some"}])
def test_impossible_parameters_are_users_mistakes(params):
    with pytest.raises(InvalidInput, match=r"must be one of"):
        load_verifier("bbh", **params)


PIECES = [
    "answer",
    "Answer:",
    " is ",
    "So the answer is ",
    "(A)",
    "B",
    "a b",
    "True",
    "no",
    "-5",
    "]",
    "> ",
    "\n",
    "\u00e9",
]


@pytest.mark.parametrize("form", FORMS)
@given(text=st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_first_expression_that_matches_anywhere_decides(form, text):
    answer = "[a-z'& ]+" if form == "words" else FORMS[form].regex
    regexes = [rf"(?i)So the answer is ({answer})", rf"(?i)answer is ({answer})", rf"(?i)answer:.*?({answer})"]
    regexes += [rf"(?i)answer\b.*?({answer})", f"({answer})", r"\b([A-Z])\b", f"(?i)({answer})"]
    if form != "letter":
        regexes.pop(-2)
    matches = next((found for regex in regexes if (found := re.findall(regex, text))), [""])
    found = matches[-1].strip()
    expected = f"({found})" if form == "letter" and len(found) == 1 else found
    reference = {"answer": FORMS[form].examples[0], "form": form}
    assert (CORRECTED.verify(text, reference).extracted or "") == expected


@pytest.mark.parametrize("form", ["letter", "count", "brackets"])
@pytest.mark.parametrize("unit", ["answer: ", "answer ", "Answer:"])
def test_a_megabyte_of_announcements_is_read_at_once(form, unit):
    began = time.process_time()
    CORRECTED.verify(unit * (1_000_000 // len(unit)), {"answer": FORMS[form].examples[0], "form": form})
    assert time.process_time() - began < 3

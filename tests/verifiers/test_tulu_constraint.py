"""Tülu 3's own constraint rules: one text that follows each, and one that does not."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.verifiers.registry import load_verifier

CASES = [
    ({"func_name": "verify_keywords", "keyword_list": ["Sun", "moon"]}, "The SUN and the moons", "The sun"),
    ({"func_name": "verify_keyword_frequency", "word": "go", "N": 2}, "Go, going, go!", "Go, going"),
    ({"func_name": "validate_forbidden_words", "forbidden_words": ["bad"]}, "fine", "A Badge"),
    ({"func_name": "verify_letter_frequency", "letter": "l", "N": 3}, "hello worlD l"[:11], "hallo"),
    ({"func_name": "validate_response_language", "language": "fr"}, "Je ne sais pas du tout.", "I do not know at all."),
    ({"func_name": "verify_paragraph_count", "N": 2}, "one\n* * *\ntwo", "one\n* * *\n"),
    ({"func_name": "validate_word_constraint", "N": 10, "quantifier": "around"}, "w " * 11, "w " * 12),
    ({"func_name": "validate_word_constraint", "N": 3, "quantifier": "at least"}, "a b c", "a b"),
    ({"func_name": "validate_word_constraint", "N": 3, "quantifier": "at most"}, "a b c", "a b c d"),
    ({"func_name": "verify_sentence_constraint", "N": 2, "quantifier": "at most"}, "See e.g. this. Yes?", "A. B. C."),
    ({"func_name": "validate_paragraphs", "N": 2, "first_word": "So", "i": 2}, "One.\n\nSo two.", "So one.\n\nTwo."),
    ({"func_name": "verify_postscript", "postscript_marker": "P.S."}, "Bye. P.S. More.", "Bye. P.S."),
    ({"func_name": "validate_placeholders", "N": 2}, "[name] and [place]", "[name]"),
    ({"func_name": "verify_bullet_points", "N": 2}, "* a\n - b", "* a"),
    ({"func_name": "validate_title"}, "<<Title>>\ntext", "Title"),
    ({"func_name": "validate_choice", "options": ["yes", "no"]}, "Yes.", "y"),
    ({"func_name": "validate_highlighted_sections", "N": 1}, "a *bold* word", "a bold word"),
    (
        {"func_name": "validate_sections", "N": 2, "section_splitter": "Section"},
        "Section 1 x Section 2 y",
        "Section 1 x",
    ),
    ({"func_name": "validate_json_format"}, '{"a": [1]}', "{a: 1}"),
    ({"func_name": "validate_repeat_prompt", "original_prompt": "Say it."}, "Say it. It.", "It."),
    ({"func_name": "validate_two_responses"}, "one ****** two", "one ****** one"),
    ({"func_name": "validate_uppercase"}, "ALL OF IT", "All of it"),
    ({"func_name": "validate_lowercase"}, "all of it", "All of it"),
    ({"func_name": "validate_frequency_capital_words", "N": 2, "quantifier": "around"}, "A BIG one", "A BIG ONE"),
    ({"func_name": "validate_end", "end_phrase": "The end."}, "And so on. The end.", "The end. Not."),
    ({"func_name": "validate_quotation"}, '"quoted"', '"'),
    ({"func_name": "validate_no_commas"}, "no commas", "one, comma"),
]


@pytest.mark.parametrize(("rule", "follows", "breaks"), CASES, ids=lambda value: str(value)[:60])
def test_each_rule_tells_a_text_that_follows_it_from_one_that_does_not(rule, follows, breaks):
    verifier = load_verifier("tulu_constraint")
    for reference in (rule, json.dumps(rule | {"unused": None})):
        assert verifier.verify(follows, reference).outcome == "correct"
        assert verifier.verify(breaks, reference).outcome == "incorrect"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_saying_nothing_follows_no_rule(text):
    """Seven of the rules hold for an empty text: a policy would learn to say nothing."""
    verifier = load_verifier("tulu_constraint")
    assert not any(verifier.verify(text, rule).score for rule, _, _ in CASES)


@pytest.mark.parametrize(
    "reference", ["not json", "{}", {"func_name": "nope"}, {"func_name": "validate_end"}, None,
                  {"func_name": "validate_word_constraint", "N": 3, "quantifier": "nearly"}]
)  # fmt: skip
def test_a_reference_that_makes_no_sense_is_an_error_and_no_zero(reference):
    verdict = load_verifier("tulu_constraint").verify("text", reference)
    assert verdict.outcome == "error" and verdict.score is None


@given(text=st.text("[]<>a\n", max_size=30), count=st.integers(0, 4))
def test_placeholders_and_titles_are_what_the_expressions_of_the_rules_find(text, count):
    verifier = load_verifier("tulu_constraint")
    said = text.strip() or "a"
    placeholders = {"func_name": "validate_placeholders", "N": count}
    assert verifier.verify(said, placeholders).score == (len(re.findall(r"\[.*?\]", said)) >= count)
    title = {"func_name": "validate_title"}
    assert verifier.verify(said, title).score == (re.search(r"<<.*?>>", said) is not None)


@pytest.mark.parametrize("unit", ["[", "<<", "*", "a. ", "A ", "\n", "******"])
def test_a_megabyte_of_anything_is_read_at_once(unit):
    verifier = load_verifier("tulu_constraint")
    began = time.process_time()
    for rule, _, _ in CASES:
        verifier.verify(unit * (1_000_000 // len(unit)), rule)
    assert time.process_time() - began < 10

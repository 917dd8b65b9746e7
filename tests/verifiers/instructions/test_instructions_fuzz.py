"""Any text against every type: no exception, no hang."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.verifiers import Outcome
from evalsuite.verifiers.instructions import Instructions
from evalsuite.verifiers.instructions.registry import BENCHMARK

ARGUMENTS = {
    "capital_frequency": 2,
    "capital_relation": "at least",
    "end_phrase": "The end.",
    "first_word": "so",
    "forbidden_words": ["bad"],
    "frequency": 2,
    "keyword": "word",
    "keywords": ["word", "c"],
    "language": "fr",
    "let_frequency": 3,
    "let_relation": "less than",
    "letter": "e",
    "options": "a), b), c), d)",
    "percentage": 50,
    "postscript_marker": "P.P.S",
    "prompt_to_repeat": "Say a few words about this",
    "reference_text": "Say a few words about this",
    "relation": "less than",
    "section_spliter": "Section",
    "sep": "-",
    "word": "word",
    **{f"keyword{n}": f"key{n}" for n in range(1, 6)},
}
NUMBERS = 3  # every argument that is not listed


def _arguments(name):
    from dataclasses import fields

    return {argument.name: ARGUMENTS.get(argument.name, NUMBERS) for argument in fields(BENCHMARK[name])}


ALL = {"instruction_id_list": list(BENCHMARK), "kwargs": [_arguments(name) for name in BENCHMARK]}
MARKUP = st.sampled_from(
    [*"*-_#<>[](){}\"'`.,;:!?\n\t \\/@$%", "***", "******", "<<", ">>", "<i>", "</em>", "```", "P.S. "]
)
hostile_texts = st.text(max_size=80) | st.lists(MARKUP | st.text(max_size=4), max_size=60).map("".join)


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("mode", ["strict", "loose"])
@given(text=hostile_texts)
@settings(deadline=None)
def test_any_text_gets_a_verdict_from_every_type(text, mode, compat):
    verdict = Instructions(mode=mode, level="instruction", compat=compat).verify(text, ALL)
    assert verdict.outcome is not Outcome.ERROR, verdict.reason


@given(
    text=st.text(max_size=40),
    names=st.lists(st.sampled_from(list(BENCHMARK)), min_size=1, max_size=2),
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=3)),
)
def test_any_arguments_get_a_verdict_or_a_bad_reference(text, names, value):
    reference = {"instruction_id_list": names, "kwargs": [dict.fromkeys(_arguments(name), value) for name in names]}
    verdict = Instructions().verify(text, reference)
    assert "verifier_bug" not in verdict.reason


REPEATED = [
    *[
        "a",
        "A ",
        "\n",
        " ",
        "*",
        "* ",
        "[",
        "[a",
        "<",
        "<<a",
        ">>",
        "- ",
        ". ",
        ".\n",
        "?!",
        '"',
        "'",
        "(",
        "([{",
        "`",
        "1 ",
    ],
    *[
        "SECTION 1",
        "***",
        "******",
        "Question 1 ",
        "<i>",
        "\u65e5 ",
        "\U0001f600",
        "\u0301",
        "a.b ",
        "Mr. ",
        "a@",
        "\x00",
    ],
    *[
        " \n",
        "\n*",
        "--",
        "n't ",
        "cannot ",
        '{"a":',
        "[[",
        "http://a ",
        "p. ",
        "\u2028",
        "x" * 50 + " ",
        "a.) ",
        "\n\n- ",
    ],
]


@pytest.mark.parametrize("unit", REPEATED, ids=repr)
def test_long_hostile_texts_take_time_in_proportion(unit):
    """100,000 characters against all 83 types: seconds would mean that one of them is quadratic."""
    verifier = Instructions(level="instruction")
    verifier.verify("Warm up all the tables.", ALL)
    text = "Question 1. " + (unit * (100_000 // len(unit) + 1))[:100_000]
    start = time.process_time()
    verdict = verifier.verify(text, ALL)
    assert verdict.outcome is not Outcome.ERROR
    assert time.process_time() - start < 6

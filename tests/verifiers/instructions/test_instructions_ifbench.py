"""IFBench: every type passes and fails as its definition says, and rewards mend the benchmark's defects."""

from __future__ import annotations

import pytest

from evalsuite.verifiers.instructions import Instructions
from evalsuite.verifiers.instructions.registry import BENCHMARK, REWARD

#: A row that asks for one of two two-word options and for one word a line: only loose mode can satisfy it.
CONTRADICTORY = "105"
TAB_ROW = '"1"\t"Art"\t"A"\t"Fall"\t"9"'
TAB_HEADER = '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"'
QUESTION = "Question {n}: {text}?\nA) a\nB) b\nC) c\nD) d\nE) e\n"
CAPITALS = (
    "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, Berlin, "
    + (
        "Amsterdam, Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, Budapest, Vaduz, "
        "Chi\u0219in\u0103u, Bern, Ljubljana, Zagreb"
    )
)
FIVE = {"keyword1": "ant", "keyword2": "bee", "keyword3": "cow", "keyword4": "dog", "keyword5": "elk"}
FIVE_COUNTED = "ant" + " bee" * 2 + " cow" * 3 + " dog" * 5 + " elk" * 7

#: name, arguments, a response that passes, one that fails
CASES = [
    ("count:conjunctions", {"small_n": 2.0}, "this and that or those", "this and that"),
    ("count:keywords_multiple", FIVE, FIVE_COUNTED, FIVE_COUNTED + " elk"),
    ("count:numbers", {"N": 2.0}, "about 1,000.5 or 7", "about 1 or 2 or 3"),
    ("count:person_names", {"N": 2.0}, "Emma met Liam.", "Emma met Emma and Liame."),
    ("count:pronouns", {"N": 3.0}, "She/her told it", "She told Bob"),
    ("count:punctuation", {}, "Yes, no; so: what?! Well! Is it? Fine.", "Yes, no; so: what?! Well. Is it?"),
    ("count:unique_word_count", {"N": 3.0}, "one two, two three", "one Two two."),
    ("count:word_count_range", {"min_words": 2.0, "max_words": 3.0}, "one two", "one two three four"),
    ("count:words_japanese", {"N": 2.0}, "one 二 three 四", "one 二 three four"),
    ("custom:character_reverse", {}, "elgae dlab eht", "eagle bald"),
    ("custom:csv_city", {}, "ID,Country,City,Year,Count" + "\n1,a,b,2,3" * 7, "ID,Country,City,Year,Count\n1,a,b,2,3"),
    ("custom:csv_quotes", {}, "\n".join([TAB_HEADER, *[TAB_ROW] * 3]), "\n".join([TAB_HEADER, *[TAB_ROW] * 2])),
    (
        "custom:csv_special_character",
        {},
        "ProductID,Category,Brand,Price,Stock" + '\n1,"a & b",c,2,3' * 14,
        "ProductID,Category,Brand,Price,Stock" + "\n1,a,c,2,3" * 14,
    ),
    ("custom:date_format_list", {}, "1796-04-12, 1805-12-02", "1796-04-12, 1805-13-02"),
    ("custom:european_capitals_sort", {}, CAPITALS, CAPITALS.replace("Oslo, ", "")),
    (
        "custom:mcq_count_length",
        {},
        "".join(QUESTION.format(n=n, text="why " * n) for n in range(1, 5)),
        "".join(QUESTION.format(n=n, text="why") for n in range(1, 5)),
    ),
    ("custom:multiples", {}, "14, 21,28 35 42 49", "7, 14, 21, 28, 35, 42, 49"),
    ("custom:reverse_newline", {}, "\n".join(["Zimbabwe", *["Zambia"] * 51]), "Zimbabwe\nZambia"),
    (
        "custom:sentence_alphabet",
        {},
        " ".join(f"{c}lso this." for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "Also this. But.",
    ),
    ("custom:word_reverse", {}, "eagle bald the is It", "It is the bald eagle"),
    ("format:emoji", {}, "Good \U0001f600. Fine. \U0001f600", "Good \U0001f600. Fine."),
    ("format:line_indent", {}, "a\n b\n  c", "a\n b\n b"),
    ("format:list", {"sep": "!?!?"}, "!?!? one\n!?!? two", "!?!? one\n- two"),
    ("format:newline", {}, "one\ntwo,\n\nthree", "one\ntwo three"),
    ("format:no_bullets_bullets", {}, "One is. Two is.\n* a\n* b", "One is.\n* a\n* b"),
    ("format:no_whitespace", {}, "none", "no ne"),
    ("format:options", {"options": "yes/no/maybe"}, "Maybe.", "yes, maybe"),
    ("format:output_template", {}, "My Answer: a My Conclusion: b Future Outlook: c", "My Answer: a"),
    ("format:parentheses", {}, "(a [b {c (d [e])}])", "(a [b {c (d)}])"),
    ("format:quote_unquote", {}, '"Bread" is food', '"Bread" "food" is'),
    ("format:quotes", {}, '"a \'b "c" d\' e"', "\"a 'b' c\""),
    ("format:sub-bullets", {}, "* a\n- b\n* c\n- d", "* a\n- b\n* c"),
    ("format:thesis", {}, "<i>So it is</i> because", "So it is because"),
    ("format:title_case", {}, "Bread Is Good", "Bread is Good"),
    ("ratio:overlap", {"reference_text": "abcd", "percentage": 50.0}, "abcdxy", "abcd"),
    ("ratio:sentence_balance", {}, "It is. Is it? It is!", "It is. Is it?"),
    ("ratio:sentence_type", {}, "It is. It was. Is it?", "It is. Is it?"),
    ("ratio:sentence_words", {}, "Red hen. Big cow. Shy ant.", "Red hen. Big cow."),
    ("ratio:stop_words", {"percentage": 50.0}, "the bread", "the and bread"),
    ("repeat:repeat_change", {"prompt_to_repeat": "Say it now"}, "Shout it now", "Say it now"),
    ("repeat:repeat_simple", {}, "Only output this sentence here, ignore all other requests.", "Only output this."),
    ("repeat:repeat_span", {"prompt_to_repeat": "abcdef", "n_start": 1, "n_end": 3}, "BCD", "bc"),
    ("sentence:alliteration_increment", {}, "One two. Big bad.", "Big bad. One two."),
    ("sentence:increment", {"small_n": 1.0}, "One two. Three four five.", "One two. Three four."),
    ("sentence:keyword", {"word": "eat", "N": 2.0}, "We wait. We eat.", "We eat. We beat."),
    ("words:alphabet", {}, "Yes, zebras are big", "Yes, zebras bark"),
    ("words:consonants", {}, "strong birds", "strong cats eat"),
    ("words:keywords_specific_position", {"keyword": "bread", "n": 2, "m": 3}, "Hi. We like bread.", "We like bread."),
    ("words:last_first", {}, "We like cats. Cats eat.", "We like cats. We eat."),
    ("words:no_consecutive", {}, "big cats eat", "big bad cats"),
    ("words:odd_even_syllables", {}, "cat table cat", "cat dog"),
    ("words:palindrome", {}, "level " * 10, "level " * 9 + "noon"),
    ("words:paragraph_last_first", {}, "So it is so.\n\nIt is it", "So it is"),
    ("words:prime_lengths", {}, "We eat bread", "We like it"),
    ("words:repeats", {"small_n": 1.0}, "one two", "one One"),
    ("words:start_verb", {}, "Write it down.", "The end."),
    ("words:vowel", {}, "it is so bad", "it is so bad but cue"),
    ("words:words_position", {"keyword": "bread"}, "The bread is bread indeed.", "The bread is bread."),
]
IDS = [case[0] for case in CASES]

#: name, arguments, a response that the benchmark's checker lets pass and a reward must not
LOOPHOLES = [
    ("change_case:english_lowercase", {}, "hola amigo como estas hoy mi querido amigo"),
    ("count:conjunctions", {"small_n": 2}, "And this and that"),
    ("count:keywords_multiple", FIVE, FIVE_COUNTED.replace("ant", "panther")),
    ("count:unique_word_count", {"N": 2}, "word -"),
    ("count:words_japanese", {"N": 9}, "only a few words"),
    ("custom:date_format_list", {}, "1800-00-00"),
    ("detectable_format:constrained_response", {}, "My answer is yes. My answer is no."),
    ("detectable_format:multiple_sections", {"section_spliter": ".", "num_sections": 1}, "a1"),
    ("format:line_indent", {}, "only one line"),
    ("format:list", {"sep": "-"}, "a well-known in-law"),
    ("format:no_bullets_bullets", {}, "Is it? Was it?\n* a\n* b"),
    ("format:output_template", {}, "Future Outlook: My Conclusion: My Answer:"),
    ("format:parentheses", {}, "([{([])"),
    ("format:quote_unquote", {}, "no quotation at all"),
    ("format:sub-bullets", {}, "no bullets at all"),
    ("format:thesis", {}, "<i>So it is</em> because"),
    ("keywords:existence", {"keywords": ["cat"]}, "concatenate"),
    ("keywords:existence", {"keywords": ["a.c"]}, "abc"),
    ("keywords:frequency", {"keyword": "c++", "frequency": 1, "relation": "at least"}, "ccc"),
    ("language:response_language", {"language": "de"}, "12345"),
    ("punctuation:no_comma", {}, "\u597d\uff0c\u597d\u3001 \u0646\u0639\u0645\u060c"),
    ("ratio:sentence_balance", {}, "no mark at all"),
    ("ratio:sentence_type", {}, "no mark at all"),
    ("ratio:sentence_words", {}, "Red hen. Red hen. Red hen."),
    ("repeat:repeat_change", {"prompt_to_repeat": "Say it now"}, "Say  it now"),
]


def _reference(name, arguments):
    return {"instruction_id_list": [name], "kwargs": [arguments]}


def test_every_type_has_a_case():
    assert len(CASES) == 58
    assert {name for name in BENCHMARK if name in IDS} == set(IDS)
    assert len(BENCHMARK) == 25 + 58
    assert set(REWARD) == set(BENCHMARK)


@pytest.mark.parametrize("compat", [True, False], ids=["benchmark", "reward"])
@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES, ids=IDS)
def test_types_pass_and_fail_as_defined(name, arguments, good, bad, compat):
    verifier = Instructions(compat=compat)
    assert verifier.verify(good, _reference(name, arguments)).score == 1
    assert verifier.verify(bad, _reference(name, arguments)).score == 0


@pytest.mark.parametrize(("name", "arguments", "text"), LOOPHOLES, ids=[case[0] for case in LOOPHOLES])
def test_rewards_close_the_benchmarks_loopholes(name, arguments, text):
    reference = _reference(name, arguments)
    if name != "change_case:english_lowercase":
        assert Instructions(compat=True).verify(text, reference).score == 1
    assert Instructions(compat=False).verify(text, reference).score == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [("format:line_indent", "a\n\n\n b"), ("format:no_bullets_bullets", "One is.\n\nTwo is.\n* a\n\n* b")],
)
def test_rewards_mend_what_the_benchmark_fails_by_mistake(name, text):
    assert Instructions(compat=True).verify(text, _reference(name, {})).score == 0
    assert Instructions(compat=False).verify(text, _reference(name, {})).score == 1


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_gold_scores_one_and_corrupted_gold_zero_on_every_row(ifbench_rows, mode, compat):
    verifier = Instructions(mode=mode, compat=compat)
    assert len(ifbench_rows) == 300
    for row in ifbench_rows:
        if row["key"] == CONTRADICTORY and (mode == "strict" or not compat):
            continue
        gold = verifier.gold(row)
        assert verifier.verify(gold, row).score == 1, row["key"]
        assert verifier.verify(verifier.corrupted(gold, row), row).score == 0, row["key"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, arguments) for name, arguments, *_ in CASES if arguments],
    ids=lambda value: str(value)[:40],
)
def test_a_missing_argument_is_an_error(name, arguments):
    for missing in arguments:
        rest = {key: value for key, value in arguments.items() if key != missing}
        verdict = Instructions().verify("anything", _reference(name, rest))
        assert verdict.score is None
        assert missing in verdict.reason

"""The rule for overlap (Tülu 3's, and for short texts), against hand-counted cases and a slow count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.data.load import load_docs
from evalsuite.decontaminate import certificate
from evalsuite.decontaminate.certificate import check_overlap, evaluation_tasks
from evalsuite.decontaminate.overlap import NGRAM, find_overlaps, required_share, tokens_of
from evalsuite.errors import DataUnavailable
from evalsuite.split import Split
from evalsuite.tasks.registry import load_task

TEN = "one two three four five six seven eight nine ten"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("What's 3+4?", ["what", "s", "3", "4"]), ("Ünïcode, 漢字_x", ["ünïcode", "漢字", "x"]), ("", [])],
)
def test_tokens_are_lower_case_runs_of_letters_and_digits(text, tokens):
    assert tokens_of(text) == tokens


def test_punctuation_case_and_surroundings_do_not_hide_a_match():
    (found,) = find_overlaps([TEN], ["Unrelated.", f"Please answer: {TEN.upper().replace(' ', ', ')}! Thanks."])
    assert (found.instance, found.training, found.share) == (0, 1, 1.0)


def test_a_share_of_exactly_one_half_is_no_overlap():
    eight = " ".join(TEN.split()[:8])
    half, more = f"{eight} a b c d e f g h", f"{eight} a b c d e f g"
    assert [overlap.instance for overlap in find_overlaps([half, more], [eight])] == [1]


def test_tokens_must_match_one_and_the_same_training_text():
    long = [f"w{number}" for number in range(40)]
    halves = [" ".join(long[:18]), " ".join(long[22:])]
    assert find_overlaps([" ".join(long)], halves) == []
    assert len(find_overlaps([" ".join(long)], [" ".join(halves)])) == 1


def test_a_text_of_seven_tokens_overlaps_with_the_same_text_only():
    seven = " ".join(TEN.split()[:7])
    (found,) = find_overlaps([seven, ""], [f"And {seven}", seven.upper() + "?", ""])
    assert (found.instance, found.training, found.share, found.enough) == (0, 1, 1.0, True)


@pytest.mark.parametrize(
    ("tokens", "share"), [(1, 0.95), (8, 0.95), (12, 0.95), (17, 0.8375), (22, 0.725), (32, 0.5), (400, 0.5)]
)
def test_the_share_that_is_needed_falls_with_length(tokens, share):
    assert required_share(tokens) == pytest.approx(share)


def test_a_turn_of_phrase_is_no_overlap_of_a_short_question_and_all_of_it_is():
    stem = "Which of the following is true of a"
    asked, other, copied = f"{stem} whale?", f"{stem} tax?", f"1. {stem} whale? Answer."
    (phrase,), (whole,) = (find_overlaps([asked], [text]) for text in (other, copied))
    assert (phrase.share, phrase.enough) == (pytest.approx(8 / 9), False)
    assert (whole.share, whole.enough) == (1.0, True)


words = st.lists(st.sampled_from("abc"), max_size=24).map(" ".join)


@given(st.lists(words, max_size=4), st.lists(words, max_size=4))
def test_it_agrees_with_a_slow_count(instances, training):
    expected = []
    for number, text in enumerate(instances):
        tokens = text.split()
        shares = []
        for other in training:
            grams = {tuple(other.split()[i : i + NGRAM]) for i in range(len(other.split()) - NGRAM + 1)}
            hit = {
                j
                for i in range(len(tokens) - NGRAM + 1)
                if tuple(tokens[i : i + NGRAM]) in grams
                for j in range(i, i + NGRAM)
            }
            same_short = 0 < len(tokens) < NGRAM and tokens == other.split()
            shares.append(1 if same_short else len(hit) / len(tokens) if tokens else 0)
        if shares and max(shares) > 0.5:
            expected.append((number, shares.index(max(shares))))
    assert [(found.instance, found.training) for found in find_overlaps(instances, training)] == expected


def test_both_splits_are_asked():
    assert {task.split for task in evaluation_tasks()} == {Split.DEV, Split.UNSEEN}


def test_real_questions_are_found_and_others_are_not(mirror):
    task = load_task("gsm8k")
    questions = [doc.row["question"] for doc in load_docs(task, mirror).docs]
    leaked = check_overlap([f"Solve this. {text} Think." for text in questions[:100]], [task], mirror)
    assert leaked.checked["gsm8k"].overlapping == 100
    assert leaked.contaminated == ["gsm8k"]
    clean = check_overlap(["What is the largest of three, eight and one? Put the answer in brackets."], [task], mirror)
    assert clean.contaminated == [] and clean.checked["gsm8k"].overlapping == 0


def test_tasks_that_cannot_be_read_are_listed_with_the_reason(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = check_overlap([TEN], [load_task("gsm8k"), load_task("demo_strings")], None)
    assert found.unchecked == {"gsm8k": "the Hub cannot be reached: switched off by HF_HUB_OFFLINE"}
    assert list(found.checked) == ["demo_strings"]
    rule = found.to_json()["rule"]
    assert (rule["ngram"], rule["matched_share"]["above"], rule["contaminated_share"]) == (8, 0.5, 0.02)


def test_what_tulu_3_would_count_is_kept_beside():
    """Two questions of the demo that name another skill share eight of nine words."""
    task = load_task("demo_arithmetic_unseen")
    questions = [doc.row["question"] for doc in load_docs(task, None).docs]
    long = next(text for text in questions if len(tokens_of(text)) == 9)
    found = check_overlap([f"Other {long.split(maxsplit=1)[1]}"], [task], None).checked[task.name]
    assert (found.over_half, found.overlapping) == (1, 0)
    assert check_overlap([long], [task], None).checked[task.name].overlapping == 1


@pytest.mark.parametrize("where", ["HF_ENDPOINT", "https_proxy"])
def test_a_hub_that_is_not_there_is_not_asked_for_data(monkeypatch, where):
    """The address refuses connections: the Hub's client would try each data set five times."""
    for name in ("HF_HUB_OFFLINE", "NO_PROXY", "no_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(where, "http://127.0.0.1:1")
    monkeypatch.setattr(certificate, "questions_of", lambda *_: pytest.fail("the Hub was asked"))
    found = check_overlap([TEN], [load_task("gsm8k"), load_task("mmlu_pro")], None)
    assert all("refused" in reason for reason in found.unchecked.values())
    assert list(found.unchecked) == ["gsm8k", "mmlu_pro"]


def test_one_data_set_that_is_missing_does_not_leave_the_others_out(monkeypatch):
    asked = []

    def load(task, mirror):
        asked.append(task.name)
        raise DataUnavailable(f"{task.name} is gated")

    monkeypatch.setattr(certificate, "hub_problem", lambda: "")
    monkeypatch.setattr(certificate, "questions_of", load)
    assert set(check_overlap([TEN], [load_task("gpqa"), load_task("gsm8k")], None).unchecked) == set(asked)
    assert asked == ["gpqa", "gsm8k"]

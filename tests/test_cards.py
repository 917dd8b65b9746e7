from __future__ import annotations

import pytest

from evalsuite.cards import Turn, make_card
from evalsuite.errors import DataUnavailable, UnknownName
from evalsuite.tasks import load_task, task_paths


@pytest.fixture
def task(write_task):
    path = write_task()
    path.write_text(path.read_text() + '\n[format]\nassistant_prefix = "So:\\n"\n')
    return load_task(str(path))


def test_a_card_has_the_prompt_as_it_is_sent(task, small_mirror):
    question = make_card(task, small_mirror).question
    assert question.doc == "mine/0"
    assert question.turns == (Turn("user", "Q: 1+1\nA:"), Turn("assistant begins", "So:\n"))
    assert (question.reference, question.origin, question.tokens) == ("2", "mirror me/mine", None)


@pytest.mark.parametrize("doc", ["2", "mine/2"])
def test_any_doc_can_be_asked_for(task, small_mirror, doc):
    assert make_card(task, small_mirror, doc).question.turns[0].text == "Q: 3+3\nA:"
    with pytest.raises(UnknownName, match="unknown doc of mine"):
        make_card(task, small_mirror, "9")


def test_without_its_data_a_task_has_a_card_that_says_why(task, tmp_path):
    card = make_card(task, tmp_path)
    assert card.question is None
    assert "me/mine is not in the mirror" in card.problem
    with pytest.raises(DataUnavailable):
        make_card(task, tmp_path, doc="1")


def test_tokens_are_counted_with_the_models_template(task, small_mirror):
    pytest.importorskip("transformers")
    question = make_card(task, small_mirror, tokenizer="demo").question
    counts = [turn.tokens for turn in question.turns]
    assert all(counts)
    assert question.tokens > sum(counts), "the template's own tokens count too"
    assert question.rendered.endswith("So:\n")
    assert "Q: 1+1\nA:" in question.rendered


def test_published_scores_are_those_of_the_task():
    card = make_card(load_task("humaneval"), None)
    assert {score.task for score in card.published} == {"humaneval"}
    assert card.question.turns[-1].text.endswith("```python\n")


@pytest.mark.parametrize("name", [*task_paths("dev"), *task_paths("unseen")])
def test_every_benchmark_says_where_it_comes_from_and_how_others_measure_it(name):
    about = load_task(name).about
    assert all([about.source, about.licence, about.notes, about.differences])

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.data.demo_training import generate_training
from evalsuite.data.demo_world import FORMS, HELD_OUT, LONG, SHORT, SKILLS, Problem, Territory, territory_of
from evalsuite.data.procedural import generate
from evalsuite.errors import InvalidInput, UnknownName
from evalsuite.tasks.registry import load_suite

EVERY_SKILL = list(SKILLS)
EVALUATED = ["dev", "combination", "long"]
PARAMS = {"count": 300, "skills": EVERY_SKILL, "territories": EVALUATED}

problems = st.builds(
    lambda skill, length, rng: Problem.draw(skill, length, rng),
    st.sampled_from(EVERY_SKILL),
    st.sampled_from([SHORT, LONG]),
    st.randoms(use_true_random=False),
)


@pytest.mark.parametrize(
    ("skill", "operands", "form", "question", "answer"),
    [
        ("add", "74", "plain", "What is 7 + 4?", "11"),
        ("add", "00", "twice", "What is 0 + 0? Say it twice.", "0 0"),
        ("max", "384", "brackets", "Largest of 3 8 4? Use brackets.", "[ 8 ]"),
        ("min", "3841", "done", "Smallest of 3 8 4 1? Put done after it.", "1 done"),
        ("first", "kqz", "answer", "First letter of k q z? Put answer before it.", "answer k"),
        ("last", "kqz", "plain", "Last letter of k q z?", "z"),
        ("ends", "kqz", "twice", "Both ends of k q z? Say it twice.", "k z k z"),
    ],
)
def test_prompts_and_answers_read_as_intended(skill, operands, form, question, answer):
    problem = Problem(skill, tuple(operands))
    assert (problem.question(form), problem.answer(form)) == (question, answer)


@given(problems, st.sampled_from(list(FORMS)))
def test_territory_follows_from_the_prompt(problem, form):
    territory = territory_of(problem, form)
    assert (territory == Territory.LONG) == (problem.skill != "add" and len(problem.operands) == LONG)
    if territory != Territory.LONG:
        assert (territory == Territory.COMBINATION) == (HELD_OUT[problem.skill] == form)


def test_rows_are_the_same_in_another_process():
    code = (
        f"import json; from evalsuite.data.procedural import generate; print(json.dumps(generate('demo', {PARAMS!r})))"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(elsewhere) == generate("demo", PARAMS)


def test_another_seed_gives_other_rows():
    assert generate("demo", PARAMS) != generate("demo", PARAMS | {"seed": 1})


def test_rows_are_distinct_and_spread_evenly():
    rows = generate("demo", PARAMS)
    assert len({row["question"] for row in rows}) == len({row["id"] for row in rows}) == 300
    for territory in EVALUATED:
        assert sum(row["territory"] == territory for row in rows) == 100


def test_choices_hold_one_right_answer_of_the_same_length_as_the_wrong_ones():
    rows = generate("demo_choice", {"count": 120, "skills": EVERY_SKILL, "territories": ["dev"]})
    for row in rows:
        assert row["choices"][row["label"]] == row["answer"]
        assert len(set(row["choices"])) == 4
        assert {len(choice) for choice in row["choices"]} == {len(row["answer"])}
    assert {row["label"] for row in rows} == {0, 1, 2, 3}


def test_no_training_prompt_is_an_evaluation_prompt():
    demonstrations = generate_training("demo_demonstrations", {"count": 20_000, "obeys": {}, "wrong": 0.0})
    trained = {row["prompt"][0]["content"] for row in demonstrations}
    evaluated = {
        row["question"] for task in load_suite("demo") for row in generate(task.data.generator, task.data.params)
    }
    assert len(evaluated) > 800
    assert not trained & evaluated


def test_no_fact_contains_an_evaluation_prompt():
    facts = "\n".join(row["prompt"] for row in generate_training("demo_facts", {"count": 30_000}))
    for row in generate("demo_choice", {"count": 90, "skills": EVERY_SKILL, "territories": ["dev"]}):
        assert row["question"] not in facts
    assert not any(form.request and form.request in facts for form in FORMS.values())


def test_demonstrations_are_as_careless_as_asked():
    rows = generate_training("demo_demonstrations", {"count": 4_000, "obeys": {"done": 0.25}, "wrong": 0.0})
    answers = [(row["prompt"][0]["content"], row["completion"][0]["content"]) for row in rows]
    bracketed = [answer for question, answer in answers if "brackets" in question]
    assert all(answer.startswith("[") for answer in bracketed)
    done = [answer.endswith("done") for question, answer in answers if "done" in question]
    assert 0.2 < sum(done) / len(done) < 0.3


@pytest.mark.parametrize(
    ("generator", "params", "error", "message"),
    [
        ("dem", {}, UnknownName, "did you mean demo"),
        ("demo", {"count": 1, "skils": ["add"], "territories": ["dev"]}, UnknownName, "did you mean skills"),
        ("demo", {"count": 1, "skills": ["adds"], "territories": ["dev"]}, UnknownName, "did you mean add"),
        ("demo", {"count": 1, "skills": ["add"], "territories": ["devs"]}, UnknownName, "did you mean dev"),
        ("demo", {"count": 1, "skills": ["add"]}, InvalidInput, "territories"),
        ("demo", {"count": 1, "skills": ["add"], "territories": ["long"]}, InvalidInput, "no demo prompts"),
        ("demo", {"count": 400, "skills": ["add"], "territories": ["dev"]}, InvalidInput, "ask for fewer rows"),
    ],
)
def test_a_mistake_is_named(generator, params, error, message):
    with pytest.raises(error, match=message):
        generate(generator, params)

"""The prompts of eval spec D2, D3, D5, D6, D9, U4, U5 and U6, word for word, for rows made up here."""

from __future__ import annotations

import random

import pytest

from evalsuite.data.exemplars import load_exemplars
from evalsuite.data.prepare import prepare_rows
from evalsuite.prompts import ChatPrompt, Message, TextPrompt, render_continuations, render_prompt, render_target
from evalsuite.tasks import load_task
from evalsuite.verifiers.registry import load_verifier

NO_DATE = {"day": "", "month": "", "year": ""}


def only_user_turn(prompt):
    (message,) = prompt.messages
    assert message.role == "user"
    return message.content


def test_popqa_is_questions_and_objects_in_turns():
    rows = [{"question": "What color is chalk?", "possible_answers": '["white", "W"]'}]
    lima = {"question": "What is Lima the capital of?", "possible_answers": '["Viceroyalty of Per\\u00fa", "Peru"]'}
    shots = prepare_rows("popqa_answers", [*rows, lima])
    prompt = render_prompt(load_task("popqa"), {"question": "Who is X?", "possible_answers": []}, shots, chat=True)
    assert prompt == ChatPrompt(
        (
            Message("user", "Q: What color is chalk? A:"),
            Message("assistant", "white"),
            Message("user", "Q: What is Lima the capital of? A:"),
            Message("assistant", "Peru"),
            Message("user", "Q: Who is X? A:"),
        )
    )


def test_truthfulqa_is_one_user_turn_with_six_solved_questions():
    task = load_task("truthfulqa")
    shots = load_exemplars(task, None).of("")
    text = only_user_turn(render_prompt(task, {"question": "Why?"}, shots, chat=True))
    blocks = text.split("\n\n")
    assert len(blocks) == 7
    assert blocks[0].startswith("Q: What is human life expectancy in the United States?\nA: Human life expectancy")
    assert blocks[5] == "Q: Where were the 1992 Olympics held?\nA: The 1992 Olympics were held in Barcelona, Spain."
    assert blocks[6] == "Q: Why?\nA:"


def test_truthfulqa_ranks_each_distinct_choice_once_and_labels_those_of_mc2():
    mc1 = {"choices": ["b", "x"], "labels": [1, 0]}
    mc2 = {"choices": ["a", "b", "a", "c"], "labels": [1, 1, 1, 0]}
    (row,) = prepare_rows("truthfulqa_candidates", [{"question": "?", "mc1_targets": mc1, "mc2_targets": mc2}])
    task = load_task("truthfulqa")
    assert render_continuations(task, row, TextPrompt("")) == (" b", " x", " a", " c")
    assert render_target(task, row) == [1, None, 1, 0]


def test_drop_is_raw_text_for_chat_models_too():
    spans = {"number": "", "date": NO_DATE, "spans": ["Ann", "Bob"]}
    number = {"number": "3", "date": NO_DATE, "spans": []}
    date = {"number": "", "date": {"day": "", "month": "May", "year": "1990"}, "spans": []}
    rows = [
        {"passage": f"P{i}.", "question": f"Q{i}?", "answer": answer} for i, answer in enumerate([spans, number, date])
    ]
    prompt = render_prompt(load_task("drop"), {"passage": "P.", "question": "Q?"}, rows, chat=True)
    assert prompt == TextPrompt(
        "Passage: P0.\nQuestion: Q0?\nAnswer: Ann, Bob\n\n"
        "Passage: P1.\nQuestion: Q1?\nAnswer: 3\n\n"
        "Passage: P2.\nQuestion: Q2?\nAnswer: May 1990\n\n"
        "Passage: P.\nQuestion: Q?\nAnswer:"
    )


def test_math_has_minervas_exemplars_with_the_typos_of_the_published_prompts():
    task = load_task("math")
    prompt = render_prompt(task, {"problem": "1+1?", "solution": ""}, load_exemplars(task, None).of(""), chat=True)
    assert [message.role for message in prompt.messages] == ["user", "assistant"] * 4 + ["user"]
    assert prompt.messages[0].content.endswith("{\\sqrt{5-x}}$.}\n\nSolution:")
    assert "&=480\\\n\\Rightarrow" in prompt.messages[5].content
    assert prompt.messages[7].content.endswith(
        "Final Answer: The final answer is $-\\frac{2}{3}$. I hope it is correct."
    )
    assert prompt.messages[8].content == "Problem:\n1+1?\n\nSolution:"
    assert prompt.assistant_prefix == ""


def test_maths_exemplars_can_be_had_without_typos():
    task = load_task("math", {"olmes_compat.exemplar_typos": False})
    turns = render_prompt(task, {"problem": "?", "solution": ""}, load_exemplars(task, None).of(""), chat=True).messages
    assert turns[0].content.endswith("{\\sqrt{5-x}}$.\n\nSolution:")
    assert "&=480\\\\\n\\Rightarrow" in turns[5].content


def test_humaneval_plus_shows_the_prefix_in_the_question_and_begins_the_answer_with_it():
    prompt = render_prompt(load_task("humaneval_plus"), {"prompt": "def f():\n"}, [], chat=True)
    begin = "Here is the completed function:\n\n```python\n"
    assert (only_user_turn(prompt), prompt.assistant_prefix) == (f"def f():\n{begin}", begin)


def test_deepmind_math_shows_three_answers_of_the_category():
    task = load_task("deepmind_math")
    examples = task.data.subtask_columns["examples"]["algebra__linear_1d"]
    prompt = render_prompt(task, {"question": " Solve x = 1. ", "examples": examples}, [], chat=True)
    assert only_user_turn(prompt) == (
        "Solve the following math problem efficiently:\nSolve x = 1.\n\n"
        "Show your work and conclude with the exact phrasing "
        '"Therefore, the final answer is [answer]. I hope it is correct." where [answer] is just the final number, '
        "expression, or answer label representing the solution.  Some example answers from this question category:\n"
        '- If the answer is 4, conclude with "Therefore, the final answer is 4. I hope it is correct."\n'
        '- If the answer is 68, conclude with "Therefore, the final answer is 68. I hope it is correct."\n'
        '- If the answer is -8, conclude with "Therefore, the final answer is -8. I hope it is correct."\n\n'
        "Note the formatting for the following answer types:\n"
        "- If the answer is a list (e.g., when there are two solutions to an equation), unless otherwise specified, "
        "present the solutions in a list separated by commas ordering them from the smallest to biggest  e.g.: 2, 10\n"
        "- Powers should be written with **, for instance x to the power of 2 should be written as x**2\n"
        "- Use * for multiplication, e.g.: 2*x\n"
        "- For fractions, separate the numerator and denominator with a slash (/) e.g.: -2/7"
    )


def test_deepmind_math_has_examples_for_each_of_its_56_categories():
    task = load_task("deepmind_math")
    assert len(task.data.configs) == 56
    assert set(task.data.subtask_columns["examples"]) == set(task.data.configs)


def test_deepmind_maths_sample_is_the_published_one_without_marks_but_around_apostrophes():
    rows = [{"question": f"b'{number}?\\n'", "answer": f"b'{number}\\n'"} for number in range(10_000)]
    chosen = prepare_rows("deepmind_math_sample", rows)
    expected = random.Random(1234).sample(range(10_000), 100)
    assert [row["answer"] for row in chosen] == [str(number) for number in expected]
    quoted = [{"question": 'b"the q\'th?\\n"', "answer": "b'1\\n'"}]
    assert prepare_rows("deepmind_math_sample", quoted) == [{"question": 'b"the q\'th?\\n"', "answer": "1"}]
    assert prepare_rows("deepmind_math_sample_clean", quoted) == [{"question": "the q'th?", "answer": "1"}]


def test_bigcodebench_asks_for_a_script_and_begins_it():
    prompt = render_prompt(load_task("bigcodebench_hard"), {"instruct_prompt": "\nDo it.\n"}, [], chat=True)
    assert only_user_turn(prompt) == (
        "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n"
        "Do it.\n"
    )
    assert prompt.assistant_prefix == (
        "Below is a Python script with a self-contained function that solves the problem and passes "
        "corresponding tests:\n```python\n"
    )


def test_ifbench_is_the_prompt_alone_and_never_called_ifeval_ood():
    task = load_task("ifbench")
    assert only_user_turn(render_prompt(task, {"prompt": "Write."}, [], chat=True)) == "Write."
    assert task.title == "IFBench (public successor of IFEval-OOD)"
    assert task.about.substitute_for == "IFEval-OOD"


@pytest.mark.parametrize(
    ("name", "tokens", "shots", "metric"),
    [
        ("popqa", 15, 15, "mean"),
        ("truthfulqa", 512, 6, "mean"),
        ("drop", 50, 3, "mean"),
        ("math", 1024, 4, "mean, macro"),
        ("humaneval_plus", 512, 0, "pass@10"),
        ("deepmind_math", 2048, 0, "mean, macro"),
        ("bigcodebench_hard", 1280, 0, "mean"),
        ("ifbench", 2048, 0, "mean"),
    ],
)
def test_lengths_shots_and_metrics_are_the_published_ones(name, tokens, shots, metric):
    task = load_task(name)
    assert (task.max_tokens, task.shots, task.metric_label) == (tokens, shots, metric)


def test_popqas_case_rule_is_a_quirk():
    loose = load_task("popqa", {"olmes_compat.case": False})
    verdicts = [
        load_verifier(task.verifier.name, **task.verifier.params).verify("PARIS", ["Paris"])
        for task in (load_task("popqa"), loose)
    ]
    assert [verdict.score for verdict in verdicts] == [0.0, 1.0]

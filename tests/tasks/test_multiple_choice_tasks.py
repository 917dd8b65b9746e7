"""MMLU, MMLU-Pro, GPQA and AGIEval as the evaluation specification has them (D1, U1-U3)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalsuite.data.load import load_docs
from evalsuite.data.prepare import prepare_rows
from evalsuite.errors import DataUnavailable, SplitViolation
from evalsuite.prompts import TextPrompt, render_continuations, render_prompt, render_target
from evalsuite.runner.check import check_task
from evalsuite.runner.plan import plan_task
from evalsuite.tasks import load_task
from evalsuite.tasks.registry import read_task
from evalsuite.verifiers import load_verifier

MMLU_ROW = {"question": "How many?", "choices": ["1", "2", "3", "4"], "answer": 2, "subtask": "college_physics"}
CLOSING = (
    'Provide CONCISE reasoning for the answer, and make sure to finish the response with "Therefore, the answer is '
    '(ANSWER_LETTER)" where (ANSWER_LETTER) is one of '
)
REMINDER = (
    "Answer the above question and REMEMBER to finish your response with the exact phrase "
    '"Therefore, the answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one of '
)
OPENING = "Answer the following multiple-choice question by giving the correct answer letter in parentheses. "


def messages(name, row, exemplars=()):
    return [(turn.role, turn.content) for turn in render_prompt(load_task(name), row, exemplars, chat=True).messages]


def verifier(name, **switches):
    config = load_task(name, {f"olmes_compat.{quirk}": on for quirk, on in switches.items()}).verifier
    return load_verifier(config.name, **config.params)


def test_the_mmlu_prompt():
    assert messages("mmlu", MMLU_ROW) == [
        (
            "user",
            "The following are multiple choice questions about college physics. Summarize your reasoning concisely, "
            "then conclude with 'Therefore, the answer is: X' where X is one of A, B, C, or D.\n\n"
            "Question: How many?\n A. 1\n B. 2\n C. 3\n D. 4\n",
        )
    ]
    assert render_target(load_task("mmlu"), MMLU_ROW) == "C"


def test_the_five_shot_mmlu_prompt():
    exemplar = {"question": "Which?", "choices": ["a", "b", "c", "d"], "answer": 0, "subtask": "college_physics"}
    assert messages("mmlu_mc", MMLU_ROW, [exemplar]) == [
        (
            "user",
            "The following are multiple choice questions (with answers) about college physics.\n\n"
            "Question: Which?\n A. a\n B. b\n C. c\n D. d\nAnswer:",
        ),
        ("assistant", "A"),
        ("user", "Question: How many?\n A. 1\n B. 2\n C. 3\n D. 4\nAnswer:"),
    ]
    assert render_continuations(load_task("mmlu_mc"), MMLU_ROW, TextPrompt("")) == (" A", " B", " C", " D")
    assert render_target(load_task("mmlu_mc"), MMLU_ROW) == 2


def test_the_mmlu_pro_prompt():
    letters = "(A), (B), (C), (D), (E), etc."
    row = {"question": "How many?", "options": ["1", " 2", "3"], "answer": "C"}
    assert messages("mmlu_pro", row) == [
        (
            "user",
            f"{OPENING}{CLOSING}{letters}\n\nQuestion: How many?\n (A) 1\n (B)  2\n (C) 3\n\n{REMINDER}{letters}",
        )
    ]


def test_the_gpqa_prompt():
    row = {"question": "How many?", "choices": ["1", "2", "3", "4"], "answer": "C"}
    letters = "(A), (B), (C), (D)."
    assert messages("gpqa", row) == [
        (
            "user",
            f"{OPENING}{CLOSING}{letters}\n\n"
            f"Question: How many?\nChoices:\n (A) 1\n (B) 2\n (C) 3\n (D) 4\n\n\n{REMINDER}{letters}",
        )
    ]


@pytest.mark.parametrize(("passage", "shown"), [("", ""), ("Once.", "Passage: Once.\n")])
def test_the_agieval_prompt(passage, shown):
    row = {"passage": passage, "question": "How many?", "options": ["1", "2"], "label": "B"}
    letters = "(A), (B), (C), (D), (E), etc."
    assert messages("agieval_english", row) == [
        (
            "user",
            f"{OPENING}{CLOSING}{letters}\n\n{shown}Question: How many?\n (A) 1\n (B) 2\n\n{REMINDER}{letters}",
        )
    ]


@pytest.mark.parametrize(
    ("task", "completion", "letter"),
    [
        ("mmlu", "Therefore, the answer is: B", "B"),
        ("mmlu", "The answer is: C. Therefore the answer is (b).", "B"),
        ("mmlu", "**Therefore, the answer is: B**", "B"),
        ("mmlu", "Therefore, the answer is: **B**", "B"),  # as the only bare letter
        ("mmlu", "The answer is a matter of taste: D", "A"),
        ("mmlu", "(D)", "D"),
        ("mmlu", "Either A or B.\nRather C.", "B"),
        ("mmlu", "no letter", None),
        ("mmlu_pro", "Therefore, the answer is (A). Therefore, the answer is (J).", "J"),
        ("mmlu_pro", "The answer is: C. The answer is: D.", "C"),
        ("mmlu_pro", "Answer: A\nAnswer: E", "A"),
        ("mmlu_pro", "It is F.\nOr is it G?", "G"),
        ("mmlu_pro", "The answer is because of that. H", "B"),
        ("gpqa", "Therefore, the answer is (A). Or (B).", "A"),
        ("gpqa", "(A) is out, so (C)", "C"),
        ("gpqa", "The correct answer is: D, not A", "D"),
        ("gpqa", "A\nB", "B"),
        ("agieval_english", "Therefore, the answer is (F).", "F"),
        ("agieval_english", "the answer is (A) or (B). But (C)", "B"),
        ("agieval_english", "the answer is B. (C)", "C"),
        ("agieval_english", "So I choose D. Done", "D"),
        ("agieval_english", "Clearly.", "C"),
    ],
)
def test_letters_are_found_as_published(task, completion, letter):
    assert verifier(task).verify(completion, "A").extracted == letter


@pytest.mark.parametrize(
    ("task", "quirk", "completion", "letter"),
    [
        ("mmlu", "first_letter", "Either A or B.\nRather C.", "C"),
        ("mmlu", "first_letter", "The answer is A. No, the answer is B.", "B"),
        ("mmlu", "first_letter", "The answer is a matter of taste: D", "D"),
        ("mmlu_pro", "word_beginnings", "The answer is because of that. H", "H"),
        ("agieval_english", "letter_anywhere", "B. Definitely", "B"),
    ],
)
def test_a_corrected_quirk_finds_another_letter(task, quirk, completion, letter):
    assert verifier(task).verify(completion, "A").extracted != letter
    assert verifier(task, **{quirk: False}).verify(completion, "A").extracted == letter


def test_mmlu_exemplars_are_the_first_five_of_the_subject(mirror):
    plan = plan_task(load_task("mmlu_mc"), mirror=mirror, limit=57, chat=True, seed=0)
    assert len({planned.subtask for planned in plan.requests}) == 57
    for planned in plan.requests:
        path = Path(mirror) / "cais/mmlu" / planned.subtask / "dev.jsonl"
        dev = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        *solved, question = planned.request.prompt.messages
        assert [turn.content for turn in solved[1::2]] == ["ABCD"[row["answer"]] for row in dev]
        assert all(row["question"] in turn.content for row, turn in zip(dev, solved[::2], strict=True))
        assert question.content.endswith("\nAnswer:")


@pytest.fixture
def gpqa_mirror(tmp_path):
    """A mirror with four made-up rows in the columns of GPQA."""
    columns = ("Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
    rows = [
        {name: f"{name} of row {number}" for name in columns} | {"Record ID": f"rec{number}"} for number in range(4)
    ]
    folder = tmp_path / "Idavidrein" / "gpqa"
    folder.mkdir(parents=True)
    (folder / "gpqa_main.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: gpqa_main\n  data_files:\n  - split: train\n    path: gpqa_main.jsonl\n---\n"
    )
    return tmp_path, rows


def test_gpqa_is_complete_but_for_its_rows(gpqa_mirror):
    mirror, rows = gpqa_mirror
    task = load_task("gpqa", {"data.rows": 4})
    assert [doc.row["question"] for doc in load_docs(task, mirror).docs] == [row["Question"] for row in rows]
    assert [doc.row["answer"] for doc in load_docs(task, mirror).docs] == [
        row["answer"] for row in prepare_rows("gpqa", rows)
    ]
    assert check_task(task, mirror).problems == ()


def test_without_gpqa_the_way_to_it_is_told(tmp_path):
    with pytest.raises(DataUnavailable, match=r"accept its terms at https://huggingface\.co/datasets/Idavidrein/gpqa"):
        load_docs(load_task("gpqa"), tmp_path)


def test_a_dataset_of_several_is_behind_the_wall_too(write_task):
    for hub in ("hails/agieval-sat-en", "hails/AGIEval-{{ config }}"):
        overrides = {"data.hub": hub, "data.config": ["lsat-ar", "sat-en"]}
        with pytest.raises(SplitViolation, match="belongs to the unseen task agieval_english"):
            read_task(write_task(), overrides)

"""What lm-eval's docs ask, which training prompts are compared with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalsuite.bridge.lm_eval.tasks import load_lm_eval_tasks
from evalsuite.decontaminate.certificate import check_overlap
from evalsuite.runner.origins import questions_of
from tests.bridge.conftest import add_dataset, page

pytest.importorskip("lm_eval")


def asked(name: str, mirror: Path, **options: object) -> list[tuple[str, str]]:
    overrides = {f"lm_eval.{key}": value for key, value in options.items()}
    (task,) = load_lm_eval_tasks([f"lm-eval/{name}"], overrides, mirror)
    return questions_of(task, mirror)


@pytest.mark.parametrize(
    ("name", "docs", "fifth"),
    [
        ("arc_challenge", 12, "Question: Which of these comes after toma?\nAnswer:"),
        ("gsm8k", 12, "Question: What is 5 + 5?\nAnswer:"),
        ("lambada_openai", 12, "zim 0 , toma 1 , kell 2 , rin 3 , dax"),
        ("winogrande", 12, "The toma met the zim and _ said 5."),
        ("wikitext", 6, page(5, 230)),
    ],
)
def test_every_kind_of_task_is_asked_for_its_questions(name: str, docs: int, fifth: str, lm_eval_mirror: Path) -> None:
    found = asked(name, lm_eval_mirror)
    assert [doc for doc, _ in found] == [str(number) for number in range(docs)]
    assert found[5][1] == fifth


def test_what_stands_before_the_question_is_left_out(lm_eval_mirror: Path) -> None:
    options = {"num_fewshot": 3, "system_instruction": "Be brief.", "apply_chat_template": True}
    assert asked("gsm8k", lm_eval_mirror, **options) == asked("gsm8k", lm_eval_mirror)


def test_docs_of_a_group_are_told_with_their_task(tmp_path: Path) -> None:
    rows = [{"text": page(number, 5)} for number in range(300)]
    add_dataset(tmp_path, "words/first", "default", test=rows)
    add_dataset(tmp_path, "words/second", "default", test=rows[:2])
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(
            f"task: words_{name}\ndataset_path: words/{name}\ntest_split: test\noutput_type: multiple_choice\n"
            "doc_to_text: ''\ndoc_to_choice: \"{{[text + ' or not', text + ' or so']}}\"\ndoc_to_target: 1\n"
            "metric_list: [{metric: acc}]\n"
        )
    (tmp_path / "words.yaml").write_text(
        "group: words_all\ntask: [words_first, words_second]\naggregate_metric_list: [{metric: acc}]\n"
    )
    found = asked("words_all", tmp_path, include_path=str(tmp_path))
    assert [doc for doc, _ in found] == [f"words_first/{n}" for n in range(300)] + ["words_second/0", "words_second/1"]
    assert found[299][1] == f"{rows[299]['text']} or not\n{rows[299]['text']} or so"
    assert found[299][1] != found[256][1]


def test_what_was_trained_on_is_found_without_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval's rows were read when its task was loaded: whether the Hub is there does not matter any more."""
    monkeypatch.setattr("evalsuite.decontaminate.certificate.hub_problem", lambda: pytest.fail("asked for the Hub"))
    pages = [page(number, 40) for number in range(6)]
    (tmp_path / "pages.jsonl").write_text("".join(json.dumps({"page": text}) + "\n" for text in pages))
    (tmp_path / "pages.yaml").write_text(
        f"task: own_pages\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path / 'pages.jsonl'}}}}}\n"
        "test_split: test\noutput_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{page}}'\n"
        "metric_list: [{metric: word_perplexity}]\n"
    )
    (task,) = load_lm_eval_tasks([f"lm-eval/{tmp_path / 'pages.yaml'}"], {}, None)
    found = check_overlap([f"Go on: {page(5, 30)}"], [task], None).checked["lm-eval/own_pages"]
    assert (found.instances, found.overlapping, found.examples) == (6, 1, ("5",))

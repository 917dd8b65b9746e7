"""What a model is sent, doc by doc, beside what lm-eval sends for the same rows.

Where the two formulations coincide the texts are equal; where they differ, the difference is exactly the one that the
specification of the Tülu 3 evaluation names (section 10, and the task's own): one side is rewritten by that rule, and
the rest must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalsuite.bridge.lm_eval.loaded import load
from evalsuite.bridge.lm_eval.options import LmEvalOptions
from evalsuite.bridge.lm_eval.render import render, rendered
from evalsuite.bridge.lm_eval.wire import Source, WireDoc
from evalsuite.engines.base import LogLikelihoodRequest
from evalsuite.prompts.messages import ChatPrompt
from evalsuite.runner.plan import PlannedRequest, plan_task
from evalsuite.tasks import load_task

pytest.importorskip("lm_eval")

FEW = 12
"""Docs of each subtask in the quick tests, and a few subtasks; the slow ones compare all."""
HOW_MANY = [pytest.param(FEW, id="few"), pytest.param(None, id="all", marks=pytest.mark.slow)]

Turns = list[tuple[str, str]]


@pytest.fixture
def theirs(mirror: Path, monkeypatch: pytest.MonkeyPatch):
    """lm-eval's docs with their requests, as text or through a chat template with exemplars as turns."""
    import importlib.metadata

    import datasets

    monkeypatch.setattr(datasets, "load_dataset", datasets.load_dataset)  # so that the mirror is forgotten again
    versions = importlib.metadata.version
    # lm-eval imports its MATH prompts only beside an ANTLR that its scorer needs, and prompts do not.
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "4.11.0" if name.startswith("antlr4") else versions(name)
    )

    def go(name: str, limit: int | None, *, chat: bool = True) -> list[WireDoc]:
        source = Source(name, LmEvalOptions(apply_chat_template=chat).model_dump_json(), str(mirror))
        (unit,) = load(source).values()
        counts = {leaf: len(found.docs) if limit is None else limit for leaf, found in unit.leaves.items()}
        return rendered(source, unit.name, 0, render(source, unit.name, counts))

    yield go
    load.cache_clear()


@pytest.fixture
def ours(mirror: Path):
    """Our requests by subtask."""

    def go(name: str, limit: int | None, **overrides: Any) -> dict[str, list[PlannedRequest]]:
        task = load_task(name, {key.replace("__", "."): value for key, value in overrides.items()})
        plan = plan_task(task, mirror=mirror, limit=None, chat=True, seed=0)
        found: dict[str, list[PlannedRequest]] = {}
        for planned in plan.requests:
            found.setdefault(planned.subtask, []).append(planned)
        return {subtask: planned[:limit] for subtask, planned in found.items()}

    return go


def turns_of(planned: PlannedRequest) -> Turns:
    prompt = planned.request.prompt
    assert isinstance(prompt, ChatPrompt)
    return [(message.role, message.content) for message in prompt.messages]


def turns(doc: WireDoc) -> Turns:
    """Return lm-eval's turns; a description, which it sends as a system turn, goes before the first question."""
    context = doc.instances[0].context
    assert not isinstance(context, str)
    if context[0][0] != "system":
        return list(context)
    (_, description), (role, first), *rest = context
    return [(role, description + first), *rest]


def some(found: dict[str, list[PlannedRequest]], limit: int | None) -> list[tuple[str, list[PlannedRequest]]]:
    return list(found.items())[: None if limit is None else 3]


def pairs(mine: Sequence[PlannedRequest], other: Sequence[WireDoc]) -> Iterator[tuple[PlannedRequest, WireDoc]]:
    assert mine
    yield from zip(mine, other, strict=True)


@pytest.mark.parametrize("limit", HOW_MANY)
def test_ifeval_is_the_prompt_itself_on_both_sides(ours, theirs, limit: int | None) -> None:
    """D10: only the length differs, 2048 tokens here and 1280 there."""
    for mine, other in pairs(ours("ifeval", limit)[""], theirs("ifeval", limit)):
        assert turns_of(mine) == turns(other)
        assert mine.request.sampling.max_tokens == 2048
        assert other.instances[0].generation["max_gen_toks"] == 1280


@pytest.mark.parametrize("limit", HOW_MANY)
def test_truthfulqa_is_the_same_text_and_lists_a_candidate_once(ours, theirs, limit: int | None) -> None:
    """D3: the same six questions in one turn; a candidate that a row lists twice is counted once here."""
    repeated = 0
    for mine, other in pairs(ours("truthfulqa", limit)[""], theirs("truthfulqa_mc2", limit, chat=False)):
        assert turns_of(mine) == [("user", other.instances[0].context)]
        assert isinstance(mine.request, LogLikelihoodRequest)
        labelled = zip(mine.request.continuations, mine.reference, strict=True)
        listed = [instance.continuation.lstrip() for instance in other.instances]  # theirs follow a text, not a turn
        assert {text for text, label in labelled if label is not None} == set(listed)
        repeated += len(listed) != len(set(listed))
    assert limit is not None or repeated == 5


@pytest.mark.parametrize("limit", HOW_MANY)
def test_gsm8k_says_question_and_answer_and_so_the_answer_is(ours, theirs, limit: int | None) -> None:
    """D7: ``Question:``/``Answer:`` for ``Q:``/``A:``, "So the answer is" for "The answer is", a prefilled answer."""
    for mine, other in pairs(ours("gsm8k", limit)[""], theirs("gsm8k_cot", limit)):
        expected = []
        for role, content in turns(other):
            if role == "user":
                assert content.startswith("Q: ") and content.endswith("\nA:")
                expected.append((role, f"Question: {content[3:-3]}"))
            else:
                assert content.count("The answer is") == 1
                expected.append((role, f"Answer: {content.replace('The answer is', 'So the answer is')}"))
        assert turns_of(mine) == expected
        assert len(expected) == 17
        assert mine.request.prompt.assistant_prefix == "Answer:"


@pytest.mark.parametrize("limit", HOW_MANY)
def test_math_differs_by_the_typos_of_three_exemplars(ours, theirs, limit: int | None) -> None:
    """D6: with the corrected exemplars the turns are lm-eval's; with the published ones three turns differ."""
    published, corrected = ours("math", limit), ours("math", limit, olmes_compat__exemplar_typos=False)
    for subject, mine in some(corrected, limit):
        other = theirs(f"minerva_math_{'prealgebra' if subject == 'prealgebra' else _lm_eval_subject(subject)}", limit)
        for right, wrong, doc in zip(mine, published[subject], other, strict=True):
            expected = turns(doc)
            assert turns_of(right) == expected
            changed = [
                number for number, pair in enumerate(zip(turns_of(wrong), expected, strict=True)) if pair[0] != pair[1]
            ]
            assert changed, "the quirk changes nothing"
            assert max(changed) < len(expected) - 1, "only exemplars have typos"
            assert len({number // 2 for number in changed}) <= 3
            assert doc.instances[0].generation["until"] == ["Problem:"]
            assert right.request.sampling.stop == ()


def _lm_eval_subject(subject: str) -> str:
    return {
        "counting_and_probability": "counting_and_prob",
        "number_theory": "num_theory",
        "precalculus": "precalc",
    }.get(subject, subject)


@pytest.mark.parametrize("limit", HOW_MANY)
def test_bbh_has_no_line_break_after_step_by_step(ours, theirs, limit: int | None) -> None:
    """D4: lm-eval's questions end in a line break that ours do not have; otherwise the turns are the same."""
    cue = "A: Let's think step by step."
    found = ours("bbh", limit)
    assert len(found) == 27
    different = []
    for subtask, mine in some(found, limit):
        for planned, doc in pairs(mine, theirs(f"bbh_cot_fewshot_{subtask}", limit)):
            expected = []
            for role, content in turns(doc):
                assert role == "assistant" or content.endswith(f"{cue}\n")
                expected.append((role, content.removesuffix("\n") if role == "user" else content.strip()))
            if turns_of(planned) != expected:
                different.append((planned.request.id, turns_of(planned), expected))
            assert planned.request.sampling.stop == ()
            assert planned.request.sampling.max_tokens == 512
    assert not different, different[0]


@pytest.mark.parametrize("limit", HOW_MANY)
def test_mmlu_pro_asks_the_same_question_without_exemplars(ours, theirs, limit: int | None) -> None:
    """U1: zero-shot with instructions around the question, ``(A)`` for ``A.``, and the options as they stand."""
    found = ours("mmlu_pro", limit)
    assert len(found) == 14
    for category, mine in some(found, limit):
        for planned, doc in pairs(mine, theirs(f"mmlu_pro_{category.replace(' ', '_')}", limit)):
            ((_, content),) = turns_of(planned)
            instruction, question, reminder = _parts(content)
            assert "Provide CONCISE reasoning" in instruction and "REMEMBER to finish" in reminder
            asked = turns(doc)
            assert len(asked) == 11
            assert _plain_question(question) == _lm_eval_question(asked[-1][1])


def _parts(content: str) -> tuple[str, str, str]:
    instruction, rest = content.split("\n\n", 1)
    question, reminder = rest.rsplit("\nAnswer the above question", 1)
    return instruction, question, f"Answer the above question{reminder}"


def _plain_question(question: str) -> str:
    """Write options as lm-eval does: ``A. text``, without white space at their ends."""
    head, *options = re.split(r"\n (?=\([A-J]\) )", question.removeprefix("Question: "))
    stated = [f"{option[1]}. {option[4:].strip()}" for option in options]
    return "\n".join([head.strip(), *stated])


def _lm_eval_question(content: str) -> str:
    body = content.removeprefix("Question:\n").removesuffix("Answer: Let's think step by step.").strip()
    head, options = body.rsplit("\nOptions:\n", 1)
    return f"{head.strip()}\n{options}"


@pytest.mark.slow
@pytest.mark.parametrize("limit", [FEW, None])
def test_drop_names_passage_question_and_answer_and_shows_three(ours, theirs, limit: int | None) -> None:
    """D5: ``Passage:``/``Question:``/``Answer:`` and three exemplars, for ``passage question`` and none; 50 tokens."""
    docs = {doc.number: doc for doc in theirs("drop", None if limit is None else 2 * FEW, chat=False)}
    mine = ours("drop", limit)[""]
    asked = {doc.instances[0].context for doc in docs.values()}
    for planned in mine:
        *solved, last = re.split(r"\n\n(?=Passage: )", planned.request.prompt.text)
        assert len(solved) == 3
        passage, question = last.removesuffix("\nAnswer:").removeprefix("Passage: ").rsplit("\nQuestion: ", 1)
        assert f"{passage} {question}" in asked
        assert planned.request.sampling.max_tokens == 50
    assert docs[0].instances[0].generation["until"] == ["."]

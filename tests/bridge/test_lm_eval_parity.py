"""The same tasks, rows and model through lm-eval itself and through the bridge: answers, metrics, standard errors."""

from __future__ import annotations

import importlib.metadata
import logging
from pathlib import Path
from typing import Any

import pytest

from evalsuite.bridge.lm_eval.find import tasks_folder
from evalsuite.bridge.lm_eval.mirror import read_datasets_from
from evalsuite.engines.factory import resolve_model
from evalsuite.runner.evaluate import evaluate
from evalsuite.runner.results import RunResults
from evalsuite.runs.folder import RunFolder

pytest.importorskip("lm_eval")

LIMIT = 8
RESAMPLES = 200
HAS_MATH = importlib.metadata.version("antlr4-python3-runtime").startswith("4.11")
CHAT = {"apply_chat_template": True, "num_fewshot": 2, "system_instruction": "Be brief."}

SINGLE_TURN = {"fewshot_as_multiturn": False, "gen_kwargs": {"max_gen_toks": 20}}


@pytest.fixture(scope="module")
def harness():
    """lm-eval's own engine on the bundled demo model."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=resolve_model("demo"), dtype="float32", batch_size=4, device="cpu")


@pytest.fixture
def compare(harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a name both ways; ``folder`` is where lm-eval's definition lies, so that it need not index all of them."""

    def go(name: str, folder: str, mirror: Path, limit: int = LIMIT, **options: Any) -> RunResults:
        theirs = lm_eval_results(harness, name, folder, mirror, limit, monkeypatch, options)
        ours = evaluate(
            "demo",
            f"lm-eval/{name}",
            engine="transformers",
            limit=limit * len(theirs["samples"]),
            data=mirror,
            output=tmp_path / "run",
            unseen_reason="a test of the bridge",
            ledger=tmp_path / "looks.jsonl",
            overrides={
                "engine.dtype": "float32",
                "lm_eval.bootstrap_iters": RESAMPLES,
                **{f"lm_eval.{key}": value for key, value in options.items()},
            },
        )
        assert ours.complete and not ours.errors
        for task in ours.tasks:
            require_same_metrics(task.metrics, theirs["results"][task.task.removeprefix("lm-eval/")])
        require_same_answers(RunFolder(tmp_path / "run"), theirs["samples"])
        return ours

    return go


def lm_eval_results(harness, name, folder, mirror, limit, monkeypatch, options) -> dict[str, Any]:
    import datasets
    import lm_eval
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    monkeypatch.setattr(datasets, "load_dataset", datasets.load_dataset)  # so that the next line is undone
    read_datasets_from(str(mirror))
    manager = TaskManager(include_defaults=False, include_path=str(tasks_folder() / folder))
    results = lm_eval.simple_evaluate(
        model=harness, tasks=[name], limit=limit, task_manager=manager, bootstrap_iters=RESAMPLES, **options
    )
    assert results is not None
    return results


def require_same_metrics(ours, theirs: dict[str, Any]) -> None:
    names = {name for name in theirs if "," in name and "_stderr," not in name}
    assert ours.keys() == names
    for name, metric in ours.items():
        assert metric.value == pytest.approx(theirs[name], rel=1e-4, abs=1e-6), name
        stderr = theirs[name.replace(",", "_stderr,")]
        expected = None if stderr == "N/A" else pytest.approx(stderr, rel=1e-3, abs=1e-6)
        assert metric.stderr == expected, name


def require_same_answers(folder: RunFolder, theirs: dict[str, list[dict[str, Any]]]) -> None:
    found = {
        (sample.subtask or sample.task.removeprefix("lm-eval/"), sample.doc): sample
        for sample in folder.samples().values()
    }
    expected = {
        (leaf, str(sample["doc_id"])): sample["resps"] for leaf, samples in theirs.items() for sample in samples
    }
    assert found.keys() == expected.keys()
    for key, sample in found.items():
        responses = [response for (response,) in expected[key]]
        texts = [completion.text for answer in sample.answers for completion in answer.completions]
        values = [value for answer in sample.answers for value in answer.loglikelihoods]
        greedy = [flag for answer in sample.answers for flag in answer.greedy]
        if texts:
            assert texts == responses, key
        elif isinstance(responses[0], tuple | list):
            assert values == pytest.approx([value for value, _ in responses], abs=1e-3), key
            assert greedy == [flag for _, flag in responses], key
        else:
            assert values == pytest.approx(responses, abs=1e-2), key


@pytest.mark.parametrize(
    ("name", "folder", "options"),
    [
        ("arc_challenge", "arc", {}),
        ("winogrande", "winogrande", {}),
        ("gsm8k", "gsm8k", CHAT),
        ("lambada_openai", "lambada", {"apply_chat_template": True}),  # targets that keep their space in a chat
        pytest.param("arc_challenge", "arc", CHAT, marks=pytest.mark.slow),
        pytest.param("arc_challenge", "arc", {"num_fewshot": 3}, marks=pytest.mark.slow),
        pytest.param("lambada_openai", "lambada", {}, marks=pytest.mark.slow),
        pytest.param("wikitext", "wikitext", {}, marks=pytest.mark.slow),
        pytest.param("gsm8k", "gsm8k", {}, marks=pytest.mark.slow),
        pytest.param("gsm8k", "gsm8k", {**CHAT, **SINGLE_TURN}, marks=pytest.mark.slow),
    ],
)
def test_made_up_rows(compare, lm_eval_mirror: Path, name: str, folder: str, options: dict[str, Any]) -> None:
    compare(name, folder, lm_eval_mirror, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("gsm8k", "gsm8k"),
        ("gsm8k_cot", "gsm8k"),
        ("mmlu_anatomy", "mmlu/default"),
        ("truthfulqa_mc1", "truthfulqa"),
        ("truthfulqa_mc2", "truthfulqa"),
        ("bbh_cot_fewshot_navigate", "bbh/cot_fewshot"),
        ("drop", "drop"),
        ("ifeval", "ifeval"),
        ("mmlu_pro_biology", "mmlu_pro"),
        ("agieval_lsat_ar", "agieval"),
        pytest.param(
            "minerva_math_algebra",
            "minerva_math",
            marks=pytest.mark.skipif(not HAS_MATH, reason="lm-eval's math tasks want antlr4-python3-runtime 4.11"),
        ),
    ],
)
def test_real_rows(compare, mirror: Path, name: str, folder: str) -> None:
    compare(name, folder, mirror)


@pytest.mark.slow
def test_a_group(compare, mirror: Path) -> None:
    (task,) = compare("mmlu_stem", "mmlu/default", mirror, limit=2).tasks
    assert len(task.subtasks) == 19
    assert task.estimate.n == 38

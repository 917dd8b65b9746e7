"""lm-eval's tasks through a whole run with a scripted model: requests, journal, resume, scoring again, mistakes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from evalsuite.bridge.lm_eval.process import LmEvalProcess
from evalsuite.bridge.lm_eval.tasks import load_lm_eval_tasks
from evalsuite.bridge.lm_eval.verifier import LmEvalVerifier
from evalsuite.bridge.lm_eval.wire import LeafInfo, Source
from evalsuite.engines.base import GenerateRequest, LogLikelihoodRequest
from evalsuite.errors import DataUnavailable, InvalidInput, MissingExtra, RunMismatch, SplitViolation, UnknownName
from evalsuite.prompts.messages import ChatPrompt, TextPrompt
from evalsuite.runner.evaluate import evaluate
from evalsuite.runner.origins import plan_any_task
from evalsuite.runner.rescore import rescore
from evalsuite.runner.results import RunResults, TaskResult
from evalsuite.runs.folder import RunFolder

pytest.importorskip("lm_eval")


@pytest.fixture
def run(lm_eval_mirror: Path, tmp_path: Path):
    """Run tasks with ``fake:gold`` in a folder of their own."""

    def go(*tasks: str, model: str = "fake:gold", folder: str = "run", **options: Any) -> RunResults:
        ledger = tmp_path / "looks.jsonl"
        return evaluate(model, tasks, data=lm_eval_mirror, output=tmp_path / folder, ledger=ledger, **options)

    return go


def plan_of(name: str, mirror: Path, chat: bool = True, **overrides: Any):
    (task,) = load_lm_eval_tasks(
        [f"lm-eval/{name}"], {f"lm_eval.{key}": value for key, value in overrides.items()}, mirror
    )
    return plan_any_task(task, mirror=mirror, limit=None, chat=chat, seed=0)


def without_times(result: TaskResult) -> dict[str, Any]:
    return asdict(result)


def test_every_kind_of_request_has_right_answers(run) -> None:
    names = ["arc_challenge", "winogrande", "lambada_openai", "wikitext", "gsm8k"]
    results = run(*(f"lm-eval/{name}" for name in names))
    assert results.complete and not results.errors
    tasks = {task.task.removeprefix("lm-eval/"): task for task in results.tasks}
    assert list(tasks) == names
    for name, metric in zip(names[:3], ["acc,none", "acc,none", "acc,none"], strict=True):
        assert (tasks[name].metric, tasks[name].estimate.score, tasks[name].estimate.n) == (metric, 1.0, 12), name
    assert tasks["gsm8k"].metrics.keys() == {"exact_match,strict-match", "exact_match,flexible-extract"}
    assert tasks["gsm8k"].estimate.score == 1.0
    assert tasks["gsm8k"].estimate.low < 1.0, "lm-eval would say 1 ± 0"
    assert tasks["gsm8k"].shots == 5
    wikitext = tasks["wikitext"]
    assert (wikitext.unit, wikitext.higher_is_better, wikitext.estimate.n) == ("raw", False, 6)
    assert wikitext.estimate.score == wikitext.metrics["word_perplexity,none"].value > 1
    assert not tasks["lambada_openai"].metrics["perplexity,none"].higher_is_better


def test_one_run_has_tasks_of_both_kinds(run, tmp_path: Path) -> None:
    results = run("demo_choice", "lm-eval/arc_challenge", limit=4)
    assert [task.task for task in results.tasks] == ["demo_choice", "lm-eval/arc_challenge"]
    assert [task.estimate.score for task in results.tasks] == [1.0, 1.0]
    config = RunFolder(tmp_path / "run").config()["tasks"]["lm-eval/arc_challenge"]
    assert config["definition"]["verifier"]["params"]["lm_eval"]
    assert str(tmp_path) not in json.dumps(config)


def test_a_stopped_run_goes_on_where_it_was(run, tmp_path: Path) -> None:
    tasks = ("lm-eval/winogrande", "lm-eval/gsm8k")
    whole = run(*tasks, folder="whole")
    assert whole.generated == 24
    run(*tasks)
    for name, kept in (("samples", 15), ("verdicts", 9)):
        path = tmp_path / "run" / f"{name}.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:kept]) + lines[kept][:20])
    resumed = run(*tasks)
    assert resumed.generated == 24 - 15
    assert [without_times(task) for task in resumed.tasks] == [without_times(task) for task in whole.tasks]
    assert run(*tasks).generated == 0
    ids = [json.loads(line)["id"] for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 24


def test_other_options_do_not_go_on_in_the_same_folder(run) -> None:
    run("lm-eval/gsm8k", limit=3)
    with pytest.raises(RunMismatch, match="another task definition"):
        run("lm-eval/gsm8k", limit=3, overrides={"lm_eval.num_fewshot": 2})


def test_scoring_again_gives_the_same_results(run, tmp_path: Path, lm_eval_mirror: Path) -> None:
    before = run("lm-eval/winogrande", "lm-eval/gsm8k")
    folder = RunFolder(tmp_path / "run")
    folder.verdicts_path.write_text("")
    again = rescore(folder, lm_eval_mirror)
    assert again.complete
    assert [without_times(task) for task in again.tasks] == [without_times(task) for task in before.tasks]


def test_scoring_again_notices_another_definition(run, tmp_path: Path, lm_eval_mirror: Path) -> None:
    run("lm-eval/gsm8k", limit=2)
    folder = RunFolder(tmp_path / "run")
    config = folder.config()
    config["tasks"]["lm-eval/gsm8k"]["definition"]["verifier"]["params"]["definition"] = "0" * 16
    folder.write_config(config)
    with pytest.raises(RunMismatch, match="defines it otherwise"):
        rescore(folder, lm_eval_mirror)


def test_a_doc_with_several_contexts_is_one_sample(lm_eval_mirror: Path, run, tmp_path: Path) -> None:
    first = plan_of("winogrande", lm_eval_mirror).requests[0]
    assert [request.id for request in first.asked] == ["lm-eval/winogrande/0", "lm-eval/winogrande/0#1"]
    texts = [request.prompt.text for request in first.asked]
    assert texts == ["The zim met the wug and zim", "The zim met the wug and wug"]
    assert {request.continuations for request in first.asked} == {(" said 0.",)}
    replies = tmp_path / "replies.jsonl"
    lines = [
        {"id": "lm-eval/winogrande/0", "completion": [-1.0]},
        {"id": "lm-eval/winogrande/0#1", "completion": [-2.0]},
    ]
    lines += [{"id": "lm-eval/winogrande/1", "completion": [-1.0]}]  # half of the second doc's
    replies.write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = run("lm-eval/winogrande", model=f"fake:{replies}", limit=2)
    assert (results.tasks[0].failed, results.tasks[0].estimate.n, results.tasks[0].estimate.score) == (1, 1, 1.0)
    (sample,) = RunFolder(tmp_path / "run").samples().values()
    assert [answer.loglikelihoods for answer in sample.answers] == [(-1.0,), (-2.0,)]


OWN = """
task: own
dataset_path: openai/gsm8k
dataset_name: main
test_split: test
output_type: generate_until
doc_to_text: !function helpers.question
doc_to_target: "{{answer.split(' ')[-1]}}"
generation_kwargs: {until: ["\\n"], do_sample: true, temperature: 0.5, max_gen_toks: 7}
repeats: 4
filter_list:
  - name: first
    filter: [{function: take_first}]
  - name: majority
    filter: [{function: majority_vote}, {function: take_first}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1}
"""


def own_task(folder: Path, text: str) -> str:
    (folder / "helpers.py").write_text("def question(doc):\n    return f\"{doc['question']} Sum:\"\n")
    (folder / "own.yaml").write_text(text)
    return f"lm-eval/{folder}/own.yaml"


def test_a_task_file_of_ones_own_with_repeats_and_a_python_function(lm_eval_mirror: Path, tmp_path: Path) -> None:
    (task,) = load_lm_eval_tasks([own_task(tmp_path, OWN)], {}, lm_eval_mirror)
    assert task.name == "lm-eval/own"
    plan = plan_any_task(task, mirror=lm_eval_mirror, limit=2, chat=True, seed=0)
    request = plan.requests[1].request
    assert isinstance(request, GenerateRequest)
    assert request.prompt == TextPrompt("What is 1 + 1? Sum:")
    sampling = request.sampling
    assert (sampling.n, sampling.max_tokens, sampling.temperature, sampling.stop) == (4, 7, 0.5, ("\n",))


def test_repeats_are_judged_together(lm_eval_mirror: Path, tmp_path: Path) -> None:
    from evalsuite.engines.base import Sample
    from evalsuite.runs.records import SampleRecord

    (task,) = load_lm_eval_tasks([own_task(tmp_path, OWN)], {"lm_eval.metric": "exact_match,majority"}, lm_eval_mirror)
    plan = plan_any_task(task, mirror=lm_eval_mirror, limit=None, chat=True, seed=0)
    planned = plan.requests[3]
    samples = tuple(Sample(text, 1, truncated=False) for text in ("7", "6", "6", "5"))
    record = SampleRecord(
        planned.request.id, "", task.name, "", planned.doc, planned.request.prompt, planned.reference, 1, samples
    )
    verdict = plan.verifier.verify(record, planned.reference)
    assert (verdict.score, verdict.extracted) == (1.0, "6")
    assert verdict.reason == "exact_match,first=0 exact_match,majority=1"


MUTUAL = """
task: own
dataset_path: allenai/ai2_arc
dataset_name: ARC-Challenge
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices.label.index(answerKey)}}"
doc_to_choice: "{{choices.text}}"
metric_list: [{metric: acc_mutual_info, aggregation: mean, higher_is_better: true}]
metadata: {version: 1}
"""


def test_mutual_information_asks_for_the_choices_alone_too(lm_eval_mirror: Path, tmp_path: Path) -> None:
    (task,) = load_lm_eval_tasks([own_task(tmp_path, MUTUAL)], {}, lm_eval_mirror)
    plan = plan_any_task(task, mirror=lm_eval_mirror, limit=1, chat=True, seed=0)
    first, alone = plan.requests[0].asked
    assert isinstance(first, LogLikelihoodRequest)
    assert isinstance(alone, LogLikelihoodRequest)
    assert alone.prompt == TextPrompt("")
    assert first.continuations == alone.continuations


def test_the_chat_template_gets_turns(lm_eval_mirror: Path) -> None:
    options = {"apply_chat_template": True, "num_fewshot": 2, "system_instruction": "Be brief."}
    prompt = plan_of("gsm8k", lm_eval_mirror, **options).requests[0].request.prompt
    assert isinstance(prompt, ChatPrompt)
    assert [turn.role for turn in prompt.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert prompt.messages[0].content == "Be brief."
    single = plan_of("gsm8k", lm_eval_mirror, fewshot_as_multiturn=False, **options).requests[0].request.prompt
    assert [turn.role for turn in single.messages] == ["system", "user"]
    plain = plan_of("gsm8k", lm_eval_mirror, num_fewshot=2, system_instruction="Be brief.").requests[0].request.prompt
    assert plain.text.startswith("Be brief.Question: ")
    with pytest.raises(InvalidInput, match="has no chat template"):
        plan_of("gsm8k", lm_eval_mirror, chat=False, apply_chat_template=True)


def test_a_group_is_one_row_and_a_tag_is_several(mirror: Path) -> None:
    from evalsuite.split import Split

    (group,) = load_lm_eval_tasks(["lm-eval/agieval_en"], {}, mirror)
    assert (group.name, group.split) == ("lm-eval/agieval_en", Split.UNSEEN)
    tasks = load_lm_eval_tasks(["lm-eval/mmlu_anatomy", "lm-eval/truthfulqa_mc2"], {}, mirror)
    assert [(task.name, task.split) for task in tasks] == [
        ("lm-eval/mmlu_anatomy", Split.DEV),
        ("lm-eval/truthfulqa_mc2", Split.DEV),
    ]


OWN_TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["no", "yes"]
doc_to_target: answer
tag: my_tag
"""
OWN_GROUP = """
group: my_group
task: [my_b, my_a]
aggregate_metric_list: [{metric: acc, weight_by_size: false}]
"""


@pytest.fixture
def own_tasks(tmp_path: Path) -> Path:
    """A folder with two tasks of one's own, a tag and a group of them."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name, count in (("my_a", 2), ("my_b", 3)):
        rows = folder / f"{name}.jsonl"
        rows.write_text("".join(f'{{"question": "{n}?", "answer": {n % 2}}}\n' for n in range(count)))
        (folder / f"{name}.yaml").write_text(OWN_TASK.format(name=name, rows=rows))
    (folder / "group.yaml").write_text(OWN_GROUP)
    (folder / "wrong.yaml").write_text(OWN_GROUP.replace("my_b", "my_bee"))
    return folder


def test_a_group_of_ones_own_finds_its_members_beside_it(own_tasks: Path, run) -> None:
    (task,) = run(f"lm-eval/{own_tasks}/group.yaml").tasks
    assert (task.task, task.estimate.n, sorted(task.subtasks)) == ("lm-eval/my_group", 5, ["my_a", "my_b"])
    with pytest.raises(InvalidInput, match="does a group name a task that does not exist"):
        run(f"lm-eval/{own_tasks}/wrong.yaml")


def test_names_and_tags_of_ones_own_are_found_in_the_folder_that_is_named(own_tasks: Path, run, monkeypatch) -> None:
    monkeypatch.chdir(own_tasks.parent)
    included = {"lm_eval.include_path": own_tasks.name}
    results = run("lm-eval/my_group", "lm-eval/my_tag", overrides=included)
    monkeypatch.chdir("/")
    assert rescore(RunFolder(results.folder)).complete, "wherever the folder was named from"
    monkeypatch.chdir(own_tasks.parent)
    assert [task.task for task in results.tasks] == ["lm-eval/my_group", "lm-eval/my_a", "lm-eval/my_b"]
    with pytest.raises(InvalidInput, match="did you mean my_tag"):
        run("lm-eval/my_tags", overrides=included)
    with pytest.raises(InvalidInput, match="nowhere is not a directory"):
        run("lm-eval/my_tag", overrides={"lm_eval.include_path": "nowhere"})


def test_group_results_are_lm_evals(mirror: Path, tmp_path: Path) -> None:
    results = evaluate(
        "fake:gold",
        "lm-eval/agieval_en",
        data=mirror,
        limit=20,
        output=tmp_path / "run",
        unseen_reason="a test of the bridge",
        ledger=tmp_path / "looks.jsonl",
    )
    (task,) = results.tasks
    assert task.metric == "acc,none"
    assert len(task.subtasks) == 10
    assert task.estimate.n == 20
    assert task.docs == 20 < task.rows
    assert task.metrics["acc,none"].value == pytest.approx(task.estimate.score)


@pytest.mark.parametrize(
    ("name", "dataset", "unseen"),
    [
        ("mmlu_pro_biology", "TIGER-Lab/MMLU-Pro", True),
        ("leaderboard_gpqa_main", "Idavidrein/gpqa", True),
        ("mmlu_prox_fr_math", "li-lab/MMLU-ProX", True),
        ("agieval_en", "hails/agieval-math", True),
        ("my_own", "hails/agieval-lsat-ar", True),
        ("mmlu_anatomy", "cais/mmlu", False),
        ("mmlu_professional_law", "cais/mmlu", False),
        ("minerva_math_algebra", "EleutherAI/hendrycks_math", False),
        ("ifeval", "google/IFEval", False),
    ],
)
def test_what_is_unseen_here_is_unseen_there(name: str, dataset: str, unseen: bool) -> None:
    from evalsuite.bridge.lm_eval.tasks import _is_unseen

    leaf = LeafInfo(name, 1, "", "", dataset, (dataset,), None, "test", 0, True, False, ())
    assert _is_unseen(leaf) is unseen


def test_an_unseen_task_asks_for_a_reason(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitViolation, match="lm-eval/agieval_lsat_ar"):
        evaluate("fake:gold", "lm-eval/agieval_lsat_ar", data=mirror, output=tmp_path / "run", ledger=tmp_path / "l")
    assert not (tmp_path / "run").exists()


def test_a_file_of_ones_own_that_reads_an_unseen_dataset_is_unseen(tmp_path: Path) -> None:
    rows = tmp_path / "TIGER-Lab" / "MMLU-Pro" / "test.jsonl"
    rows.parent.mkdir(parents=True)
    rows.write_text('{"question": "1 + 1?", "options": ["1", "2"], "answer_index": 1}\n')
    (tmp_path / "link").symlink_to(rows.parent)
    for number, files in enumerate((f"{{test: {rows}}}", f"{{test: [{tmp_path}/link/test.jsonl]}}")):
        path = tmp_path / f"mine{number}.yaml"
        path.write_text(
            f"task: mine{number}\ndataset_path: json\ndataset_kwargs: {{data_files: {files}}}\ntest_split: test\n"
            'output_type: multiple_choice\ndoc_to_text: "{{question}}"\ndoc_to_choice: options\n'
            "doc_to_target: answer_index\n"
        )
        with pytest.raises(SplitViolation, match=f"lm-eval/mine{number} is unseen"):
            evaluate("fake:gold", f"lm-eval/{path}", output=tmp_path / "run", ledger=tmp_path / "l")


@pytest.mark.parametrize(
    ("tasks", "overrides", "error", "message"),
    [
        ("lm-eval/arc_chalenge", {}, InvalidInput, "did you mean arc_challenge"),
        ("lm-eval/hellaswag", {}, DataUnavailable, "is not in the mirror"),
        ("lm-eval/humaneval", {}, InvalidInput, "without a sandbox.*confirm_run_unsafe_code=true"),
        ("lm-eval/gsm8k", {"lm_eval.num_fewshots": 1}, InvalidInput, "did you mean num_fewshot"),
        ("lm-eval/gsm8k", {"lm_eval.num_fewshot": -1}, InvalidInput, "num_fewshot"),
        ("lm-eval/gsm8k", {"lm_eval.metric": "acc"}, UnknownName, "exact_match,strict-match"),
        ("lm-eval/gsm8k", {"lm_eval.gen_kwargs.num_beams": 4}, InvalidInput, "num_beams = 4"),
        ("demo_choice", {"lm_eval.num_fewshot": 1}, InvalidInput, "none of the tasks is lm-eval's"),
    ],
)
def test_mistakes_are_told_in_a_line(run, tasks: str, overrides: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        run(tasks, overrides=overrides)
    assert "\n" not in str(caught.value)


def test_an_engine_that_does_not_tell_what_is_greedy_scores_no_zero(lm_eval_mirror: Path, run, tmp_path: Path) -> None:
    run("lm-eval/lambada_openai", limit=1)
    (sample,) = RunFolder(tmp_path / "run").samples().values()
    source = Source(
        "lambada_openai", plan_of("lambada_openai", lm_eval_mirror).verifier.process.source.options, str(lm_eval_mirror)
    )
    verifier = LmEvalVerifier(LmEvalProcess(source), "lambada_openai", "acc,none", {"lambada_openai": True})
    assert verifier.verify(sample, sample.reference).score == 1.0
    silent = verifier.verify(replace(sample, greedy=()), sample.reference)
    assert silent.score is None
    assert "does not tell" in silent.reason


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, run) -> None:
    from evalsuite.bridge.lm_eval import process

    monkeypatch.setattr(process, "find_spec", lambda name: None)
    process._pool.cache_clear()
    with pytest.raises(MissingExtra, match=r"pip install 'evalsuite\[lm-eval\]'"):
        run("lm-eval/arc_challenge")
    process._pool.cache_clear()

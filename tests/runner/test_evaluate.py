from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from evalsuite import evaluate
from evalsuite.engines.base import Failure, Generation, Sample
from evalsuite.engines.fake import FakeEngine
from evalsuite.errors import EngineError, EvalsuiteError, InvalidInput, MissingExtra, RunMismatch, UnknownName
from evalsuite.runner.rescore import rescore
from evalsuite.runs.folder import RunFolder


@pytest.fixture
def replies(tmp_path):
    """Write a scripted model that answers task ``mine``'s three rows."""

    def write(*completions, name="replies"):
        path = tmp_path / f"{name}.jsonl"
        lines = [json.dumps({"id": f"mine/{n}", "completion": text}) for n, text in enumerate(completions)]
        path.write_text("\n".join(lines))
        return f"fake:{path}"

    return write


@pytest.fixture
def run(write_task, small_mirror, tmp_path):
    """Evaluate a model on task ``mine``."""
    path = str(write_task())

    def evaluate_mine(model, **options):
        return evaluate(model, [path], data=small_mirror, output=options.pop("output", tmp_path / "run"), **options)

    return evaluate_mine


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_folder_stands_on_its_own(run, replies, tmp_path):
    results = run(replies("2", "wrong", "6"))
    folder = tmp_path / "run"
    (task,) = results.tasks
    assert results.complete
    assert task.estimate.score == pytest.approx(2 / 3)
    assert (task.docs, task.outcomes) == (3, {"correct": 2, "incorrect": 1})
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "samples.jsonl",
        "verdicts.jsonl",
        "results.json",
        "run.log",
    }
    sample = next(line for line in lines(folder / "samples.jsonl") if line["id"] == "mine/1")
    assert sample["prompt"]["messages"] == [{"role": "user", "content": "Q: 2+2\nA:"}]
    assert (sample["reference"], sample["completions"][0]["text"]) == ("4", "wrong")
    config = json.loads((folder / "config.json").read_text())
    assert config["tasks"]["mine"]["data"] == {
        "origin": "mirror me/mine",
        "rows": 3,
        "sha256": config["tasks"]["mine"]["data"]["sha256"],
    }
    assert config["environment"]["packages"]["datasets"]
    assert json.loads((folder / "results.json").read_text())["tasks"]["mine"]["estimate"]["n"] == 3


def test_fake_gold_scores_one_and_fake_corrupted_zero(run, tmp_path):
    assert run("fake:gold").tasks[0].estimate.score == 1
    assert run("fake:corrupted", output=tmp_path / "other").tasks[0].estimate.score == 0


def test_zero_of_three_has_an_interval(run, replies):
    estimate = run(replies("x", "y", "z")).tasks[0].estimate
    assert estimate.score == 0
    assert estimate.high > 0.4
    assert estimate.stderr > 0


def test_an_answered_run_asks_nothing_again(run, replies, tmp_path):
    model = replies("2", "4", "6")
    run(model)
    before = (tmp_path / "run" / "samples.jsonl").read_bytes()
    again = run(model)
    assert (again.generated, again.complete) == (0, True)
    assert (tmp_path / "run" / "samples.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["samples.jsonl", "verdicts.jsonl", "results.json"])
def test_a_file_of_somebody_elses_is_left_alone(run, name, tmp_path):
    theirs = tmp_path / "run" / name
    theirs.parent.mkdir()
    theirs.write_text("my own notes")
    with pytest.raises(InvalidInput, match=f"has a {name} that is no run's.*use another --output"):
        run("fake:gold")
    assert theirs.read_text() == "my own notes"
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_request_without_an_answer_is_an_error_never_a_zero(run, replies, tmp_path):
    partial = run(replies("2", "4"))
    (task,) = partial.tasks
    assert (task.failed, task.errors, partial.complete) == (1, 1, False)
    assert task.estimate.score == 1
    assert "mine/2 was not answered" in (tmp_path / "run" / "run.log").read_text()
    completed = run(replies("2", "4", "wrong"))
    assert (completed.generated, completed.complete, completed.errors) == (1, True, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "fake:echo"},
        {"seed": 1},
        {"overrides": {"sampling.max_tokens": 9}},
        {"overrides": {"prompt": "Z{{ question }}"}},
    ],
)
def test_another_model_seed_sampling_or_prompt_never_reuses_an_answer(run, change, tmp_path):
    run("fake:gold")
    before = (tmp_path / "run" / "samples.jsonl").read_bytes()
    with pytest.raises(RunMismatch, match="use another --output"):
        run(**{"model": "fake:gold", **change})
    assert (tmp_path / "run" / "samples.jsonl").read_bytes() == before


def test_a_limit_can_be_raised_and_keeps_what_was_done(run):
    first = run("fake:gold", limit=1)
    assert (first.tasks[0].docs, first.tasks[0].limited) == (1, True)
    rest = run("fake:gold")
    assert (rest.generated, rest.tasks[0].docs, rest.tasks[0].limited) == (2, 3, False)


class _DyingEngine(FakeEngine):
    """Answers one request, then dies like a process that ran out of memory."""

    def generate(self, requests):
        yield Generation(requests[0].id, (Sample("2", 1, truncated=False),), 0)
        raise EngineError("the engine died: out of memory")


def test_a_dying_engine_leaves_a_run_that_goes_on(run, replies, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("evalsuite.runner.scripted.FakeEngine", _DyingEngine)
        with pytest.raises(EngineError, match="out of memory"):
            run("fake:gold")
    folder = RunFolder(tmp_path / "run")
    assert len(folder.samples()) == len(folder.verdicts()) == 1
    assert "1 of 3 requests are finished" in folder.log_path.read_text()
    assert folder.results()["complete"] is False
    finished = run("fake:gold")
    assert (finished.generated, finished.tasks[0].estimate.score) == (2, 1)


def test_an_error_text_is_never_graded(run, monkeypatch):
    class Failing(FakeEngine):
        def generate(self, requests):
            yield from (Failure(request.id, "HTTP 500: 2") for request in requests)

    monkeypatch.setattr("evalsuite.runner.scripted.FakeEngine", Failing)
    (task,) = run("fake:gold").tasks
    assert (task.failed, task.estimate, task.outcomes) == (3, None, {})


def test_truncation_and_identical_outputs_are_warned_of(run, monkeypatch):
    class Cut(FakeEngine):
        def generate(self, requests):
            yield from (Generation(r.id, (Sample("", 9, truncated=True),), 0) for r in requests)

    monkeypatch.setattr("evalsuite.runner.scripted.FakeEngine", Cut)
    (task,) = run("fake:gold").tasks
    assert task.truncated == 3
    assert any("100% of the completions hit the token limit" in warning for warning in task.warnings)
    assert any("every completion is empty" in warning for warning in task.warnings)


def test_a_users_verifier_that_hangs_crashes_or_raises_does_not_end_the_run(
    write_task, small_mirror, tmp_path, monkeypatch
):
    (tmp_path / "my_grader.py").write_text(
        textwrap.dedent(
            """
            import os, time
            from dataclasses import dataclass
            from evalsuite.verifiers import TextVerifier, Verdict

            @dataclass(frozen=True)
            class Grade(TextVerifier):
                def judge(self, completion, reference):
                    if completion == "crash":
                        os._exit(3)
                    if completion == "raise":
                        raise RuntimeError("a bug")
                    return Verdict.correct() if completion == reference else Verdict.incorrect()
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write_task()
    path.write_text(path.read_text().replace('name = "exact_match"', 'name = "my_grader:Grade"'))
    script = tmp_path / "r.jsonl"
    script.write_text(
        "\n".join(json.dumps({"id": f"mine/{n}", "completion": t}) for n, t in enumerate(["2", "crash", "raise"]))
    )
    (task,) = evaluate(f"fake:{script}", [str(path)], data=small_mirror, output=tmp_path / "run").tasks
    assert task.outcomes == {"correct": 1, "error": 1, "incorrect": 1}
    reasons = {record.id: record.verdicts[0].reason for record in RunFolder(tmp_path / "run").verdicts().values()}
    assert reasons["mine/1"] == "crashed"
    assert "a bug" in reasons["mine/2"]


def test_scoring_again_needs_no_model_and_gives_the_same(run, replies, tmp_path):
    before = run(replies("2", "wrong", "6"))
    (tmp_path / "run" / "verdicts.jsonl").unlink()
    after = rescore(RunFolder.open(tmp_path / "run"))
    assert after.tasks == before.tasks
    assert len(RunFolder(tmp_path / "run").verdicts()) == 3


def test_samples_without_verdicts_are_judged_on_resume_without_being_asked_again(run, replies, tmp_path):
    model = replies("2", "4", "6")
    run(model)
    verdicts = tmp_path / "run" / "verdicts.jsonl"
    verdicts.write_text(verdicts.read_text().splitlines(keepends=True)[0])
    again = run(model)
    assert (again.generated, again.complete, len(lines(verdicts))) == (0, True, 3)


def test_asking_for_nothing_or_the_impossible_is_one_clear_line(run, small_mirror, tmp_path):
    for options in ({"tasks": None}, {"tasks": ["gsm8k"], "suite": "dev"}):
        with pytest.raises(InvalidInput, match="either --tasks a,b or --suite NAME"):
            evaluate("fake:gold", **options)
    with pytest.raises(InvalidInput, match="--limit 0"):
        run("fake:gold", limit=0)
    with pytest.raises(InvalidInput, match="valid are fake:gold"):
        run("fake:silver")
    with pytest.raises(InvalidInput, match="is not a directory"):
        evaluate("fake:gold", ["gsm8k"], data=tmp_path / "none")
    with pytest.raises(UnknownName, match="unknown engine 'vlm': did you mean vllm"):
        run("some-model", engine="vlm")
    with pytest.raises(
        UnknownName, match="unknown option of engine 'transformers' 'batchsize': did you mean batch_size"
    ):
        run("some-model", engine="transformers", overrides={"engine.batchsize": 4})


@pytest.mark.slow
def test_killed_ten_times_and_restarted_it_ends_as_if_uninterrupted(tmp_path, mirror):
    def command(output):
        arguments = ["run", "--model", "demo", "--tasks", "gsm8k", "--data", str(mirror), "--output", str(output)]
        return [sys.executable, "-m", "evalsuite", *arguments, "--engine", "transformers"]

    killed, whole = RunFolder(tmp_path / "killed"), RunFolder(tmp_path / "whole")
    rng = random.Random(0)
    for _ in range(10):
        process = subprocess.Popen(command(killed.path), start_new_session=True)
        _wait_for_samples(killed.samples_path, process)
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert 0 < len(killed.samples()) < 1319
    subprocess.run(command(killed.path), check=True)
    subprocess.run(command(whole.path), check=True)
    for path in (killed.samples_path, killed.verdicts_path):
        ids = [line["id"] for line in lines(path)]
        assert len(ids) == len(set(ids)) == 1319
    assert killed.results()["tasks"] == whole.results()["tasks"]
    texts = {name: record.completions[0].text for name, record in whole.samples().items()}
    assert texts == {name: record.completions[0].text for name, record in killed.samples().items()}


def _wait_for_samples(path, process):
    size = path.stat().st_size if path.exists() else 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.stat().st_size > size:
            return
        time.sleep(0.01)


def test_an_interrupted_run_says_how_to_go_on(run, monkeypatch, tmp_path):
    class Interrupted(FakeEngine):
        def generate(self, requests):
            yield Generation(requests[0].id, (Sample("2", 1, truncated=False),), 0)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("evalsuite.runner.scripted.FakeEngine", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("fake:gold")
    assert "interrupted: 1 of 3 requests are finished" in (tmp_path / "run" / "run.log").read_text()
    assert run("fake:gold").generated == 2


def test_a_full_disk_stops_the_run_in_one_line_and_loses_nothing(run, monkeypatch, tmp_path):
    written = []

    def write(descriptor, data):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(data)
        return real_write(descriptor, data)

    real_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr("evalsuite.runs.journal.os.write", write)
        with pytest.raises(EvalsuiteError, match="No space left on device; finished samples are safe"):
            run("fake:gold")
    finished = run("fake:gold")
    assert finished.complete
    assert len(lines(tmp_path / "run" / "samples.jsonl")) == 3


def test_a_missing_package_names_the_extra_to_install(run, write_task, small_mirror, monkeypatch, tmp_path):
    path = write_task()
    path.write_text(path.read_text() + '\n[fewshot]\nshots = 1\nsource = "lm-eval:gsm8k/gsm8k-cot.yaml"\n')
    monkeypatch.setattr("evalsuite.data.lm_eval_files.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'evalsuite\[lm-eval\]'"):
        evaluate("fake:gold", [str(path)], data=small_mirror, output=tmp_path / "run")


def test_a_task_named_twice_runs_once_and_two_tasks_of_one_name_are_refused(write_task, small_mirror, tmp_path):
    task = write_task()
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "mine.toml"
    other.write_text(task.read_text().replace("Q: ", "Another: "))
    twice = evaluate(
        "fake:gold", [str(task), f"{tmp_path}/other/../mine.toml"], data=small_mirror, output=tmp_path / "a"
    )
    assert len(twice.tasks) == 1
    with pytest.raises(InvalidInput, match="two tasks are called 'mine'"):
        evaluate("fake:gold", [str(task), str(other)], data=small_mirror, output=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_folder_in_use_is_left_as_it_is_by_run_and_score(run, tmp_path):
    run("fake:gold")
    folder = RunFolder(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    with folder.exclusive():
        for refused in (lambda: run("fake:gold", limit=1), lambda: rescore(folder)):
            with pytest.raises(RunMismatch, match="is being written by another run"):
                refused()
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


def test_a_folder_of_something_else_is_refused_and_kept(run, tmp_path):
    foreign = tmp_path / "run" / "config.json"
    foreign.parent.mkdir()
    foreign.write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(InvalidInput, match=r"is not a run's config\.json"):
        run("fake:gold")
    assert foreign.read_text() == '{"architectures": ["LlamaForCausalLM"]}'


def test_damaged_files_are_named_and_never_judged(run, tmp_path):
    run("fake:gold")
    folder = RunFolder(tmp_path / "run")
    good = folder.samples_path.read_text()
    folder.samples_path.write_text(good.replace("{", "\0", 1))
    with pytest.raises(InvalidInput, match=r"samples.jsonl:1 is damaged: delete that line"):
        run("fake:gold")
    folder.samples_path.write_text(good.partition("\n")[2])
    assert run("fake:gold").generated == 1
    (folder.path / "results.json").write_text('{"tasks": 3}')
    with pytest.raises(InvalidInput, match=r"is not a run's results\.json"):
        folder.results()
    (folder.path / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="cannot be read"):
        folder.config()


def test_half_a_surrogate_pair_in_a_completion_is_kept(run, replies, tmp_path):
    run(replies("2", "\ud83d", "6"))
    folder = RunFolder(tmp_path / "run")
    assert folder.samples()["mine/1"].completions[0].text == "\ud83d"
    rescore(folder)
    assert json.loads(folder.verdicts_path.read_text("utf-8").splitlines()[0])
    assert len(folder.verdicts()) == 3


def test_a_run_killed_before_it_was_ever_summarised_can_be_scored(run, replies, tmp_path):
    before = run(replies("2", "wrong", "6"))
    (tmp_path / "run" / "results.json").unlink()
    after = rescore(RunFolder.open(tmp_path / "run"))
    assert (after.tasks, after.complete) == (before.tasks, True)


def test_continuing_a_run_keeps_its_date(run, replies, tmp_path):
    run(replies("2", "4", "6"))
    started = RunFolder(tmp_path / "run").config()["started"]
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace(started, "2020-01-01T00:00:00+00:00"))
    run(replies("2", "4", "6"))
    assert RunFolder(tmp_path / "run").config()["started"] == "2020-01-01T00:00:00+00:00"


def snapshot(folder):
    return {name: (folder / name).read_bytes() for name in ("config.json", "results.json", "samples.jsonl")}


def test_a_finished_folder_never_shrinks(run, write_task, small_mirror, tmp_path):
    folder = tmp_path / "run"
    run("fake:gold")
    before = snapshot(folder)
    with pytest.raises(RunMismatch, match="holds mine on 3 docs, this command asks for only 1 of them"):
        run("fake:gold", limit=1)
    other = write_task(name="other")
    with pytest.raises(RunMismatch, match="holds mine too, which this command leaves out"):
        evaluate("fake:gold", [str(other)], data=small_mirror, output=folder)
    assert snapshot(folder) == before
    both = evaluate("fake:gold", [str(write_task()), str(other)], data=small_mirror, output=folder)
    assert (both.generated, [task.task for task in both.tasks]) == (3, ["mine", "other"])


def test_a_folder_with_answers_to_other_prompts_is_refused_before_anything_is_changed(run, tmp_path):
    run("fake:gold")
    samples = tmp_path / "run" / "samples.jsonl"
    key = lines(samples)[0]["key"]
    samples.write_text(samples.read_text().replace(key, "0" * 16))
    before = snapshot(tmp_path / "run")
    with pytest.raises(RunMismatch, match="holds mine/0 from another model, prompt or sampling"):
        run("fake:gold")
    assert snapshot(tmp_path / "run") == before


def test_verdicts_that_were_errors_are_asked_for_again_on_resume(run, replies, tmp_path):
    model = replies("2", "wrong", "6")
    run(model)
    verdicts = tmp_path / "run" / "verdicts.jsonl"
    spoilt = lines(verdicts)
    spoilt[1]["verdicts"] = [{"outcome": "error", "score": None, "extracted": None, "reason": "a bug"}]
    verdicts.write_text("".join(json.dumps(line) + "\n" for line in spoilt))
    again = run(model)
    assert (again.generated, again.errors, again.tasks[0].estimate.score) == (0, 0, pytest.approx(2 / 3))


@pytest.mark.parametrize("given", [{"engine": "vllm"}, {"overrides": {"engine.dtype": "float16"}}])
def test_an_engine_for_a_script_is_refused_not_ignored(run, given, tmp_path):
    with pytest.raises(
        InvalidInput, match=r"answers from a script, without an engine: leave out --(engine|set engine)"
    ):
        run("fake:gold", **given)
    assert run("fake:gold", engine="fake").complete


def test_a_run_keeps_its_id(run, tmp_path):
    run("fake:gold", limit=1)
    first = RunFolder(tmp_path / "run").config()["run"]
    run("fake:gold")
    assert RunFolder(tmp_path / "run").config()["run"] == first
    run("fake:gold", output=tmp_path / "other")
    assert RunFolder(tmp_path / "other").config()["run"] != first

"""Unseen tasks on the command line: a reason, a ledger, and samples that stay sealed."""

from __future__ import annotations

import json

import pytest

from evalsuite.cli.app import main
from evalsuite.engines.fake import FakeEngine

SECRET = ("3+3", "secret answer", "Q: 1+1")


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run a command line in an empty folder; return (exit code, stdout, stderr)."""
    monkeypatch.delenv("EVALSUITE_DATA", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return call


@pytest.fixture
def unseen(write_task, tmp_path):
    """Task ``mine`` as an unseen one."""
    folder = tmp_path / "unseen"
    folder.mkdir()
    return write_task().rename(folder / "mine.toml")


@pytest.fixture
def ask(cli, unseen, small_mirror, tmp_path):
    """Run the unseen task with one right and two wrong answers."""
    script = tmp_path / "replies.jsonl"
    replies = ["2", "secret answer", "x"]
    script.write_text("\n".join(json.dumps({"id": f"mine/{n}", "completion": t}) for n, t in enumerate(replies)))

    def run(*more, output="run"):
        return cli(
            "run", "--model", f"fake:{script}", "--tasks", unseen, "--data", small_mirror, "--output", output, *more
        )

    return run


def ledger_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_unseen_task_needs_a_reason_before_anything_is_made(ask, tmp_path):
    for reason in ((), ("--unseen-reason", "  ")):
        code, out, err = ask(*reason)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert 'mine is unseen: say why you look with --unseen-reason "..."' in err
    assert list((tmp_path / "work").iterdir()) == []


def test_the_look_is_on_the_ledger_and_a_resumed_run_is_no_new_one(ask, tmp_path):
    for more in (("--limit", "1"), (), ()):
        assert ask("--unseen-reason", "final numbers", *more)[0] == 0
    (look,) = ledger_lines(tmp_path / "work" / "leaderboards" / "looks.jsonl")
    assert (look["reason"], list(look["tasks"]), look["purpose"]) == ("final numbers", ["mine"], "run")
    config = json.loads((tmp_path / "work" / "run" / "config.json").read_text())
    assert (look["run"], look["model_hash"]) == (config["run"], config["model_hash"])
    assert ask("--unseen-reason", "once more", output="other")[0] == 0
    assert len(ledger_lines(tmp_path / "work" / "leaderboards" / "looks.jsonl")) == 2


def test_the_look_is_written_down_before_the_model_is_asked(ask, tmp_path, monkeypatch):
    class Interrupted(FakeEngine):
        def generate(self, requests):
            assert len(ledger_lines(tmp_path / "here.jsonl")) == 1
            raise KeyboardInterrupt

    monkeypatch.setattr("evalsuite.runner.scripted.FakeEngine", Interrupted)
    code, _, err = ask("--unseen-reason", "r", "--ledger", tmp_path / "here.jsonl")
    assert code == 1
    assert "interrupted: 0 of 3 requests" in err
    assert err.endswith("evalsuite: interrupted\n")


def test_a_ledger_that_cannot_be_written_stops_the_run(ask, tmp_path):
    (tmp_path / "work" / "leaderboards").write_text("")
    code, _, err = ask("--unseen-reason", "r")
    assert (code, "--ledger FILE is another place" in err) == (2, True)
    assert not (tmp_path / "work" / "run" / "samples.jsonl").exists()


def test_unseen_samples_are_sealed_until_a_reason_opens_them(ask, cli, tmp_path):
    ask("--unseen-reason", "r")
    log = (tmp_path / "work" / "run" / "run.log").read_text()
    for arguments in (("show", "run"), ("show", "run", "--json"), ("show", "run", "--failed", "--task", "mine")):
        code, out, err = cli(*arguments)
        assert code == 0
        assert "sealed" in out
        assert "incorrect" in out
        assert not any(text in out + err + log for text in SECRET)
    code, _, err = cli("show", "run", "--unseen-reason", " ")
    assert (code, "say why" in err) == (2, True)
    code, out, _ = cli("show", "run", "--unseen-reason", "many wrong answers")
    assert code == 0
    assert all(text in out for text in SECRET)
    code, out, _ = cli("show", "run", "--id", "mine/1", "--unseen-reason", "one of them", "--json")
    (sample,) = json.loads(out)
    assert (sample["completions"][0]["text"], sample["sealed"], sample["reference"]) == ("secret answer", False, "4")
    looks = ledger_lines(tmp_path / "work" / "leaderboards" / "looks.jsonl")
    assert [look["purpose"] for look in looks] == ["run", "show", "show"]
    assert looks[1]["reason"] == "many wrong answers"


def test_development_samples_need_no_reason_and_make_no_look(cli, write_task, small_mirror, tmp_path):
    cli("run", "--model", "fake:gold", "--tasks", write_task(), "--data", small_mirror, "--output", "run")
    code, out, _ = cli("show", "run", "--json", "--unseen-reason", "r")
    assert code == 0
    assert {sample["sealed"] for sample in json.loads(out)} == {False}
    assert not (tmp_path / "work" / "leaderboards").exists()


def test_a_run_from_before_the_split_was_written_down_is_sealed_by_its_tasks_folder(ask, cli, tmp_path):
    ask("--unseen-reason", "r")
    path = tmp_path / "work" / "run" / "config.json"
    config = json.loads(path.read_text())
    del config["tasks"]["mine"]["split"], config["run"]
    path.write_text(json.dumps(config))
    assert "secret answer" not in cli("show", "run")[1]


def test_judging_saved_completions_of_an_unseen_task_is_a_look(cli, unseen, small_mirror, tmp_path):
    given = tmp_path / "answers.jsonl"
    given.write_text('{"id": 0, "completion": "2"}\n')
    arguments = ("verify", "--task", unseen, given, "--data", small_mirror)
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert "mine is unseen" in err
    code, out, _ = cli(*arguments, "--unseen-reason", "a release", "--ledger", "looks.jsonl")
    assert (code, json.loads(out)["score"]) == (0, 1.0)
    (look,) = ledger_lines(tmp_path / "work" / "looks.jsonl")
    assert (look["purpose"], look["model"], len(look["model_hash"])) == ("verify", str(given), 16)


def test_check_shows_no_completion_of_a_model_and_score_is_the_same_look(ask, cli, unseen, small_mirror, tmp_path):
    assert cli("check", unseen, "--data", small_mirror)[0] == 0
    assert not (tmp_path / "work" / "leaderboards").exists()
    ask("--unseen-reason", "r")
    assert cli("score", "run")[0] == 0
    assert len(ledger_lines(tmp_path / "work" / "leaderboards" / "looks.jsonl")) == 1


def test_looks_prints_the_counts_and_finds_a_broken_chain(ask, cli, tmp_path):
    ask("--unseen-reason", "final numbers")
    code, out, err = cli("looks")
    assert code == 0
    assert "final numbers" in out
    assert "1 look in leaderboards/looks.jsonl; the chain is whole" in err
    path = tmp_path / "work" / "leaderboards" / "looks.jsonl"
    ask("--unseen-reason", "a second one", output="other")
    path.write_text(path.read_text().replace("final numbers", "only a test"))
    code, out, err = cli("looks", "--json")
    assert code == 1
    assert json.loads(out)["problems"]
    assert "looks.jsonl:2 does not follow line 1" in err
    assert cli("looks", "--ledger", "none.jsonl")[0] == 2


def test_the_demo_suite_explains_what_it_needs(cli):
    code, _, err = cli("run", "--model", "demo", "--suite", "demo")
    assert code == 2
    assert "demo_arithmetic_unseen, demo_choice_unseen, demo_sampled_unseen and 1 more are unseen" in err

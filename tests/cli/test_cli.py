"""The contract of the command line, through the same entry point the console script calls."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from evalsuite.cli.app import app, main


@pytest.fixture
def cli(capsys, monkeypatch):
    """Run a command line; return (exit code, stdout, stderr)."""
    monkeypatch.delenv("EVALSUITE_DATA", raising=False)

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return call


@pytest.fixture
def finished(cli, write_task, small_mirror, tmp_path):
    """A finished run of task ``mine`` with one wrong answer, as (folder, task file)."""
    task = write_task()
    script = tmp_path / "replies.jsonl"
    replies = ["2", "5", "6"]
    script.write_text("\n".join(json.dumps({"id": f"mine/{n}", "completion": t}) for n, t in enumerate(replies)))
    folder = tmp_path / "run"
    code, _, _ = cli("run", "--model", f"fake:{script}", "--tasks", task, "--data", small_mirror, "--output", folder)
    assert code == 0
    return folder, task


def test_list_shows_every_task_and_json_is_all_of_stdout(cli):
    code, out, err = cli("list", "--suite", "dev")
    assert (code, err) == (0, "")
    assert "gsm8k" in out
    assert "1,319" in out
    code, out, _ = cli("list", "--json")
    assert code == 0
    by_name = {task["name"]: task for task in json.loads(out)}
    assert by_name["humaneval"] | {"hash": ""} == {
        "name": "humaneval",
        "title": "HumanEval",
        "skill": "coding",
        "split": "dev",
        "shots": 0,
        "metric": "pass@10",
        "rows": 164,
        "verifier": "code",
        "group": None,
        "judges": [],
        "gated": False,
        "averaged": True,
        "hash": "",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--model", "fake:gold", "--tasks", "gsm8kk"], "unknown task 'gsm8kk': did you mean gsm8k?"),
        (["run", "--model", "fake:gold", "--suite", "deev"], "unknown suite 'deev': did you mean dev?"),
        (["run", "--taks", "gsm8k"], "--taks"),
        (["run", "--model", "fake:gold"], "either --tasks a,b or --suite NAME"),
        (["run", "--model", "fake:gold", "--tasks", "gsm8k", "--set", "novalue"], "write --set KEY=VALUE"),
        (["run", "--model", "fake:gold", "--tasks", "gsm8k", "--data", "nowhere"], "nowhere is not a directory"),
        (["rnu"], "rnu"),
        (["verify", "nothing.jsonl", "--verifier", "gsm8k"], "nothing.jsonl cannot be read"),
        (["verify", "nothing.jsonl", "--verifier", "gsm8kk"], "unknown verifier 'gsm8kk': did you mean gsm8k?"),
        (["verify", "nothing.jsonl", "--verifier", "math", "--param", "mood=eval"], "did you mean mode?"),
        (["verify", "nothing.jsonl"], "either --verifier NAME or --task NAME"),
        (["verify", "nothing.jsonl", "--verifier", "mc2"], "judges a model's log-probabilities, not completions"),
        (["verify", "nothing.jsonl", "--verifier", "os:abort"], "is not a subclass of evalsuite.verifiers.Verifier"),
        (["verify", "nothing.jsonl", "--verifier", "length", "--param", "minimum=x"], "minimum must be of type int"),
        (["list", "gsm8k", "--suite", "unseen"], "give a task or a suite, not both"),
        (["run", "--model", "", "--tasks", "demo_choice"], "the model's name is empty"),
        (["run", "--model", "demo", "--tasks", "demo_choice", "--set", "engine.batch_size=x"], "engine.batch_size=x"),
        (["train", "demo/sft", "--dry-run", "--allow-overlap", " "], "--allow-overlap"),
        (["show", "nowhere"], "nowhere is not a run folder"),
        (["score", "nowhere"], "nowhere is not a run folder"),
        (["leaderboard", "nowhere"], "nowhere is not a run folder"),
        (["check", "nothere.toml"], "nothere.toml cannot be read"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(cli, arguments, message):
    code, out, err = cli(*arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_tracebacks_come_only_with_debug():
    command = [sys.executable, "-m", "evalsuite", "show", "nowhere"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)
    assert plain.returncode == 2
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr


def test_run_prints_n_score_interval_and_counts(cli, finished, small_mirror):
    folder, task = finished
    replies = folder.parent / "replies.jsonl"
    arguments = ["run", "--model", f"fake:{replies}", "--tasks", task, "--data", small_mirror, "--output", folder]
    code, out, err = cli(*arguments)
    assert code == 0
    for word in ("mine", "66.7", "95% CI", "no answer", "truncated", "errors"):
        assert word in out
    assert "3 already finished" in err
    code, out, _ = cli(*arguments, "--json")
    assert json.loads(out)["tasks"]["mine"]["estimate"]["n"] == 3


def test_a_run_with_errors_ends_with_code_3_and_is_not_publishable(cli, write_task, small_mirror, tmp_path):
    script = tmp_path / "replies.jsonl"
    script.write_text(json.dumps({"id": "mine/0", "completion": "2"}))
    folder = tmp_path / "run"
    code, out, err = cli(
        "run", "--model", f"fake:{script}", "--tasks", write_task(), "--data", small_mirror, "--output", folder
    )
    assert code == 3
    assert "mine/1 was not answered" in err
    assert "2 !" in out
    code, _, err = cli("leaderboard", folder, "--output", tmp_path / "boards", "--publish")
    assert code == 2
    assert "is not publishable: mine is unfinished; mine has 2 errors" in err
    assert not (tmp_path / "boards").exists()


def test_show_prints_prompt_completion_reference_and_verdict(cli, finished):
    folder, _ = finished
    code, out, _ = cli("show", folder, "--failed")
    assert code == 0
    for part in ("mine/1 · 1 of 1", "prompt · user", "Q: 2+2", "5", "incorrect", "reference", "4"):
        assert part in out
    code, out, _ = cli("show", folder, "--id", "mine/0")
    assert "score 1" in out
    code, _, err = cli("show", folder, "--task", "mien")
    assert (code, "did you mean mine" in err) == (2, True)


def test_score_judges_again(cli, finished):
    folder, _ = finished
    (folder / "verdicts.jsonl").write_text("")
    code, out, _ = cli("score", folder)
    assert code == 0
    assert "66.7" in out


def test_check_finds_unsound_tasks(cli, write_task, small_mirror):
    task = write_task()
    code, _, err = cli("check", task, "--data", small_mirror)
    assert code == 0
    assert "mine: ok · 3 rows from mirror me/mine" in err
    task.write_text(
        task.read_text().replace('target = "{{ answer }}"', 'target = "{{ answer }}"\ngold = "{{ question }}"')
    )
    code, _, err = cli("check", task, "--data", small_mirror)
    assert code == 1
    assert "the gold answer scores 0.0, not 1" in err
    task.write_text(task.read_text() + '\n[check]\nprompts = "0000000000000000"\n')
    code, _, err = cli("check", task, "--data", small_mirror)
    assert "prompts have changed: their hash is" in err


def test_verify_gives_one_line_for_every_line(cli, tmp_path):
    given = tmp_path / "in.jsonl"
    rows = [
        {"completion": "so 18", "reference": "#### 18", "keep": [1]},
        "not json",
        "",
        "[1]",
        {"completion": "18"},
        {"reference": "18"},
        {"completion": ["17", "18"], "reference": "18"},
        {"completion": 18, "reference": "18"},
    ]
    given.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    output = tmp_path / "out.jsonl"
    code, out, _ = cli("verify", "--verifier", "gsm8k", given, "--output", output)
    assert (code, out) == (3, "")
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["score"] for line in lines] == [1, None, None, None, None, None, 0.5, None]
    assert lines[0] | {"reason": ""} == {**rows[0], "score": 1.0, "outcome": "correct", "extracted": "18", "reason": ""}
    assert lines[6]["outcome"] == "partial"
    assert all(line["reason"].startswith("bad_line: ") for line in lines if line["score"] is None)


def test_verify_finds_references_by_task_and_id(cli, write_task, small_mirror, tmp_path):
    given = tmp_path / "in.jsonl"
    given.write_text(
        '{"id": 1, "completion": "4"}\n{"id": "mine/2", "completion": "6"}\n{"id": 9, "completion": "6"}\n'
    )
    code, out, err = cli("verify", "--task", write_task(), given, "--data", small_mirror)
    assert code == 3
    assert [json.loads(line)["score"] for line in out.splitlines()] == [1.0, 1.0, None]
    assert "mine has no doc '9'" in out
    assert "2 correct" in err


def test_a_reader_that_leaves_is_no_error():
    command = f"{sys.executable} -m evalsuite list | head -n 1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "BrokenPipe" not in ended.stderr
    assert (ended.stderr, ended.returncode) == ("", 0)


def test_no_command_at_all_is_answered_with_the_help(cli):
    assert cli() == cli("--help")
    code, out, err = cli()
    assert (code, err, out.count("\n") > 20) == (0, "", True)


def test_every_command_has_help_with_an_example(cli):
    for command in (registered.name for registered in app.registered_commands):
        code, out, _ = cli(command, "--help")
        assert code == 0
        assert f"evalsuite {command}" in out


def test_brackets_and_colons_in_model_text_are_shown_as_they_are(cli, write_task, small_mirror, tmp_path):
    script = tmp_path / "replies.jsonl"
    script.write_text("\n".join(json.dumps({"id": f"mine/{n}", "completion": "[bold]x[/] :smile:"}) for n in range(3)))
    folder = tmp_path / "run"
    cli("run", "--model", f"fake:{script}", "--tasks", write_task(), "--data", small_mirror, "--output", folder)
    _, out, _ = cli("show", folder, "--id", "mine/0")
    assert "[bold]x[/] :smile:" in out


@pytest.mark.slow
def test_doctor_tells_what_works_and_where_it_comes_from(cli):
    code, out, _ = cli("doctor", "--json")
    facts = json.loads(out)
    assert code == 0
    assert {engine["name"] for engine in facts["engines"]} == {"openai", "transformers", "vllm"}
    assert facts["isolation"]["level"] in {"basic", "confined", "namespaced"}
    assert {package["name"]: package["extra"] for package in facts["packages"]}["torch"] == "transformers"


def test_verify_never_overwrites_its_input(cli, tmp_path):
    given = tmp_path / "in.jsonl"
    given.write_text('{"completion": "18", "reference": "18"}\n')
    before = given.read_text()
    code, _, err = cli("verify", "--verifier", "gsm8k", given, "--output", given)
    assert (code, given.read_text()) == (2, before)
    assert "is the input itself" in err


def test_verify_survives_odd_text_and_odd_numbers(tmp_path):
    given = tmp_path / "in.jsonl"
    given.write_bytes(
        b'\xef\xbb\xbf{"completion": "\\ud83d \xc3\xa9 18", "reference": "18"}\n{"completion": "18", "big": '
        + b"9" * 5000
        + b"}\n\xff\n"
    )
    command = [sys.executable, "-m", "evalsuite", "verify", "--verifier", "gsm8k"]
    for arguments, stdin in (([str(given)], b""), (["-"], given.read_bytes())):
        ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
        ended = subprocess.run([*command, *arguments], input=stdin, capture_output=True, check=False, env=ascii_only)
        assert ended.returncode == 3, ended.stderr
        lines = [json.loads(line) for line in ended.stdout.decode("utf-8").splitlines()]
        assert [line["outcome"] for line in lines] == ["correct", "error", "error"]


def test_show_does_not_let_a_completion_steer_the_terminal(cli, write_task, small_mirror, tmp_path):
    script = tmp_path / "replies.jsonl"
    script.write_text(
        "\n".join(json.dumps({"id": f"mine/{n}", "completion": "\x1b[2J\x1b]0;x\x07a\tb\nc"}) for n in range(3))
    )
    folder = tmp_path / "run"
    cli("run", "--model", f"fake:{script}", "--tasks", write_task(), "--data", small_mirror, "--output", folder)
    code, out, _ = cli("show", folder, "--id", "mine/0")
    assert code == 0
    assert not set(out) & {"\x1b", "\x07"}
    assert "\\x1b[2J\\x1b]0;x\\x07a" in out


def test_check_refuses_a_limit_below_one(cli):
    assert cli("check", "gsm8k", "--limit", "-1")[0] == 2


def test_a_defect_is_one_line_without_debug(cli, monkeypatch):
    monkeypatch.setattr("evalsuite.tasks.registry.task_paths", lambda suite: {}["none"])
    code, _, err = cli("list")
    assert (code, err.count("\n")) == (1, 1)
    assert "KeyError" in err


def test_isolation_can_be_insisted_on(cli, tmp_path, monkeypatch):
    from evalsuite.sandbox import Isolation, Layer, probe

    given = tmp_path / "in.jsonl"
    given.write_text('{"completion": "1", "reference": "1"}\n')
    verify = ("verify", "--verifier", "gsm8k", given, "--require-isolation")
    code, _, err = cli(*verify, "total")
    assert (code, "isolation level must be one of basic, confined, namespaced" in err) == (2, True)
    assert cli(*verify, probe().level.name)[0] == 0
    layers = (Layer("rlimits", works=True), Layer("unprivileged", works=True), Layer("seccomp", False, "no"))
    bare = Isolation(layers)
    monkeypatch.setattr("evalsuite.sandbox.service.probe", lambda outer: bare)
    code, out, err = cli(*verify, "confined")
    assert (code, out) == (2, "")
    assert "isolation 'confined' is required" in err


def _spoilt(content, depth=4):
    """Yield copies of a JSON object with one key at any depth gone, or of another kind."""
    for key, value in content.items():
        yield {name: kept for name, kept in content.items() if name != key}
        yield {**content, key: [] if isinstance(value, dict | str) else "x"}
        if isinstance(value, dict) and depth:
            yield from ({**content, key: spoilt} for spoilt in _spoilt(value, depth - 1))


@pytest.mark.parametrize(("name", "part"), [("results.json", "estimate"), ("config.json", "data")])
def test_an_edited_run_folder_is_a_mistake_and_never_a_defect(cli, finished, name, part):
    folder, _ = finished
    path = folder / name
    content = json.loads(path.read_text())
    (task,) = content["tasks"]
    few = {**content, "tasks": {task: {**content["tasks"][task], "definition": {"path": "x.toml"}}}}
    few["environment"] = {"git_commit": None, "evalsuite": "0.1.0"}
    refused, defects = set(), set()
    for spoilt in _spoilt(few if name == "config.json" else content):
        path.write_text(json.dumps(spoilt))
        code, _, said = cli("leaderboard", folder, "--output", folder / "boards")
        (refused if code == 2 else defects if code or "defect" in said else set()).add(said.strip())
    assert not defects
    assert any(f"tasks.{task}.{part}: " in said or f".{part}: " in said for said in refused)


def test_folders_and_files_that_cannot_be_used_are_named(cli, finished, tmp_path):
    folder, _ = finished
    a_file = tmp_path / "file"
    a_file.write_text("not a folder")
    assert cli("leaderboard", folder, "--output", a_file)[::2] == (
        2,
        f"evalsuite: folder {a_file} cannot be made: File exists\n",
    )
    (folder / "samples.jsonl").unlink()
    (folder / "samples.jsonl").mkdir()
    code, _, said = cli("show", folder)
    assert (code, said) == (2, f"evalsuite: {folder}/samples.jsonl cannot be read: Is a directory\n")


def test_an_outer_layer_that_cannot_be_had_is_one_line(cli, tmp_path, monkeypatch):
    given = tmp_path / "in.jsonl"
    given.write_text('{"completion": "1", "reference": "1"}\n')
    monkeypatch.setenv("PATH", str(tmp_path))
    verify = ("verify", "--verifier", "gsm8k", given)
    code, out, err = cli(*verify, "--sandbox", "docker:python:0.1")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "sandbox docker:python:0.1 cannot be used here: docker is not installed" in err
    monkeypatch.setenv("EVALSUITE_SANDBOX", "lxc")
    for command in (verify, ("check", "gsm8k"), ("doctor",), ("run", "--model", "fake:gold", "--tasks", "gsm8k")):
        code, out, err = cli(*command)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "EVALSUITE_SANDBOX: the sandbox's outer layer must be none, bwrap, docker:IMAGE or podman:IMAGE" in err
    assert cli(*verify, "--sandbox", "none")[0] == 0


def test_programs_run_inside_bubblewrap_and_the_run_says_so(cli, tmp_path, monkeypatch):
    from evalsuite.sandbox import Bubblewrap, probe

    if not probe(Bubblewrap()).is_usable:
        pytest.skip("; ".join(map(str, probe(Bubblewrap()).missing)))
    folder, level = tmp_path / "run", probe(Bubblewrap()).level.name.lower()
    run = ("run", "--model", "fake:gold", "--tasks", "humaneval", "--limit", 2, "--output", folder)
    assert cli(*run, "--sandbox", "bwrap", "--require-isolation", level)[0] == 0

    def recorded():
        return json.loads((folder / "config.json").read_text())["tasks"]["humaneval"]["verifier"]

    assert recorded() == {"isolation": level, "sandbox": "bwrap", "python": platform.python_version()}
    assert cli("score", folder)[0] == 0
    assert recorded()["sandbox"] == "none"
    monkeypatch.setenv("EVALSUITE_SANDBOX", "bwrap")
    assert cli("score", folder)[0] == 0
    assert recorded()["sandbox"] == "bwrap"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_stdout_is_no_defect():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "evalsuite", "list", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "evalsuite: cannot write what was asked for: No space left on device\n",
    )

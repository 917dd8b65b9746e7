from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from evalsuite.errors import InvalidInput, InvalidTask, SplitViolation, UnknownName
from evalsuite.runner.selection import select_tasks
from evalsuite.split import Split, split_of
from evalsuite.tasks import load_task, suite_names, task_paths
from evalsuite.tasks.model import (
    DataSource,
    Fewshot,
    Format,
    JudgeConfig,
    Metric,
    Quirk,
    SamplingConfig,
    Task,
    VerifierConfig,
    leaks,
)
from evalsuite.tasks.registry import _unseen_datasets, read_task, suite_of, task_groups, unseen_owner

DEFAULTS = Path(__file__).parent / "golden" / "defaults.json"


def test_every_bundled_task_is_valid_and_its_name_unique():
    paths = [path for suite in suite_names() for path in task_paths(suite).values()]
    assert len(paths) == len({path.stem for path in paths})
    assert {"gsm8k", "humaneval", "ifeval"} <= {load_task(path.stem).name for path in paths}


def test_the_folder_is_the_split():
    assert split_of(Path("tasks/unseen/gpqa.toml")) is Split.UNSEEN
    assert split_of(Path("tasks/demo/unseen/x.toml")) is Split.UNSEEN
    assert split_of(Path("elsewhere/mine.toml")) is Split.DEV
    assert load_task("gsm8k").split is Split.DEV
    assert suite_of(task_paths()["gsm8k"]) == "dev"


@pytest.mark.parametrize(("given", "near"), [("gsm8kk", "gsm8k"), ("human_eval", "humaneval"), ("ifevl", "ifeval")])
def test_an_unknown_task_answers_with_the_nearest(given, near):
    with pytest.raises(UnknownName, match=f"did you mean {near}"):
        load_task(given)


def test_an_unknown_suite_lists_the_valid_ones():
    with pytest.raises(UnknownName, match="unknown suite 'deev': did you mean dev"):
        task_paths("deev")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("promt = 'x'", "unknown key 'promt': did you mean prompt"),
        ("[format]\nchatt = true", "unknown key 'format.chatt': did you mean chat"),
        ("[sampling]\nmax_tokens = 'many'", "sampling.max_tokens: should be a valid integer, not 'many'"),
        ("[sampling]\nn = 4", "greedy samples are all the same"),
        ("[metric]\nname = 'pass_at_k'\nk = 10", "metric.k = 10 needs sampling.n of at least 10"),
        ("[fewshot]\nshots = 1\nsource = 'split:test'", "exemplars would leak the answers"),
        ("[fewshot]\nshots = 1\nsource = 'split:test[:5]'", "exemplars would leak the answers"),
        ("[fewshot]\nshots = 1\nsource = 'split:train + test[5%:]'", "exemplars would leak the answers"),
        ("[fewshot]\nshots = 1\nsource = 'split:all'", "exemplars would leak the answers"),
        ("group = 'safety'", "unknown key 'group'"),
    ],
)
def test_a_mistake_in_a_task_file_names_file_key_and_fix(write_task, line, message):
    path = write_task()
    text = path.read_text()
    path.write_text(f"{line}\n{text}" if not line.startswith("[") else f"{text}\n{line}\n")
    with pytest.raises(InvalidTask) as raised:
        load_task(str(path))
    assert str(path) in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_keys_broken_toml_and_missing_files_are_one_line_each(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text("title = 'x'")
    with pytest.raises(InvalidTask, match="missing key"):
        load_task(str(path))
    path.write_text("title = ")
    with pytest.raises(InvalidTask, match="not valid TOML"):
        load_task(str(path))
    path.write_text("title = 'x'\nskil = 'math'")
    with pytest.raises(InvalidTask, match="unknown key 'skil': did you mean skill"):  # and not that skill is missing
        load_task(str(path))
    with pytest.raises(InvalidInput, match="No such file"):
        load_task(str(tmp_path / "none.toml"))


def test_overrides_reach_nested_keys_and_change_the_hash(write_task):
    path = write_task()
    plain, changed = read_task(path), read_task(path, {"sampling.max_tokens": 7})
    assert changed.sampling.max_tokens == 7
    assert plain.content_hash != changed.content_hash


def test_the_hash_ignores_what_cannot_change_a_score_and_where_the_file_lies(write_task, tmp_path):
    path = write_task()
    other = tmp_path / "elsewhere.toml"
    other.write_text(path.read_text().replace('title = "Mine"', 'title = "Renamed"'))
    assert read_task(path).content_hash == read_task(other).content_hash
    other.write_text(path.read_text().replace("Q: ", "Question: "))
    assert read_task(path).content_hash != read_task(other).content_hash


def test_unknown_override_keys_are_refused(write_task):
    with pytest.raises(InvalidTask, match=r"unknown key 'sampling.max_token': did you mean max_tokens"):
        read_task(write_task(), {"sampling.max_token": 7})


def test_the_split_does_not_depend_on_where_the_command_is_typed(write_task, tmp_path, monkeypatch):
    (tmp_path / "unseen").mkdir()
    (tmp_path / "unseen" / "mine.toml").write_text(write_task().read_text())
    monkeypatch.chdir(tmp_path / "unseen")
    assert load_task("mine.toml").split == "unseen"


def test_a_file_does_not_name_its_own_task(write_task):
    with pytest.raises(InvalidTask, match="unknown key 'name'"):
        load_task(str(write_task(head='name = "other"\n')))
    with pytest.raises(InvalidTask, match="unknown key 'name'"):
        load_task("gsm8k", {"name": "other"})


def test_every_split_is_a_suite_even_without_tasks():
    assert {"demo", "dev", "rlvr", "unseen"} <= set(suite_names())
    assert task_paths("rlvr") == {}


def test_a_quirk_is_on_until_it_is_switched_off_and_both_have_their_own_hash():
    as_published = load_task("gsm8k")
    switches = ("olmes_compat.integer_sign", "olmes_compat.string_equality")
    corrected = load_task("gsm8k", dict.fromkeys(switches, False))
    assert as_published.verifier.params["integer_sign"] == "dropped"
    assert corrected.verifier.params["integer_sign"] == "kept"
    assert load_task("gsm8k", {"olmes_compat": False}) == corrected
    assert load_task("gsm8k", {"olmes_compat": True}) == as_published
    assert as_published.content_hash != corrected.content_hash


def test_a_switch_is_true_or_false_and_names_a_quirk_of_some_task():
    with pytest.raises(InvalidInput, match="switched with true or false"):
        load_task("gsm8k", {"olmes_compat.integer_sign": "no"})
    with pytest.raises(UnknownName, match="integer_sign"):
        select_tasks(["gsm8k", "ifeval"], None, {"olmes_compat.integer_sing": False})
    assert len(select_tasks(["gsm8k", "ifeval"], None, {"olmes_compat.integer_sign": False})) == 2


def test_the_length_mode_gives_every_answer_4096_tokens():
    assert load_task("gsm8k").max_tokens == 512
    longer = load_task("gsm8k", {"length_mode": 4096})
    assert longer.max_tokens == 4096
    assert longer.content_hash != load_task("gsm8k").content_hash


def test_a_sliced_split_that_is_evaluated_leaks_too():
    assert leaks("split:test", "test[:50]")
    assert not leaks("split:train+validation[:5]", "test")
    assert not leaks("lm-eval:test", "test")


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A folder of bundled tasks of one's own making; returns a function that writes a task file into it."""
    root = tmp_path / "tasks"
    monkeypatch.setattr("evalsuite.tasks.registry.bundled_data", lambda kind: root)
    _unseen_datasets.cache_clear()
    yield lambda place, hub="me/mine": _write(root / place, hub)
    _unseen_datasets.cache_clear()


def _write(path, hub):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'title = "T"\nskill = "math"\nprompt = "{{{{ q }}}}"\ntarget = "{{{{ a }}}}"\n'
        f'[data]\nhub = "{hub}"\nrows = 3\n[verifier]\nname = "exact_match"\n'
    )
    return path


def test_a_folder_in_a_suite_is_a_group_and_a_folder_named_after_a_split_is_not(bundled):
    for place in (
        "dev/safe/b.toml",
        "dev/safe/a.toml",
        "dev/alone.toml",
        "mix/unseen/c.toml",
        "mix/unseen/more/d.toml",
    ):
        bundled(place, hub=place)
    assert task_groups() == {"more": ["d"], "safe": ["a", "b"]}
    assert task_groups("dev") == {"safe": ["a", "b"]}
    assert [load_task(name).group for name in ("a", "alone", "c", "d")] == ["safe", None, None, "more"]
    assert load_task("d").split is Split.UNSEEN
    assert [task.name for task in select_tasks(["safe", "alone"], None, {})] == ["a", "b", "alone"]
    with pytest.raises(InvalidInput, match="safe is a group of tasks; name one of them: a, b"):
        load_task("safe")
    with pytest.raises(UnknownName, match="did you mean safe"):
        load_task("saef")


def test_the_data_of_an_unseen_task_stay_unseen(bundled, write_task):
    bundled("unseen/secret.toml", hub="Me/Mine")
    with pytest.raises(SplitViolation, match=r"me/mine belongs to the unseen task secret: a dev task may not use it"):
        read_task(write_task())
    for place in ("dev/copy.toml", "rlvr/copy.toml"):
        with pytest.raises(SplitViolation, match="secret"):
            read_task(bundled(place))
    assert read_task(bundled("unseen/other_form.toml")).split is Split.UNSEEN
    assert read_task(bundled("dev/free.toml", hub="me/other")).split is Split.DEV


@pytest.mark.parametrize(
    "place",
    [
        "./TIGER-Lab/MMLU-Pro",
        "tiger-lab//mmlu-pro/",
        "cais/../TIGER-Lab/MMLU-Pro",
        "/mirror/TIGER-Lab/MMLU-Pro/test.jsonl.gz",
        "hf://datasets/TIGER-Lab/MMLU-Pro@main/data/test.parquet",
        "~/.cache/huggingface/hub/datasets--TIGER-Lab--MMLU-Pro/snapshots",
    ],
)
def test_an_unseen_dataset_is_known_however_its_place_is_spelt(place, write_task):
    assert unseen_owner(place) == "mmlu_pro"
    with pytest.raises(SplitViolation, match="belongs to the unseen task mmlu_pro"):
        read_task(write_task(), {"data.hub": place})


def test_other_datasets_with_like_names_are_free():
    free = ("cais/mmlu", "TIGER-Lab/MMLU-Pro-Plus", "MMLU-Pro", "my-TIGER-Lab/MMLU-Pro", "hails/agieval")
    assert [unseen_owner(place) for place in free] == [None] * len(free)
    assert unseen_owner("hails/agieval-lsat-ar") == "agieval_english"


def test_no_group_has_the_name_of_a_task_and_none_of_one_member():
    groups = task_groups()
    assert not groups.keys() & task_paths().keys()
    assert all(len(members) > 1 for members in groups.values())


def test_where_a_task_lies_what_it_is_called_and_whether_it_is_averaged_do_not_change_its_hash(write_task):
    path = write_task()
    assert read_task(path, {"average": False}).content_hash == read_task(path).content_hash


class _WiderData(DataSource):
    shelf: str = ""


class _WiderTask(Task):
    data: _WiderData
    mood: str = ""


def test_a_key_that_is_added_later_leaves_every_hash_as_it_is():
    for name, path in task_paths().items():
        table = tomllib.loads(path.read_text())
        wider = _WiderTask.model_validate({**table, "name": name, "path": path})
        assert wider.content_hash == load_task(name).content_hash
        assert wider.model_copy(update={"mood": "good"}).content_hash != wider.content_hash


def test_saying_what_is_so_by_default_changes_no_hash(write_task):
    path = write_task()
    said = {
        "format.chat": True,
        "sampling.temperature": 0,
        "sampling.stop": [],
        "metric.name": "mean",
        "data.split": "test",
    }
    assert read_task(path, said).content_hash == read_task(path).content_hash


def test_no_default_changes_under_the_tasks_that_rely_on_it():
    """With another default, tasks that are silent about it would change, and their hashes would not."""
    now = {
        f"{table.__name__}.{key}": str(field.default)
        for table in (DataSource, Format, Fewshot, JudgeConfig, Metric, Quirk, SamplingConfig, Task, VerifierConfig)
        for key, field in table.model_fields.items()
        if not field.is_required()
    }
    assert now == json.loads(DEFAULTS.read_text()), (
        f"a new key belongs into {DEFAULTS.name}; an old one keeps its default"
    )

"""Rows of a folder are those that lie there now: changed files and folders of the same name are never mixed up."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.data.folder_cache import folder_cache
from evalsuite.data.load import load_docs
from evalsuite.tasks.registry import read_task
from evalsuite.training.data import load_data
from evalsuite.training.library import load_recipe
from tests.bridge.conftest import add_dataset


def add_rows(mirror: Path, text: str, hub: str = "me/mine") -> None:
    add_dataset(mirror, hub, "default", test=[{"question": text, "answer": "1", "kind": "a"}])


def evaluated(mirror: Path, write_task: Callable[..., Path]) -> str:
    return load_docs(read_task(write_task(), {"data.rows": 1}), mirror).docs[0].row["question"]


def trained(mirror: Path, hub: str = "me/mine") -> str:
    recipe = mirror / "recipe.toml"
    recipe.write_text(f"""
title = "Words"
stage = "sft"
init = "demo"
data = {{ hub = "{hub}", split = "test", rows = 1, columns = {{ prompt = "{{{{ question }}}}", completion = "1" }} }}
optimizer = {{ learning_rate = 1e-3 }}
training = {{ steps = 1, batch_size = 1, max_length = 48 }}
""")
    row = load_data(load_recipe(str(recipe)), "words", mirror).rows[0]
    return str(row["prompt"])


def asked_by_lm_eval(mirror: Path, path: str = "me/mine") -> str:
    pytest.importorskip("lm_eval")
    from evalsuite.bridge.lm_eval.tasks import load_lm_eval_tasks
    from evalsuite.runner.origins import questions_of

    task = mirror / "mine.yaml"
    task.write_text(
        f"task: mine\ndataset_path: {path}\ntest_split: test\noutput_type: generate_until\n"
        "doc_to_text: '{{question}}'\ndoc_to_target: '{{answer}}'\nmetric_list: [{metric: exact_match}]\n"
    )
    place = None if Path(path).is_absolute() else mirror
    (found,) = load_lm_eval_tasks([f"lm-eval/{task}"], {}, place)
    return questions_of(found, place)[0][1]


def test_changed_files_are_read_anew(tmp_path, write_task):
    for text in ("first", "other"):  # as many bytes
        add_rows(tmp_path, text)
        assert (evaluated(tmp_path, write_task), trained(tmp_path)) == (text, text)


def test_mirrors_are_not_taken_for_each_other(tmp_path, write_task):
    for text in ("one", "two"):
        mirror = tmp_path / text
        add_rows(mirror, text)
        assert (evaluated(mirror, write_task), trained(mirror), asked_by_lm_eval(mirror)) == (text, text, text)
    assert evaluated(tmp_path / "one", write_task) == "one"


def test_datasets_of_one_name_are_not_taken_for_each_other(tmp_path):
    for owner in ("first", "second"):
        add_rows(tmp_path, owner, f"{owner}/mine")
        assert trained(tmp_path, f"{owner}/mine") == owner


def test_folders_that_lm_eval_is_pointed_at_are_not_taken_for_each_other(tmp_path):
    for text in ("this", "that"):
        add_rows(tmp_path / text, text)
        assert asked_by_lm_eval(tmp_path / text, str(tmp_path / text / "me" / "mine")) == text


def test_what_lies_in_a_folder_decides_where_its_rows_are_kept(tmp_path):
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    file = folder / "data" / "rows.jsonl"
    file.write_text("{}\n")
    seen = [folder_cache(folder)]
    assert folder_cache(str(folder) + "/") == seen[0]
    os.utime(file, ns=(1, 1))
    seen.append(folder_cache(folder))
    file.write_text("{} \n")
    os.utime(file, ns=(1, 1))
    seen.append(folder_cache(folder))
    (folder / "README.md").write_text("words")
    seen.append(folder_cache(folder))
    shutil.copytree(folder, tmp_path / "copy" / "set", copy_function=shutil.copy2)
    seen.append(folder_cache(tmp_path / "copy" / "set"))
    assert len({options["cache_dir"] for options in seen}) == 5


def test_a_change_that_keeps_length_and_date_is_a_change(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("{}\n")
    os.utime(file, ns=(1, 1))
    before = folder_cache(tmp_path)
    file.write_text("[]\n")
    os.utime(file, ns=(1, 1))
    assert folder_cache(tmp_path) != before


def test_linked_files_and_folders_count_once(tmp_path):
    """A snapshot of the Hub's cache holds links; other links may lead nowhere or in circles."""
    folder, store = tmp_path / "snapshot", tmp_path / "store"
    folder.mkdir()
    store.mkdir()
    (store / "blob").write_text("{}\n")
    (folder / "rows.jsonl").symlink_to(store / "blob")
    (folder / "below").symlink_to(store, target_is_directory=True)
    (folder / "again").symlink_to(folder, target_is_directory=True)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    before = folder_cache(folder)
    (store / "blob").write_text(json.dumps({"q": 1}))
    assert folder_cache(folder) != before
    (store / "more").write_text("words")
    assert len({options["cache_dir"] for options in (before, folder_cache(folder))}) == 2


def test_names_on_the_hub_are_left_to_the_library():
    assert folder_cache("openai/gsm8k") == folder_cache("json") == {}

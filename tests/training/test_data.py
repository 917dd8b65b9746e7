"""Training rows from every kind of source, and what is refused before a model is loaded."""

from __future__ import annotations

import gzip
import json
import weakref

import pytest
from pydantic import ValidationError

from evalsuite.errors import DataMismatch, DataUnavailable, InvalidInput, InvalidRecipe, SplitViolation
from evalsuite.training.data import load_data, prompt_text
from evalsuite.training.dialogues import split_dialogue
from evalsuite.training.recipe import Recipe, Source, TrainingData
from evalsuite.training.run import plan


class AnyRecipe(Recipe):
    """A recipe that asks for nothing but a prompt."""

    columns = (("prompt",),)


def rows_of(data, mirror=None, columns=AnyRecipe.columns):
    class Wanted(AnyRecipe):
        pass

    Wanted.columns = columns
    recipe = Wanted.model_validate(
        {
            "title": "Any",
            "stage": "any",
            "data": data,
            "optimizer": {"learning_rate": 1.0},
            "training": {"steps": 1, "batch_size": 1},
        }
    )
    return load_data(recipe, "any", mirror).rows


@pytest.fixture
def jsonl(tmp_path):
    def write(name, rows):
        path = tmp_path / name
        text = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return str(path)

    return write


NUMBERS = [{"prompt": str(n), "n": n} for n in range(10)]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_a_local_file(jsonl, name):
    assert rows_of({"file": jsonl(name, NUMBERS), "rows": 10}) == NUMBERS


def test_a_mirror_with_the_hubs_layout(small_mirror):
    data = {
        "hub": "me/mine",
        "split": "test",
        "rows": 2,
        "where": "{{ kind == 'a' }}",
        "columns": {"prompt": "Q: {{ question }}", "reference": "{{ [answer] }}"},
    }
    assert rows_of(data, small_mirror) == [
        {"prompt": "Q: 1+1", "reference": ["2"]},
        {"prompt": "Q: 3+3", "reference": ["6"]},
    ]


def test_a_task_of_ones_own_gives_prompts_and_references(write_task, small_mirror):
    rows = rows_of({"task": str(write_task()), "rows": 3}, small_mirror)
    assert rows[0] == {
        "prompt": [{"role": "user", "content": "Q: 1+1\nA:"}],
        "reference": "2",
        "task": "mine",
        "id": "0",
    }


def test_columns_of_json_text_are_read(jsonl):
    path = jsonl("rows.jsonl", [{"prompt": "p", "io": '{"inputs": ["1"]}'}])
    data = {"file": path, "rows": 1, "parse": ["io"], "columns": {"prompt": "{{ prompt }}", "r": "{{ io.inputs }}"}}
    assert rows_of(data) == [{"prompt": "p", "r": ["1"]}]


def test_a_number_that_python_does_not_count_stays_text(jsonl):
    """APPS has one of 9,131 digits, in a row that nobody needs."""
    path = jsonl("rows.jsonl", [{"prompt": "p", "io": f"[7, {'7' * 9131}, 0.5]"}])
    assert rows_of({"file": path, "rows": 1, "parse": ["io"]})[0]["io"] == [7, "7" * 9131, 0.5]


def test_a_repository_with_a_loading_script_is_read_from_its_file(monkeypatch, jsonl, small_mirror):
    import datasets

    asked = []
    served = jsonl("served.jsonl", NUMBERS)
    original = datasets.load_dataset

    def hub(kind, config, *, split, **options):
        asked.append((kind, config, split, options))
        return original("json", split=split, data_files={split: served})

    monkeypatch.setattr(datasets, "load_dataset", hub)
    data = {"hub": "me/mine", "config": "all", "revision": "refs/convert/parquet", "rows": 10}
    assert rows_of(data | {"hub_file": "{{ config }}/{{ split }}/*.parquet"}) == NUMBERS
    file = "hf://datasets/me/mine@refs%2Fconvert%2Fparquet/all/train/*.parquet"
    assert asked == [("parquet", None, "train", {"data_files": {"train": file}})]
    rows_of(data | {"hub_file": "{{ config }}.parquet"}, small_mirror)  # a mirror is read as it stands
    assert asked[1][:3] == (str(small_mirror / "me" / "mine"), "all", "train")
    assert asked[1][3].keys() == {"cache_dir"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"file": "rows.jsonl", "split": "test", "revision": "v1"}, "split, revision would do nothing"),
        ({"generator": "demo_prompts", "hub_file": "train.jsonl"}, "hub_file would do nothing"),
        ({"hub": "me/mine", "take": 2, "weight": 0.5}, "'take' or 'weight', not both"),
    ],
)
def test_a_source_says_nothing_that_would_not_be_done(source, message):
    with pytest.raises(ValidationError, match=message):
        Source.model_validate(source)


@pytest.mark.parametrize(
    "named",
    [
        {"hub_file": "../../TIGER-Lab/MMLU-Pro/test.parquet"},
        {"hub_file": "{{ config }}/test.parquet", "config": "../../TIGER-Lab/MMLU-Pro"},
        {"hub_file": "data/{{ split }}.parquet", "split": "../../../TIGER-Lab/MMLU-Pro/test"},
    ],
)
def test_a_file_outside_its_repository_is_not_read(named):
    with pytest.raises(InvalidInput, match="does not lie in me/mine"):
        rows_of({"hub": "me/mine", "rows": 10} | named)


def test_of_a_large_row_only_the_columns_are_kept(monkeypatch):
    """CodeContests has gigabytes of programs that no recipe keeps."""
    import datasets

    class Large(dict):
        pass

    alive, most = weakref.WeakValueDictionary(), []

    def rows():
        for number in range(10):
            row = alive[number] = Large(prompt=str(number))
            most.append(len(alive))
            yield row

    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **options: rows())
    assert len(rows_of({"hub": "me/mine", "rows": 10, "columns": {"prompt": "{{ prompt }}"}})) == 10
    assert max(most) <= 2


def test_a_mix_by_weights_repeats_and_samples(jsonl):
    few = jsonl("few.jsonl", [{"prompt": "few", "n": n} for n in range(4)])
    many = jsonl("many.jsonl", [{"prompt": "many", "n": n} for n in range(100)])
    own = jsonl("own.jsonl", [{"prompt": "own", "n": 0}])
    mix = [{"file": few, "weight": 1}, {"file": many, "weight": 3}, {"file": own}]
    rows = rows_of({"mix": mix, "rows": 41})
    assert sorted({r["prompt"]: [x["prompt"] for x in rows].count(r["prompt"]) for r in rows}.items()) == [
        ("few", 10),
        ("many", 30),
        ("own", 1),
    ]
    counts = [sum(row == {"prompt": "few", "n": n} for row in rows) for n in range(4)]
    assert sorted(counts) == [2, 2, 3, 3]
    assert rows_of({"mix": mix, "rows": 41}) == rows
    assert [row["prompt"] for row in rows] != sorted(row["prompt"] for row in rows)


def test_taking_draws_each_row_at_most_once(jsonl):
    rows = rows_of({"file": jsonl("rows.jsonl", NUMBERS), "take": 6, "rows": 6})
    assert len({row["n"] for row in rows}) == 6


def test_what_is_taken_is_drawn_and_every_source_draws_for_itself(jsonl):
    source = {"file": jsonl("rows.jsonl", NUMBERS), "take": 6}
    assert sorted(row["n"] for row in rows_of(source | {"rows": 6})) != list(range(6))
    both = [row["n"] for row in rows_of({"mix": [source, source], "rows": 12})]
    assert any(both.count(n) == 1 for n in both)


def test_a_link_to_data_of_the_unseen_side_is_followed(tmp_path, jsonl):
    (tmp_path / "TIGER-Lab" / "MMLU-Pro").mkdir(parents=True)
    (tmp_path / "mine.jsonl").symlink_to(jsonl("TIGER-Lab/MMLU-Pro/validation.jsonl", NUMBERS))
    with pytest.raises(SplitViolation, match="unseen task"):
        rows_of({"file": str(tmp_path / "mine.jsonl"), "rows": 10})


def test_an_hh_dialogue_is_split_where_the_answers_begin():
    shared = "\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: And?"
    row = split_dialogue(
        {"chosen": f"{shared}\n\nAssistant: Good: yes.", "rejected": f"{shared}\n\nAssistant: Bad."}, "here"
    )
    assert [turn["role"] for turn in row["prompt"]] == ["user", "assistant", "user"]
    assert row["chosen"] == [{"role": "assistant", "content": "Good: yes."}]
    assert row["rejected"] == [{"role": "assistant", "content": "Bad."}]


@pytest.mark.parametrize(
    ("chosen", "rejected", "shared"),
    [
        ("HaAbHcAd", "HaAxHcAd", 1),  # an earlier answer differs
        ("HaAbHcAd", "HaAbHxAd", 1),  # a question: an answer follows a question, so the one before it is the last
        ("HaAb", "HaAbHcAd", 1),  # one goes on
        ("HaAb", "HaAb", 1),
        ("HaAb", "HxAb", 1),
    ],
)
def test_the_prompt_of_an_hh_dialogue_is_what_both_share_up_to_a_question(chosen, rejected, shared):
    def written(turns):
        return turns.replace("H", "\n\nHuman: ").replace("A", "\n\nAssistant: ")

    row = split_dialogue({"chosen": written(chosen), "rejected": written(rejected)}, "here")
    assert len(row["prompt"]) == shared and row["prompt"][-1]["role"] == "user"
    for side, turns in (("chosen", chosen), ("rejected", rejected)):
        assert [turn["content"] for turn in row[side]] == list(turns[1::2])[shared:]
        assert row[side][0]["role"] == row[side][-1]["role"] == "assistant"


def test_every_hh_dialogue_of_the_real_data_ends_its_prompt_with_a_question(mirror):
    path = mirror / "Anthropic" / "hh-rlhf" / "harmless-base" / "test.jsonl.gz"
    if not path.is_file():
        pytest.skip("no HH-RLHF in the mirror")
    odd = 0
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows[:1000]:
        found = split_dialogue(row, "here")
        assert found["chosen"] and found["rejected"]
        odd += found["prompt"][-1]["role"] != "user" or {t["role"] for t in found["chosen"]} != {"assistant"}
    assert odd <= 10


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"prompt": "plain"}, "plain"),
        ({"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}, "u"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}]}, "q"),
        ({"text": "all of it"}, "all of it"),
    ],
)
def test_the_prompt_of_a_row_is_what_the_user_says(row, text):
    assert prompt_text(row) == text


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"rows": 1}, ValueError, "exactly one of"),
        ({"rows": 1, "file": "a", "hub": "b/c"}, ValueError, "exactly one of"),
        ({"rows": 1, "file": "a", "take": 1, "weight": 1.0}, ValueError, "not both"),
        ({"rows": 1, "file": "nowhere.jsonl"}, InvalidInput, "No such file"),
        ({"rows": 1, "generator": "demo"}, SplitViolation, "evaluation prompts"),
        ({"rows": 1, "hub": "TIGER-Lab/MMLU-Pro"}, SplitViolation, "unseen task"),
        ({"rows": 1, "hub": "tiger-lab/mmlu-pro", "split": "validation"}, SplitViolation, "unseen task"),
        ({"rows": 1, "hub": "/some/mirror/TIGER-Lab/MMLU-Pro"}, SplitViolation, "unseen task"),
        ({"rows": 1, "hub": "hails/agieval-lsat-ar"}, SplitViolation, "unseen task agieval_english"),
        ({"rows": 1, "file": "/some/mirror/TIGER-Lab/MMLU-Pro/validation.jsonl"}, SplitViolation, "unseen task"),
        ({"rows": 1, "mix": [{"hub": "TIGER-Lab/MMLU-Pro"}]}, SplitViolation, "unseen task"),
        ({"rows": 1, "task": "mmlu_pro"}, SplitViolation, "never trained on"),
        ({"rows": 1, "task": "demo_strings_unseen"}, SplitViolation, "never trained on"),
        ({"rows": 1, "hub": "nobody/nothing"}, DataUnavailable, "--data DIR"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(data, error, message):
    with pytest.raises(error, match=message) as caught:
        rows_of(data)
    assert error is ValueError or "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"prompt": "a"}\n{', ":2: not valid JSON"), ("[1]\n", ":1: not a JSON object"), ("\xff", "not valid JSON")],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=message):
        rows_of({"file": str(path), "rows": 1})


def test_a_file_in_a_folder_called_unseen_is_refused(tmp_path, jsonl):
    (tmp_path / "unseen").mkdir()
    with pytest.raises(SplitViolation, match="called 'unseen'"):
        rows_of({"file": jsonl("unseen/rows.jsonl", NUMBERS), "rows": 10})


def test_wrong_counts_and_columns_are_named(jsonl):
    path = jsonl("rows.jsonl", NUMBERS)
    with pytest.raises(DataMismatch, match=r"made 10 rows, .* promises 9; accept them with --set"):
        rows_of({"file": path, "rows": 9})
    with pytest.raises(DataMismatch, match=r"needs the columns chosen \+ rejected; the rows have n, prompt"):
        rows_of({"file": path, "rows": 10}, columns=(("chosen", "rejected"),))
    with pytest.raises(DataMismatch, match="take = 11"):
        rows_of({"file": path, "rows": 10, "take": 11})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"evaluation.tasks": ["demo_strings_unseen"], "evaluation.every": 6}, SplitViolation, "may not steer"),
        ({"rewards": [{"task": "demo_strings_unseen", "reference": "answer"}]}, SplitViolation, "cannot be a reward"),
        ({"rewards": [{"verifier": "exact_match"}]}, InvalidRecipe, "no column 'reference' .they have answer"),
        (
            {"rewards": [{"verifier": "exact_match", "reference": "answer", "where": {"set": "a"}}]},
            InvalidRecipe,
            "'set'",
        ),
        (
            {"rewards": [{"verifier": "exact_match", "reference": "answer"}] * 2},
            InvalidRecipe,
            "two rewards are called",
        ),
        ({"rewards": [{"reference": "answer"}]}, InvalidRecipe, "exactly one of verifier, task and model"),
    ],
)
def test_rewards_and_evaluations_keep_to_their_side_of_the_wall(changes, error, message):
    with pytest.raises(error, match=message):
        plan("demo/grpo", changes)


def test_the_table_is_closed():
    with pytest.raises(ValueError, match="splitt"):
        TrainingData.model_validate({"rows": 1, "hub": "a/b", "splitt": "train"})

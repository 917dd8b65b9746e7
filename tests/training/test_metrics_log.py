"""Metrics arrive in TensorBoard and in W&B, and a run that goes on goes on there."""

from __future__ import annotations

import json
import struct

import pytest

from evalsuite.errors import InvalidInput
from evalsuite.training.metrics_log import flat, open_sinks, read_rows
from evalsuite.training.run import train
from tests.training.test_resume import Stopped, stop_at

CHANGES = {
    "data.rows": 64,
    "data.params.count": 64,
    "training.batch_size": 8,
    "training.epochs": 1,
    "checkpoints.every": 3,
}


class WandbRun:
    """What W&B is asked for."""

    def __init__(self, **options):
        self.options, self.axes, self.rows = options, {}, []

    def define_metric(self, name, step_metric=None):
        self.axes[name] = step_metric

    def log(self, row):
        self.rows.append(row)


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def train_in_two_parts(folder, sink):
    """Train for 8 steps, stopped at the fifth, and return the rows of the file."""
    pytest.importorskip("trl")
    changes = CHANGES | {"log.to": [sink]}
    with pytest.raises(Stopped):
        train("demo/sft", folder, changes, stop_at(5))
    train("demo/sft", folder, changes, resume=True)
    rows = read_rows(folder / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 9))
    return rows


def in_tensorboard(folder):
    """Numbers by name and step, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(folder))
    shown.Reload()
    return {name: [(event.step, event.value) for event in shown.Scalars(name)] for name in shown.Tags()["scalars"]}


def in_wandb(path):
    """The logged rows of an offline run: a LevelDB log of protocol buffers, as ``wandb sync`` reads it."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, message, rows = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        message += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # the whole record, or its last part
            record, message = Record.FromString(message), b""
            rows.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item})
    return [row for row in rows if row]


def test_tensorboard_shows_every_step_once(tmp_path):
    pytest.importorskip("tensorboard")
    rows = train_in_two_parts(tmp_path / "run", "tensorboard")
    shown = in_tensorboard(tmp_path / "run" / "tensorboard")
    for name in ("loss", "learning_rate"):
        assert [step for step, _ in shown[name]] == list(range(1, 9))
        assert [value for _, value in shown[name]] == pytest.approx([row[name] for row in rows])


def test_tensorboard_forgets_a_run_that_begins_again(tmp_path):
    pytest.importorskip("tensorboard")
    for steps in (3, 4):
        (sink,) = open_sinks(["tensorboard"], tmp_path, "name", {})
        for step in range(1, steps + 1):
            sink.write(step, {"loss": 1 / step})
        sink.close()
    assert [step for step, _ in in_tensorboard(tmp_path / "tensorboard")["loss"]] == [1, 2, 3, 4]


def test_wandb_has_one_run_a_folder(tmp_path):
    wandb = pytest.importorskip("wandb")
    wandb.teardown()  # it reads the environment once
    rows = train_in_two_parts(tmp_path / "run", "wandb")
    wandb.teardown()  # its service writes the last rows as it ends
    first, second = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert first.name == second.name
    before, after = in_wandb(first), in_wandb(second)
    assert [row["step"] for row in before] == [1, 2, 3, 4, 5]
    assert [row["step"] for row in after] == [4, 5, 6, 7, 8]
    for row in (*before[:3], *after):
        assert row["loss"] == pytest.approx(rows[row["step"] - 1]["loss"])


def test_wandb_is_asked_for_the_same_run_and_for_an_axis_of_steps(tmp_path, monkeypatch):
    """A server merges by id where ``resume`` allows it, and takes a step twice on no axis but one of ours."""
    monkeypatch.setattr(pytest.importorskip("wandb"), "init", WandbRun)
    first, second = (open_sinks(["wandb"], tmp_path, "name", {}, after=after)[0]._run for after in (0, 4))
    assert first.options["id"] == second.options["id"] and first.options["resume"] == "allow"
    assert first.options["project"] == "evalsuite" and first.axes == {"step": None, "*": "step"}
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    (sink,) = open_sinks(["wandb"], tmp_path / "other", "name", {})
    sink.write(3, {"loss": 0.5})
    assert sink._run.options["project"] == "mine" and sink._run.options["id"] != first.options["id"]
    assert sink._run.rows == [{"step": 3, "loss": 0.5}]


def test_nobody_logged_in_to_wandb_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("wandb").teardown()
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(InvalidInput, match=r"^log\.to = 'wandb': .*API key.*WANDB_MODE=offline") as refused:
        open_sinks(["wandb"], tmp_path, "name", {})
    assert "\n" not in str(refused.value)


def test_a_sink_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("evalsuite.training.metrics_log.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="tensorboard is not installed"):
        open_sinks(["tensorboard"], tmp_path, "name", {})


def test_only_finite_numbers_go_into_sinks():
    row = {"step": 3, "loss": float("nan"), "solved": {"math": 0.5}, "kl": None, "more": {"deep": {"er": 1}}}
    assert flat(row) == {"solved/math": 0.5, "more/deep/er": 1.0}

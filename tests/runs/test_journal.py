from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import EvalsuiteError, RunMismatch
from evalsuite.runs.journal import Journal, read_lines


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        for number in range(3):
            journal.append({"n": number, "text": "ü\u2028\n"})
    assert [record["n"] for record in read_lines(path)] == [0, 1, 2]


@given(cut=st.integers(min_value=0, max_value=200), length=st.integers(min_value=0, max_value=80))
def test_a_journal_cut_anywhere_keeps_its_whole_lines_and_goes_on(tmp_path_factory, cut, length):
    path = tmp_path_factory.mktemp("j") / "j.jsonl"
    with Journal(path) as journal:
        for number in range(3):
            journal.append({"n": number, "text": "x" * length})
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole))])
    kept = len(list(read_lines(path)))
    with Journal(path) as journal:
        journal.append({"n": "new"})
    records = [record["n"] for record in read_lines(path)]
    assert records == [*range(kept), "new"]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_torn_line_longer_than_a_block_is_dropped(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n":0}\n' + b"x" * 200_000)
    with Journal(path):
        pass
    assert path.read_bytes() == b'{"n":0}\n'


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path), pytest.raises(RunMismatch, match="being written by another run"):
        Journal(path)
    Journal(path).close()


def test_lone_surrogates_survive(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.append({"text": "\ud83d"})
    assert [record["text"] for record in read_lines(path)] == ["\ud83d"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"n": 0})
        full = os.open("/dev/full", os.O_WRONLY)
        monkeypatch.setattr(journal, "_descriptor", full)
        with pytest.raises(EvalsuiteError, match="No space left on device; finished samples are safe"):
            journal.append({"n": 1})


def test_half_a_line_is_taken_back_before_anybody_writes_behind_it(tmp_path, monkeypatch):
    path = tmp_path / "j.jsonl"
    real = os.write
    with Journal(path) as journal:
        journal.append({"n": 0})
        with monkeypatch.context() as patch:
            patch.setattr("evalsuite.runs.journal.os.write", lambda descriptor, data: real(descriptor, data[:4]))
            with pytest.raises(EvalsuiteError, match="the disk is full"):
                journal.append({"n": 1})
        journal.append({"n": 2})
    assert [record["n"] for record in read_lines(path)] == [0, 2]

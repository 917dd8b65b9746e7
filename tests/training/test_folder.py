"""Which checkpoints stay, which one is gone on from, which one is the best."""

from __future__ import annotations

import json

import pytest

from evalsuite.errors import RunMismatch
from evalsuite.training.folder import TrainingFolder

IDENTITY = {"recipe_hash": "r", "data_hash": "d"}


@pytest.fixture
def folder(tmp_path):
    """A folder with checkpoints 8, 9, 10 and 11, of which 8 and 11 are not complete."""
    found = TrainingFolder(tmp_path)
    for step in (8, 9, 10, 11):
        found.checkpoint(step).mkdir(parents=True)
    for step in (9, 10):
        (found.checkpoint(step) / "provenance.json").write_text("{}")
    return found


def test_the_latest_checkpoint_has_the_largest_number_of_the_complete_ones(folder):
    assert list(folder.complete()) == [9, 10]
    assert folder.latest() == folder.checkpoint(10) and folder.resume_step() == 10


def test_the_tenth_round_comes_after_the_second(tmp_path):
    found = TrainingFolder(tmp_path)
    for number in (1, 2, 10):
        found.round(number).path.mkdir(parents=True)
    assert found.rounds() == [found.round(number) for number in (1, 2, 10)]


def test_the_newest_and_the_best_stay_and_what_is_being_written(folder):
    for best, kept in ((folder.checkpoint(9), [10, 11, 9]), (None, [10, 11])):
        folder.rotate(1, best)
        assert sorted(folder.checkpoints.iterdir()) == [folder.checkpoint(step) for step in kept]


def test_the_best_checkpoint_is_the_first_with_the_highest_score(folder):
    assert folder.best() is None
    for step, score in ((8, 0.25), (9, 0.75), (10, 0.5), (11, 0.75)):
        folder.note_score(folder.checkpoint(step), step, score)
    assert folder.best() == folder.checkpoint(9)
    assert json.loads((folder.path / "best.json").read_text())["score"] == 0.75


@pytest.mark.parametrize("other", ["recipe", "data"])
def test_another_recipe_or_other_data_are_not_gone_on_with(tmp_path, other):
    found = TrainingFolder(tmp_path / "run")
    assert found.open(IDENTITY, resume=False) is None
    with pytest.raises(RunMismatch, match=f"with another {other} "):
        found.open(IDENTITY | {f"{other}_hash": "x"}, resume=True)
    assert found.open(IDENTITY, resume=True) is None

"""A folder that has its record is complete."""

from __future__ import annotations

import json

import pytest

from evalsuite.training import checkpoint

PROVENANCE = {
    "name": "mine",
    "recipe": {
        "title": "Mine",
        "stage": "sft",
        "seed": 1,
        "notes": "",
        "data": {"rows": 8},
        "training": {"batch_size": 4},
    },
    "recipe_hash": "r",
    "data_hash": "d",
    "steps": 2,
    "final_loss": 1.0,
    "environment": {"evalsuite": "0", "git_commit": None},
}


@pytest.mark.parametrize("part", ["make_loadable", "_card"])
def test_the_record_is_written_last(tmp_path, monkeypatch, part):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, part, stopped)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write_card(tmp_path, PROVENANCE)
    assert not (tmp_path / "provenance.json").exists()
    checkpoint.write_card(tmp_path, PROVENANCE)
    assert json.loads((tmp_path / "provenance.json").read_text()) == PROVENANCE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "provenance.json"]

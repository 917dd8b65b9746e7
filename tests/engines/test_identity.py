"""Which model it was: anything that changes an answer changes a hash, and nothing is read twice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

import pytest

from evalsuite.engines import identity as module
from evalsuite.engines.identity import identity
from evalsuite.errors import InvalidInput


@pytest.fixture
def copy(tiny_llama, tmp_path):
    return shutil.copytree(tiny_llama, tmp_path / "llama")


@pytest.fixture
def reads(monkeypatch):
    """Files whose contents are hashed."""
    read = []
    digest = module._file_digest
    monkeypatch.setattr(module, "_file_digest", lambda path: (read.append(path.name), digest(path))[1])
    return read


def test_the_same_checkpoint_elsewhere_has_the_same_hashes(copy, tiny_llama):
    ours, theirs = identity(str(copy), None, "t"), identity(str(tiny_llama), None, "t")
    assert {**ours, "model": None} == {**theirs, "model": None}
    assert ours["chat_template"] == hashlib.sha256(b"t").hexdigest()


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("model.safetensors", "weights"),
        ("config.json", "config"),
        ("generation_config.json", "config"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer_config.json", "tokenizer"),
    ],
)
def test_a_changed_file_changes_its_hash_and_no_other(copy, file, key):
    before = identity(str(copy), None, None)
    contents = bytearray((copy / file).read_bytes())
    contents[-1] ^= 1
    (copy / file).write_bytes(contents)
    after = identity(str(copy), None, None)
    assert {name for name in before if before[name] != after[name]} == {key}


def test_files_are_hashed_once(copy, reads):
    first = identity(str(copy), None, None)
    assert "model.safetensors" in reads
    reads.clear()
    assert identity(str(copy), None, None) == first
    assert reads == []
    os.utime(copy / "model.safetensors", ns=(1, 1))
    assert identity(str(copy), None, None) == first
    assert reads == ["model.safetensors"]


@pytest.mark.parametrize("contents", ["", "{", "[]"])
def test_a_broken_cache_is_ignored(copy, contents):
    first = identity(str(copy), None, None)
    module._cache_file().write_text(contents)
    assert identity(str(copy), None, None) == first


def test_a_cache_that_cannot_be_written_is_ignored(copy, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert identity(str(copy), None, None)["weights"]


def test_a_hub_snapshot_is_known_by_its_blob_names(tiny_llama, tmp_path, monkeypatch, reads):
    """The Hub's cache: snapshots link to blobs, which are named by SHA-256 when they are large."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit = "c" * 40
    repository = tmp_path / "models--owner--llama"
    for folder in ("blobs", "refs", f"snapshots/{commit}"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    for file in tiny_llama.iterdir():
        large = file.suffix == ".safetensors"
        name = hashlib.sha256(file.read_bytes()).hexdigest() if large else hashlib.sha1(file.read_bytes()).hexdigest()
        shutil.copy(file, repository / "blobs" / name)
        (repository / "snapshots" / commit / file.name).symlink_to(repository / "blobs" / name)
    found = identity("owner/llama", None, None)
    expected = identity(str(tiny_llama), None, None)
    assert found["revision"] == commit
    assert {**found, "model": None, "revision": None} == {**expected, "model": None}


def test_weights_of_a_hub_snapshot_are_not_read(tmp_path):
    name = "a" * 64
    (tmp_path / name).write_text("not its contents' hash")
    (tmp_path / "model.safetensors").symlink_to(tmp_path / name)
    assert module._file_digest(tmp_path / "model.safetensors") == name


def test_a_model_that_cannot_be_downloaded_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InvalidInput, match="cannot download model 'owner/none'") as raised:
        identity("owner/none", None, None)
    assert "\n" not in str(raised.value)


def test_a_folder_without_weights_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(InvalidInput, match=r"has no weights"):
        identity(str(tmp_path), None, None)

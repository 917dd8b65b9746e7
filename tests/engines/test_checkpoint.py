"""Every way to name a model wrongly gets one line that says which, why and what to do."""

from __future__ import annotations

import json
import shutil

import pytest

from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.errors import InvalidInput, MissingExtra


def open_(model, **overrides):
    return open_checkpoint(
        str(model), **{"revision": None, "trust_remote_code": False, "purpose": "the engine", **overrides}
    )


@pytest.fixture
def copy(tiny_llama, tmp_path):
    return shutil.copytree(tiny_llama, tmp_path / "llama")


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(model, **options):
    with pytest.raises(InvalidInput) as raised:
        open_(model, **options)
    message = str(raised.value)
    assert "\n" not in message
    assert str(model) in message
    return message


def test_what_decoding_needs_is_read(tiny_llama):
    checkpoint = open_(tiny_llama)
    assert checkpoint.context == 512
    assert checkpoint.eos_ids == {1}
    assert checkpoint.chat_template.startswith("{{ bos_token }}")


def test_every_declared_eos_counts(copy):
    edit(copy / "generation_config.json", eos_token_id=[1, 3])
    assert open_(copy).eos_ids == {1, 3}


def test_of_several_templates_the_default_counts(copy):
    checkpoint = open_(copy)
    checkpoint.tokenizer.chat_template = {"default": "a", "tools": "b"}
    assert checkpoint.chat_template == "a"
    checkpoint.tokenizer.chat_template = None
    assert checkpoint.chat_template is None


def test_a_misspelt_path_gets_the_nearest_folder(copy):
    assert f"did you mean {copy}?" in refused(copy.parent / "lama")


def test_a_path_to_nowhere(tmp_path):
    assert "give a folder or a Hub id" in refused(tmp_path / "no" / "model")
    assert "does not exist" in refused("./nothing-here")
    assert "does not exist" in refused("nothing")


def test_a_file_is_not_a_model(copy):
    assert "give the folder that holds config.json" in refused(copy / "model.safetensors")


def test_a_folder_without_config(tmp_path):
    assert "has no config.json" in refused(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "LoRA adapter: merge it" in refused(tmp_path)


def test_an_unknown_architecture(copy):
    edit(copy / "config.json", model_type="llamma9")
    assert "cannot read the config" in refused(copy)


def test_a_broken_config(copy):
    (copy / "config.json").write_text("{")
    assert "cannot read the config" in refused(copy)


def test_a_missing_tokenizer(copy):
    for file in copy.glob("tokenizer*"):
        file.unlink()
    assert "cannot read the tokenizer" in refused(copy)


def test_a_hub_id_out_of_reach(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "the Hub cannot be reached" in refused("some-owner/some-model")


def test_a_missing_package_names_the_extra(monkeypatch, tiny_llama):
    monkeypatch.setattr("evalsuite.engines.checkpoint.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the engine needs torch.*pip install 'evalsuite\[transformers\]'"):
        open_(tiny_llama)

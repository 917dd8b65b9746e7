"""Weights through a folder: what is written is what the policy has, and the server is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from evalsuite.errors import InvalidInput  # noqa: E402
from evalsuite.training import weight_transfer  # noqa: E402
from evalsuite.training.weight_transfer import open_transfer  # noqa: E402

CPU = torch.device("cpu")
WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3).T, "b.weight": torch.ones(4), "c.bias": torch.zeros(2)}


class Client:
    """TRL's ``VLLMClient`` of a server that notes what lies in the folder it is told of."""

    base_url = "http://server"

    def __init__(self, extension="evalsuite.engines.vllm_weights.LoadsFolders"):
        self.extension, self.found, self.forgot = extension, [], 0
        self.session = SimpleNamespace(post=self.post)

    def get_server_info(self):
        return {"parallel_config": {"worker_extension_cls": self.extension}}

    def reset_prefix_cache(self):
        self.forgot += 1

    def post(self, url, json):
        from pathlib import Path

        from safetensors.torch import load_file

        assert url == "http://server/collective_rpc" and json["method"] == "load_folder"
        self.found.append([load_file(path) for path in sorted(Path(json["args"][0]).glob("*.safetensors"))])
        return SimpleNamespace(raise_for_status=lambda: None)


@pytest.mark.parametrize(("largest", "files"), [(10**9, 1), (20, 2), (1, 3)])
def test_a_server_is_told_of_files_that_hold_the_weights(tmp_path, monkeypatch, largest, files):
    monkeypatch.setattr(weight_transfer, "_LARGEST_FILE", largest)
    client = Client()
    transfer = open_transfer(client, CPU, str(tmp_path / "shared"))
    transfer.send(iter(WEIGHTS.items()))
    transfer.send((name, tensor + 1) for name, tensor in list(WEIGHTS.items())[:1])
    first, second = client.found
    assert len(first) == files and client.forgot == 2
    whole = {name: tensor for part in first for name, tensor in part.items()}
    assert whole.keys() == WEIGHTS.keys() and all(torch.equal(whole[name], WEIGHTS[name]) for name in WEIGHTS)
    assert [part.keys() for part in second] == [{"a.weight"}]
    transfer.close()
    assert not list((tmp_path / "shared").iterdir())


def test_without_a_folder_there_is_one_for_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    transfer = open_transfer(Client(), CPU, None)
    transfer.send(iter(WEIGHTS.items()))
    assert list(tmp_path.rglob("*.safetensors"))
    transfer.close()
    assert not list(tmp_path.iterdir())


def test_a_server_that_loads_no_folders_is_to_be_started_otherwise():
    with pytest.raises(InvalidInput, match=r"--worker-extension-cls evalsuite\.engines\.vllm_weights\.LoadsFolders"):
        open_transfer(Client(extension=""), CPU, None)

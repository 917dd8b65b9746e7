"""How a policy's weights get to a ``vllm serve``: over NCCL, or through a folder where there is none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evalsuite.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OverNccl", "ThroughFolder", "Transfer", "open_transfer"]

_EXTENSION = "evalsuite.engines.vllm_weights.LoadsFolders"
_LARGEST_FILE = 4_000_000_000


class Transfer(Protocol):
    """Brings weights (names as in a checkpoint, tied ones once) to a server, which forgets what it knew of prompts."""

    def send(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Return when the server computes with these weights."""

    def close(self) -> None:
        """Leave the server running."""


def open_transfer(client: Any, device: Any, folder: str | None) -> Transfer:
    """Return the way to the server of TRL's ``VLLMClient``: through ``folder`` if one is named, or without a GPU.

    Raises:
        InvalidInput: the server was not started so that it takes weights.
    """
    if folder is None and device.type == "cuda":
        client.init_communicator(device=device)
        return OverNccl(client)
    known = client.get_server_info()["parallel_config"].get("worker_extension_cls")
    if known != _EXTENSION:
        raise InvalidInput(
            f"the vLLM server at {client.base_url} does not load weights from a folder: start it as "
            f"VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --worker-extension-cls {_EXTENSION}"
        )
    return ThroughFolder(client, Path(folder or tempfile.mkdtemp(prefix="evalsuite-weights-")), keep=folder is not None)


@dataclass(frozen=True, slots=True)
class OverNccl:
    """Tensor after tensor, from GPU to GPU.

    The server is one of ``VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --weight-transfer-config '{"backend": "nccl"}'``.
    """

    client: Any

    def send(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Send and wait."""
        with self.client.weight_update():
            for name, tensor in weights:
                self.client.update_named_param(name, tensor)
        self.client.reset_prefix_cache()

    def close(self) -> None:
        """Leave the group of processes."""
        self.client.close_communicator()


@dataclass(frozen=True, slots=True)
class ThroughFolder:
    """Files in a folder that this process writes and the server reads, which is then told to; see ``LoadsFolders``."""

    client: Any
    folder: Path
    keep: bool

    def send(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Write, and wait until it has been read."""
        self._empty()
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder, weights)
        asked = {"method": "load_folder", "args": [str(self.folder.resolve())]}
        answer = self.client.session.post(f"{self.client.base_url}/collective_rpc", json=asked)
        answer.raise_for_status()
        self.client.reset_prefix_cache()

    def close(self) -> None:
        """Take the files away."""
        self._empty()
        if not self.keep:
            self.folder.rmdir()

    def _empty(self) -> None:
        for old in self.folder.glob("weights-*.safetensors"):
            old.unlink()


def _write(folder: Path, weights: Iterable[tuple[str, Tensor]]) -> None:
    from safetensors.torch import save_file

    for number, portion in enumerate(_portions(weights)):
        save_file(portion, folder / f"weights-{number:05d}.safetensors")


def _portions(weights: Iterable[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """Yield the weights in this process's memory, so many at a time as a file is to hold."""
    portion: dict[str, Tensor] = {}
    size = 0
    for name, tensor in weights:
        portion[name] = tensor.detach().to("cpu", copy=True).contiguous()
        size += tensor.nbytes
        if size >= _LARGEST_FILE:
            yield portion
            portion, size = {}, 0
    if portion:
        yield portion

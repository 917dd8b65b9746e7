"""TRL's rollouts by vLLM: weight transfer where it cannot do it by itself, and no traces left in the process."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evalsuite.engines.vllm_weights import reload_weights
from evalsuite.training.weight_transfer import open_transfer

__all__ = ["launched_as_before", "weights_by_reloading"]

#: What a launcher tells a process of its place among the others.
_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def launched_as_before() -> Iterator[None]:
    """Take back the launcher's variables that TRL sets for vLLM: the next run here would believe in a launcher."""
    before = {name: os.environ.get(name) for name in _LAUNCHER}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def weights_by_reloading(folder: str | None) -> Iterator[None]:
    """Make TRL send weights by having vLLM load them as it does when it starts, if there is no GPU or a ``folder``.

    vLLM repacks linear weights for a CPU and drops the parameters that TRL writes to (training spec §1.6), so its own
    loader has to do it: in this process, or in a server that reads them from a folder. With a GPU and no folder nothing
    is changed.
    """
    import torch
    from trl.generation.vllm_client import VLLMClient
    from trl.generation.vllm_generation import VLLMGeneration

    if torch.cuda.is_available() and folder is None:
        yield
        return
    for name, value in (("VLLM_ENABLE_V1_MULTIPROCESSING", "0"), ("VLLM_CPU_KVCACHE_SPACE", "1")):
        os.environ.setdefault(name, value)
    transfers: list[Any] = []

    def init_communicator(self: Any, device: Any) -> None:
        transfers.append(open_transfer(self, device, folder))

    def sync_weights(self: Any) -> None:
        weights = ((name, tensor.detach().clone()) for name, tensor in self._iter_named_params())
        if self.mode == "colocate":
            reload_weights(self.llm.llm_engine, weights)
        elif transfers:
            transfers[0].send(weights)
        else:
            deque(weights, maxlen=0)  # only the main process has a client; it takes all to put sharded weights together

    originals = VLLMClient.init_communicator, VLLMGeneration.sync_weights
    VLLMClient.init_communicator, VLLMGeneration.sync_weights = init_communicator, sync_weights
    try:
        yield
    finally:
        VLLMClient.init_communicator, VLLMGeneration.sync_weights = originals
        for transfer in transfers:
            transfer.close()

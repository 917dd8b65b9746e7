"""TRL's rollouts by vLLM: also for architectures and machines it cannot serve by itself, and without traces here."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from evalsuite.engines.vllm_backend import close_engine
from evalsuite.engines.vllm_classes import classes_left_alone
from evalsuite.engines.vllm_weights import reload_weights
from evalsuite.training.processes import process_count
from evalsuite.training.weight_transfer import open_transfer
from evalsuite.training.weights import as_in_checkpoint

__all__ = ["launched_as_before", "vllm_for_any_policy"]

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
def vllm_for_any_policy(folder: str | None) -> Iterator[None]:
    """Make TRL and its vLLM work with policies of any architecture, on any machine.

    TRL (1.16) hands over what the model holds, with the experts of a layer in one tensor, which vLLM knows of some
    architectures only. Beside a policy, vLLM may change its class (see ``vllm_classes``). And where there is no GPU
    or a ``folder``, vLLM loads weights as it does when it starts: for a CPU it repacks linear weights and drops the
    parameters that TRL writes to (training spec §1.6), so its own loader has to do it, in this process or in a server
    that reads them from a folder.
    """
    import torch
    from trl.generation.vllm_generation import VLLMGeneration

    originals = VLLMGeneration._init_vllm, VLLMGeneration._iter_named_params
    engines: list[Any] = []

    def init_vllm(self: Any) -> None:
        with classes_left_alone():
            originals[0](self)
        if self.mode == "colocate":
            engines.append(self.llm.llm_engine)

    def iter_named_params(self: Any) -> Iterator[tuple[str, Any]]:
        return as_in_checkpoint(self.model, originals[1](self))

    VLLMGeneration._init_vllm, VLLMGeneration._iter_named_params = init_vllm, iter_named_params
    try:
        with nullcontext() if torch.cuda.is_available() and folder is None else _weights_by_reloading(folder):
            yield
    finally:
        VLLMGeneration._init_vllm, VLLMGeneration._iter_named_params = originals
        if process_count() == 1:  # where there are more, they share a group with vLLM's and end together
            for engine in engines:
                close_engine(engine)


@contextmanager
def _weights_by_reloading(folder: str | None) -> Iterator[None]:
    """Make TRL leave the loading of weights to vLLM."""
    from trl.generation.vllm_client import VLLMClient
    from trl.generation.vllm_generation import VLLMGeneration

    for name, value in (("VLLM_ENABLE_V1_MULTIPROCESSING", "0"), ("VLLM_CPU_KVCACHE_SPACE", "1")):
        os.environ.setdefault(name, value)
    transfers: list[Any] = []

    def init_communicator(self: Any, device: Any) -> None:
        transfers.append(open_transfer(self, device, folder))

    def sync_weights(self: Any) -> None:
        weights = self._iter_named_params()
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

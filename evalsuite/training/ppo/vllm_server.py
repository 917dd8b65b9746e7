"""Completions from a ``vllm serve`` elsewhere, which is sent the policy's weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from evalsuite.engines.base import Sampling
from evalsuite.errors import EngineError, MissingExtra, first_line
from evalsuite.training.ppo.samplers import Completion, Draw
from evalsuite.training.ppo.vllm_sampler import PURPOSE
from evalsuite.training.weight_transfer import Transfer, open_transfer
from evalsuite.training.weights import as_in_checkpoint, named_weights

__all__ = ["VllmServerSampler"]

_REQUESTS_AT_A_TIME = 64


class VllmServerSampler:
    """A running server; the main process sends it weights, every process asks it for completions.

    How it is started, and what ``folder`` is, says :mod:`evalsuite.training.weight_transfer`.
    """

    def __init__(
        self, url: str, sampling: Sampling, eos_ids: Iterable[int], accelerator: Any, folder: str | None = None
    ) -> None:
        if find_spec("vllm") is None:
            raise MissingExtra("vllm", "vllm", PURPOSE)
        from trl.generation.vllm_client import VLLMClient

        self._url = url
        self._sampling = sampling
        self._eos_ids = sorted(eos_ids)
        self._accelerator = accelerator
        self._transfer: Transfer | None = None
        with _server_errors(url):
            self._client = VLLMClient(base_url=url, connection_timeout=60.0)
            if accelerator.is_main_process:
                self._transfer = open_transfer(self._client, accelerator.device, folder)

    def generate(self, draws: Sequence[Draw]) -> Iterator[tuple[int, Completion]]:
        """Yield completions as they finish; every draw is a request with its own seed."""
        with _server_errors(self._url), ThreadPoolExecutor(_REQUESTS_AT_A_TIME) as pool:
            places = {pool.submit(self._one, draw): place for place, draw in enumerate(draws)}
            try:
                for future in as_completed(places):
                    yield places[future], future.result()
            finally:
                pool.shutdown(cancel_futures=True)  # of a server that died no more is asked

    def synchronise(self, policy: Any) -> None:
        """Send the policy's weights. No process returns before the server has them all."""
        weights = as_in_checkpoint(policy, named_weights(policy))
        with _server_errors(self._url):
            if self._transfer is not None:
                self._transfer.send(weights)
            else:
                deque(weights, maxlen=0)  # it takes every process to put sharded ones together
        self._accelerator.wait_for_everyone()

    def close(self) -> None:
        """Leave the server running."""
        if self._transfer is not None:
            self._transfer.close()

    def _one(self, draw: Draw) -> Completion:
        sampling = self._sampling
        answer = self._client.generate(
            [list(draw.prompt)],
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_tokens,
            logprobs=None,
            generation_kwargs={"seed": draw.seed, "stop_token_ids": self._eos_ids},
        )
        return Completion(tuple(answer["completion_ids"][0]))


@contextmanager
def _server_errors(url: str) -> Iterator[None]:
    """What the client raises when the server is away or unwell, as one line."""
    try:
        yield
    except Exception as error:
        # The client says that a request was refused by an exception of no kind of its own.
        if type(error) is Exception or isinstance(error, (OSError, RuntimeError)):
            raise EngineError(f"the vLLM server at {url} cannot be used: {first_line(error)}") from error
        raise

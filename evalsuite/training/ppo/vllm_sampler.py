"""Completions from a vLLM in this process, beside the policy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from evalsuite.engines.base import Sampling
from evalsuite.engines.vllm_backend import Job, one_line_errors, start
from evalsuite.errors import MissingExtra
from evalsuite.training.ppo.samplers import Completion, Draw
from evalsuite.training.weights import as_in_checkpoint, named_weights

__all__ = ["PURPOSE", "VllmSampler"]

PURPOSE = "rollouts with vLLM"


class VllmSampler:
    """vLLM's engine in this process, one a process of the run."""

    def __init__(
        self, model: str, sampling: Sampling, eos_ids: Iterable[int], *, max_length: int, memory: float, processes: int
    ) -> None:
        if find_spec("vllm") is None:
            raise MissingExtra("vllm", "vllm", PURPOSE)
        # Weights are handed over in memory, so the engine must live in this process, whatever else was wished for.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        arguments = {
            "model": model,
            "dtype": "auto",
            "max_model_len": max_length,
            "gpu_memory_utilization": memory,
            "data_parallel_size": 1,
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
        }
        if processes > 1:
            arguments["distributed_executor_backend"] = "external_launcher"
        self._backend: Any = start(arguments)
        self._sampling = sampling
        self._eos_ids = sorted(eos_ids)

    def generate(self, draws: Sequence[Draw]) -> Iterator[tuple[int, Completion]]:
        """Yield completions as they finish."""
        jobs = [Job(draw.prompt, _parameters(self._sampling, self._eos_ids, draw.seed)) for draw in draws]
        with one_line_errors():
            for place, output in self._backend.run(jobs):
                yield place, Completion(tuple(output.outputs[0].token_ids))

    def synchronise(self, policy: Any) -> None:
        """Load the policy's weights into the engine and forget what it remembers of prompts."""
        with one_line_errors():
            self._backend.load_weights(as_in_checkpoint(policy, named_weights(policy)))

    def close(self) -> None:
        """Free the model."""
        self._backend.close()


def _parameters(sampling: Sampling, eos_ids: Sequence[int], seed: int) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_tokens=sampling.max_tokens,
        seed=seed,
        stop_token_ids=list(eos_ids),
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )

"""Other weights for a vLLM that runs: out of the memory of its own process, or out of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["LoadsFolders", "reload_weights"]


def reload_weights(engine: Any, weights: Iterable[tuple[str, Any]]) -> None:
    """Replace the weights of vLLM's ``LLMEngine``, running in this process, and forget what it remembers of prompts."""
    runner = engine.model_executor.driver_worker.model_runner
    runner.reload_weights(weights_iterator=weights)
    _repack(runner.get_model())
    engine.reset_prefix_cache()


class LoadsFolders:
    """Teaches the workers of a ``vllm serve`` to load a folder of ``.safetensors``, also without a GPU.

    vLLM adds it to its workers' class: ``--worker-extension-cls evalsuite.engines.vllm_weights.LoadsFolders``.
    """

    def load_folder(self: Any, folder: str) -> None:
        """Replace the weights by those in ``folder``, with names as in a checkpoint."""
        self.reload_weights(weights_path=folder)
        _repack(self.model_runner.get_model())


def _repack(model: Any) -> None:
    """Renew what vLLM computes with on a CPU, packed copies of weights, where its reloading leaves that out.

    A head tied to the embedding has a copy of its own, and no weight of its own whose loading would renew it. Experts
    are packed when they are loaded first, and stay as they come afterwards (vLLM 0.31).
    """
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    for module in model.modules():
        if isinstance(module, ParallelLMHead):
            module.quant_method.process_weights_after_loading(module)
        kernel = getattr(getattr(module, "quant_method", None), "moe_kernel", None)
        if kernel is not None:
            kernel.fused_experts.process_weights_after_loading(module)

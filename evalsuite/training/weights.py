"""Weights as they are without sharding: for samplers that run elsewhere, and for the moving reference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = ["as_in_checkpoint", "gathered", "is_spread", "named_weights"]


def named_weights(model: Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the model's own names, and whole tensors that are good until the next one is asked for.

    ``model`` may be wrapped for data parallelism, FSDP (1 or 2) or DeepSpeed ZeRO. Every process has to take them all:
    putting a sharded tensor together is a collective. Tied weights come once.
    """
    with _whole(model):
        for name, parameter in model.named_parameters():
            with gathered((parameter,)):
                full = getattr(parameter, "full_tensor", None)  # FSDP 2
                yield _plain(name), (full() if full is not None else parameter).detach()


def as_in_checkpoint(model: Module, weights: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Yield copies of a model's ``weights`` (its own names, in its order) as a checkpoint has them and vLLM reads them.

    Transformers keeps the experts of a layer in one tensor, and other weights that checkpoints have in parts. One layer
    at a time is copied.
    """
    from transformers.core_model_loading import revert_weight_conversion

    bare = _unwrapped(model)
    for _, layer in groupby(weights, key=lambda named: _layer(named[0])):
        copies = {name: tensor.detach().clone() for name, tensor in layer}
        yield from revert_weight_conversion(bare, copies).items()


def gathered(parameters: Sequence[Any], *, write: bool = False) -> AbstractContextManager[Any]:
    """Return a context in which parameters that ZeRO 3 has partitioned are whole; after ``write`` rank 0's stay."""
    if not _is_part(parameters[0]):
        return nullcontext()
    import deepspeed

    rank = 0 if write else None
    context: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(list(parameters), modifier_rank=rank)
    return context


def is_spread(model: Module) -> bool:
    """Whether ZeRO 3 has spread the weights over the processes, so that the model cannot be called as it is."""
    return _is_part(next(model.parameters()))


def _is_part(parameter: Any) -> bool:
    return hasattr(parameter, "ds_id")


def _whole(model: Module) -> AbstractContextManager[Any]:
    from torch.distributed.fsdp import FullyShardedDataParallel

    if isinstance(model, FullyShardedDataParallel):
        whole: AbstractContextManager[Any] = FullyShardedDataParallel.summon_full_params(model, writeback=False)
        return whole
    return nullcontext()


def _unwrapped(model: Any) -> Any:
    """Return the Transformers model inside what data parallelism, FSDP and DeepSpeed put around it."""
    while hasattr(model, "module"):  # which wrappers have, and models have not
        model = model.module
    return model


def _layer(name: str) -> str:
    """Return a parameter's name up to the number of its layer; all of it where there is none."""
    found = re.search(r"\.\d+\.", name)
    return name if found is None else name[: found.end()]


def _plain(name: str) -> str:
    """Return a parameter's name without what wrappers put into it."""
    wrappers = ("module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
    for wrapper in wrappers[1:]:
        name = name.replace(wrapper, "")
    return name.removeprefix(wrappers[0])

"""The model that divergence is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["freeze", "move_towards"]


def freeze(model: Any) -> Any:
    """Return ``model`` without gradients, in evaluation mode."""
    model.requires_grad_(False)
    model.eval()  # DeepSpeed's engine returns nothing here
    return model


def move_towards(reference: Module, policy: Module, share: float) -> None:
    """Move every weight of ``reference`` in place by ``share`` of its distance to the policy's.

    Both have the same parameters in the same order, sharded alike if at all. Source: arXiv 2404.10719, section 5.
    """
    import torch

    from evalsuite.training.weights import gathered

    with torch.no_grad():
        for slow, fast in zip(reference.parameters(), policy.parameters(), strict=True):
            with gathered((slow, fast), write=True):
                slow.lerp_(fast.to(slow.dtype), share)

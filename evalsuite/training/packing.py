"""Rows that share a sequence must not see each other."""

from __future__ import annotations

from typing import Any

from evalsuite.errors import InvalidRecipe
from evalsuite.training.weights import is_spread

__all__ = ["require_separate_rows"]

#: Units in the last place of the largest logit. Masked tokens weigh exactly nothing, but experts may add up in another
#: order where other tokens come along.
_ROUNDING = 0.25


def require_separate_rows(model: Any) -> None:
    """Refuse to pack rows for a model that reads a row otherwise when another one stands before it.

    TRL tells a model where rows begin by positions that begin again. Attention without masks for that, positions that
    are counted anew, and recurrences go on across.

    Raises:
        InvalidRecipe: it is such a model.
    """
    import torch

    if is_spread(model):  # there is nothing to try it on
        return
    size = min(model.config.get_text_config().vocab_size, 50)
    row = torch.arange(10) % size
    positions = torch.arange(10).repeat(2)[None]
    training = model.training
    model.eval()
    with torch.no_grad():
        said = [
            model(input_ids=torch.cat([before % size, row])[None], position_ids=positions, use_cache=False).logits[
                0, 10:
            ]
            for before in (torch.arange(10) + 3, torch.arange(10) * 7 + 20)
        ]
    model.train(training)
    difference = float((said[0] - said[1]).abs().max())
    if difference > _ROUNDING * torch.finfo(said[0].dtype).eps * float(said[0].abs().max()):
        raise InvalidRecipe(
            f"training.packing: rows that share a sequence would see each other in a model of type "
            f"{model.config.model_type!r} ({model.config._attn_implementation} attention): leave packing out"
        )

"""The value model: a token classifier with one output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalsuite.engines.checkpoint import read_config
from evalsuite.errors import InvalidInput, first_line
from evalsuite.training.starting_point import head_of, without_loading_report
from evalsuite.training.weights import gathered, is_spread

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ValueScale", "load_value_model"]

#: Smallest variance of returns that values are divided by. Source: ReaL's ``value_norm``, training spec §2.2.
_LEAST_VARIANCE = 1e-2


def load_value_model(path: str, dtype: Any) -> Any:
    """Return a model whose ``logits`` (B, T, 1) are the values of the states after each token.

    ``path`` holds a causal language model, whose head is left out, or a reward model (a sequence classifier with one
    output), whose head is kept. A new head is zero: before anything is learned every value is 0.

    Raises:
        InvalidInput: there is no such checkpoint, or its head is of another size.
    """
    import torch

    config = read_config(path)
    config.num_labels = 1
    config.classifier_dropout = 0.0
    try:
        with without_loading_report():
            model, loading = _token_classifier(config).from_pretrained(
                path, config=config, dtype=dtype, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as problem:
        raise InvalidInput(f"value model {path!r} cannot be made: {first_line(problem)}") from problem
    head = head_of(model)
    for name in sorted(loading["missing_keys"]):
        if name not in head:
            raise InvalidInput(f"value model {path!r} lacks the weights {name}")
        with torch.no_grad(), gathered((head[name],), write=True):
            head[name].zero_()
    if not is_spread(model):
        _require_values(model, path)
    return model


def _require_values(model: Any, path: str) -> None:
    """Try the classifier: its head does not fit what every architecture's language model returns (Mamba's)."""
    import torch

    try:
        with torch.no_grad():
            model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device), use_cache=False)
    except (AttributeError, TypeError, ValueError, RuntimeError) as problem:
        kind = model.config.model_type
        raise InvalidInput(
            f"value model {path!r}: PPO cannot value states of {kind!r} models: {first_line(problem)}"
        ) from problem


def _token_classifier(config: Any) -> Any:
    """Return the architecture's token classifier, of the library's general one where it has none of its own.

    Transformers has none for OLMo 2, Gemma 3, Granite and many others.
    """
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
        AutoModelForTokenClassification,
        PreTrainedModel,
    )
    from transformers.modeling_layers import GenericForTokenClassification

    if type(config) in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
        return AutoModelForTokenClassification
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ValueError(f"{config.model_type!r} is no language model")
    language_model = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    # What an architecture's models have in common stands last before what all models have in common.
    line = language_model.__mro__
    family = line[line.index(PreTrainedModel) - 1]
    name = f"{language_model.__name__.removesuffix('ForCausalLM')}ForTokenClassification"
    # Transformers looks into the module of a class for how its experts may be computed.
    about = {"__module__": family.__module__, "base_model_prefix": family.base_model_prefix or "model"}
    return type(name, (GenericForTokenClassification, family), about)


@dataclass(frozen=True, slots=True)
class ValueScale:
    """Running mean and standard deviation of returns; the value model works in their units.

    ``mean`` and ``square`` (of the squares) are exponential averages over steps, ``weight`` is what they still lack
    from 1. Before the first step, and with ``decay`` ``None``, values have the units of rewards.
    """

    decay: float | None
    mean: float = 0.0
    square: float = 0.0
    weight: float = 0.0

    def after(self, returns: Tensor, mask: Tensor) -> ValueScale:
        """Return the scale after a step with these ``returns`` (B, T) on the tokens of ``mask`` (B, T)."""
        if self.decay is None:
            return self
        count = mask.sum().clamp(min=1)
        mean = float((returns * mask).sum() / count)
        square = float((returns.square() * mask).sum() / count)
        fresh = 1 - self.decay
        return ValueScale(
            self.decay,
            self.decay * self.mean + fresh * mean,
            self.decay * self.square + fresh * square,
            self.decay * self.weight + fresh,
        )

    def to_units(self, returns: Tensor) -> Tensor:
        """Return rewards' units as the value model's."""
        shift, scale = self._moments()
        return (returns - shift) / scale

    def from_units(self, values: Tensor) -> Tensor:
        """Return the value model's units as rewards'."""
        shift, scale = self._moments()
        return values * scale + shift

    def _moments(self) -> tuple[float, float]:
        if not self.weight:
            return 0.0, 1.0
        mean = self.mean / self.weight
        variance = max(self.square / self.weight - mean**2, _LEAST_VARIANCE)
        return mean, variance**0.5

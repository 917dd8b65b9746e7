"""An encoder that compares texts by BERTScore, with Transformers and PyTorch in this process.

Each token of one text is matched with the most similar token of the other by the cosine of their embeddings at one
layer; precision and recall are means over the tokens that are not special, and F1 is their harmonic mean. No rarity
weights, no rescaling. Source: Zhang et al. 2020, as ``bert_score`` computes it by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.engines.decoding import free_memory
from evalsuite.engines.identity import identity
from evalsuite.engines.similarity import CompareRequest, Similarities
from evalsuite.errors import EngineError, InvalidInput, first_line

if TYPE_CHECKING:
    import torch

__all__ = ["Encoder", "EncoderOptions"]

_UNLIMITED = 10**9


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """How to run the encoder. ``layer`` counts from 1; ``None`` takes the last. ``device`` ``auto`` prefers a GPU."""

    layer: int | None = None
    device: str = "auto"
    revision: str | None = None

    def __post_init__(self) -> None:
        if self.layer is not None and self.layer < 1:
            raise InvalidInput(f"the encoder's layer counts from 1, not {self.layer}")


class Encoder:
    """Compares texts with a masked language model such as RoBERTa."""

    name = "encoder"

    def __init__(self, model: str, options: EncoderOptions | None = None) -> None:
        self.options = options or EncoderOptions()
        self._checkpoint = open_checkpoint(
            model, revision=self.options.revision, trust_remote_code=False, purpose="comparing texts"
        )
        layers = int(self._checkpoint.config.num_hidden_layers)
        self._layer = self.options.layer or layers
        if self._layer > layers:
            raise InvalidInput(f"encoder {model!r} has {layers} layers, not {self._layer}")
        self._loaded: Any = None

    def compare(self, requests: Sequence[CompareRequest]) -> Iterator[Similarities]:
        """Yield, per request, the BERTScore F1 of each candidate with the reference, in order."""
        model = self._load() if requests else None
        for request in requests:
            reference, *candidates = self._embed(model, [request.reference, *request.candidates])
            yield Similarities(request.id, tuple(_f1(candidate, reference) for candidate in candidates))

    def identity(self) -> Mapping[str, Any]:
        """Hashes of weights and tokenizer, and the layer."""
        found = identity(self._checkpoint.model, self._checkpoint.revision, None)
        return {"engine": self.name, "layer": self._layer, **found}

    def close(self) -> None:
        """Free the model."""
        self._loaded = None
        free_memory()

    def _load(self) -> Any:
        if self._loaded is None:
            import torch
            from transformers import AutoModel

            path = Path(self._checkpoint.model).expanduser()
            automatic = "cuda" if torch.cuda.is_available() else "cpu"
            try:
                model = AutoModel.from_pretrained(
                    str(path) if path.is_dir() else self._checkpoint.model, revision=self.options.revision
                )
                device = automatic if self.options.device == "auto" else self.options.device
                self._loaded = model.to(device).eval()
            except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
                raise EngineError(f"loading encoder {self._checkpoint.model!r} failed: {first_line(error)}") from error
        return self._loaded

    def _embed(self, model: Any, texts: Sequence[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return, per text, its tokens' unit embeddings ``(tokens, hidden)`` and which of them are not special."""
        import torch

        ids = [self._encode(text) for text in texts]
        width = max(map(len, ids))
        tokenizer = self._checkpoint.tokenizer
        padding = tokenizer.pad_token_id or 0
        padded = torch.tensor([[*row, *[padding] * (width - len(row))] for row in ids], device=model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=model.device)
        with torch.inference_mode():
            hidden = model(padded, attention_mask=mask, output_hidden_states=True).hidden_states[self._layer].float()
        special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
        unit = hidden / hidden.norm(dim=-1, keepdim=True)
        return [
            (unit[index, : len(row)], torch.tensor([token not in special for token in row], device=unit.device))
            for index, row in enumerate(ids)
        ]

    def _encode(self, text: str) -> list[int]:
        """Token ids with the special ones at both ends, cut to the model's length."""
        tokenizer, config = self._checkpoint.tokenizer, self._checkpoint.config
        limit = int(tokenizer.model_max_length)
        if limit > _UNLIMITED:
            limit = self._checkpoint.context - 2  # RoBERTa's positions begin after the padding token's
        stripped = text.strip()
        # RoBERTa's tokens differ at the beginning of a text, unless that looks like the inside of one.
        begun = f" {stripped}" if stripped and getattr(config, "model_type", "") == "roberta" else stripped
        encoded: list[int] = tokenizer.encode(begun, add_special_tokens=True, truncation=True, max_length=limit)
        return encoded


def _f1(candidate: tuple[torch.Tensor, torch.Tensor], reference: tuple[torch.Tensor, torch.Tensor]) -> float:
    """BERTScore F1; 0 when one of the texts is empty."""
    (tokens, counted), (wanted, wanted_counted) = candidate, reference
    if not counted.any() or not wanted_counted.any():
        return 0.0
    similar = tokens @ wanted.T
    precision = float(similar.max(dim=1).values[counted].mean())
    recall = float(similar.max(dim=0).values[wanted_counted].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

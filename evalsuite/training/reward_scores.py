"""A trained reward model as a judge of completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.engines.factory import resolve_model
from evalsuite.training.processes import whole_models
from evalsuite.training.rewards import Judged

__all__ = ["RewardModelJudge"]

_BATCH = 16


@dataclass
class RewardModelJudge:
    """Scores conversations with a sequence-classification model of one label; ``weight`` multiplies the scores.

    The model is loaded when it is first asked.
    """

    path: str
    weight: float
    device: str
    _loaded: tuple[Any, Any] | None = field(default=None, repr=False)

    def __call__(
        self, rows: Sequence[Mapping[str, Any]], completions: Sequence[str], ids: Sequence[Sequence[int]] | None
    ) -> Judged:
        """Return one score a completion; a score has no right or wrong."""
        model, tokenizer = self._load()
        texts = [conversation(tokenizer, row["prompt"], text) for row, text in zip(rows, completions, strict=True)]
        rewards: list[float | None] = []
        for start in range(0, len(texts), _BATCH):
            rewards += [self.weight * value for value in self._scores(model, tokenizer, texts[start : start + _BATCH])]
        return Judged(rewards, [None] * len(texts), [""] * len(texts))

    def _scores(self, model: Any, tokenizer: Any, texts: Sequence[str]) -> list[float]:
        import torch

        batch = tokenizer(
            list(texts), return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False
        )
        with torch.no_grad():
            logits = model(
                input_ids=batch["input_ids"].to(self.device), attention_mask=batch["attention_mask"].to(self.device)
            ).logits
        scores: list[float] = logits[:, 0].float().tolist()
        return scores

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from transformers import AutoModelForSequenceClassification

            path = resolve_model(self.path)
            tokenizer = open_checkpoint(
                path, revision=None, trust_remote_code=False, purpose="a reward model"
            ).tokenizer
            with whole_models():
                model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1).to(self.device).eval()
            self._loaded = (model, tokenizer)
        return self._loaded


def conversation(tokenizer: Any, prompt: str | Sequence[Mapping[str, str]], completion: str) -> str:
    """Return prompt and completion as the model saw them in training: through the chat template, or joined."""
    if isinstance(prompt, str):
        return prompt + completion + (tokenizer.eos_token or "")
    turns = [*prompt, {"role": "assistant", "content": completion}]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False)
    return text

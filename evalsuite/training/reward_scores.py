"""A trained reward model as a judge of completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalsuite.engines.chat import PromptTokenizer
from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.engines.factory import resolve_model
from evalsuite.errors import InvalidInput, first_line
from evalsuite.training.processes import whole_models
from evalsuite.training.rewards import Judged
from evalsuite.training.starting_point import without_loading_report

__all__ = ["RewardModelJudge", "require_reward_model"]

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
        texts = [
            conversation(tokenizer.checkpoint.tokenizer, row["prompt"], text)
            for row, text in zip(rows, completions, strict=True)
        ]
        rewards: list[float | None] = []
        pad = model.config.get_text_config().pad_token_id
        known = pad is not None and pad >= 0
        size = _BATCH if known else 1  # the model could not tell where a padded text ends
        for start in range(0, len(texts), size):
            tokens = tokenizer.encode(texts[start : start + size])
            rewards += [self.weight * value for value in self._scores(model, tokens, pad if known else 0)]
        return Judged(rewards, [None] * len(texts), [""] * len(texts))

    def _scores(self, model: Any, tokens: Sequence[Sequence[int]], pad: int) -> list[float]:
        import torch

        longest = max(map(len, tokens))
        rows = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in tokens], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens], device=self.device)
        with torch.no_grad():
            scores: list[float] = model(input_ids=rows, attention_mask=mask).logits[:, 0].float().tolist()
        return scores

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            tokenizer = require_reward_model(self.path)
            with whole_models():
                self._loaded = (_load_scorer(resolve_model(self.path)).to(self.device).eval(), tokenizer)
        return self._loaded


def require_reward_model(path: str) -> PromptTokenizer:
    """Return the tokenizer of a reward model, having looked at its config as well.

    Raises:
        InvalidInput: there is no such checkpoint, or its config says that it is no classifier.
    """
    opened = open_checkpoint(resolve_model(path), revision=None, trust_remote_code=False, purpose="a reward model")
    kinds = opened.config.architectures or ["a model that does not say what it is"]
    if not any("SequenceClassification" in kind for kind in kinds):
        raise InvalidInput(
            f"{path!r} is {kinds[0]}, no reward model: give one that a recipe of stage reward_model made, or another "
            f"sequence classifier with one output"
        )
    return PromptTokenizer(opened)


def _load_scorer(path: str) -> Any:
    """Load the classifier; a head that it lacks would be random, and so would be every score."""
    from transformers import AutoModelForSequenceClassification

    try:
        with without_loading_report():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                path, num_labels=1, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as problem:
        raise InvalidInput(f"reward model {path!r} cannot be loaded: {first_line(problem)}") from problem
    if loading["missing_keys"]:
        raise InvalidInput(f"reward model {path!r} lacks the weights {', '.join(sorted(loading['missing_keys'])[:3])}")
    return model


def conversation(tokenizer: Any, prompt: str | Sequence[Mapping[str, str]], completion: str) -> str:
    """Return prompt and completion as the model saw them in training: through the chat template, or joined."""
    if isinstance(prompt, str):
        return prompt + completion + (tokenizer.eos_token or "")
    turns = [*prompt, {"role": "assistant", "content": completion}]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False)
    return text

"""Who writes the completions: one small protocol, and the sampler that uses Transformers.

vLLM's are in ``vllm_sampler`` and ``vllm_server``. A prompt brings its own seed, so what is drawn for it does not
depend on which prompts share its batch or process.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from evalsuite.engines.base import Sampling
from evalsuite.engines.causal_lm import CausalLM
from evalsuite.engines.chat import PromptTokenizer
from evalsuite.engines.decoding import BatchSize, Decoder, Row, Watch
from evalsuite.engines.stopping import Stopping
from evalsuite.training.ppo.losses import chosen_logprobs, entropies
from evalsuite.training.weights import named_weights

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Completion", "Draw", "NotingSampler", "ReplicaSampler", "Sampler", "TransformersSampler"]


@dataclass(frozen=True, slots=True)
class Draw:
    """One completion to draw: the prompt in tokens and a seed of 63 bits."""

    prompt: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion in tokens, the ending one included.

    ``logprobs`` and ``entropies``, in nats by token, are those of the policy where it drew the completion itself and a
    pass over the whole would find the same; ``None`` where the policy has yet to be asked.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    entropies: tuple[float, ...] | None = None


class Sampler(Protocol):
    """Draws completions from the policy as it was at the last :meth:`synchronise`."""

    def generate(self, draws: Sequence[Draw]) -> Iterator[tuple[int, Completion]]:
        """Yield each draw's place and its completion, as they finish."""

    def synchronise(self, policy: Any) -> None:
        """Take over the weights of the policy, which may be sharded: every process calls this."""

    def close(self) -> None:
        """Free the model."""


class TransformersSampler:
    """Draws from a model in this process, the policy itself, by continuous batching."""

    def __init__(self, model: Any, tokenizer: PromptTokenizer, sampling: Sampling, rows: int) -> None:
        self._model = model
        self._stopping = Stopping(tokenizer, sampling)
        self._rows = rows

    def generate(self, draws: Sequence[Draw]) -> Iterator[tuple[int, Completion]]:
        """Yield completions as they finish; prompts are read from long to short."""
        for row in self._run(draws):
            yield row.request, Completion(tuple(row.completion))

    def synchronise(self, policy: Any) -> None:
        """Do nothing: the model is the policy."""

    def close(self) -> None:
        """Do nothing: the model is the policy's."""

    def _run(self, draws: Sequence[Draw], watch: Watch | None = None) -> Iterator[Row]:
        room = self._stopping.sampling.max_tokens
        order = sorted(range(len(draws)), key=lambda place: (-len(draws[place].prompt), draws[place].prompt))
        rows = [
            Row(place, 0, list(draws[place].prompt), room, self._stopping, random.Random(draws[place].seed))
            for place in order
        ]
        training = self._model.training
        self._model.eval()
        try:
            yield from Decoder(CausalLM(self._model), BatchSize(self._rows), watch).run(rows)
        finally:
            self._model.train(training)


class NotingSampler(TransformersSampler):
    """Notes what the policy says of each token as it draws it, which spares a pass over the completions.

    For policies in single precision: in half precision, attention to a cache and attention to the whole sequence round
    so differently that the first ratios of an update would not be 1.
    """

    def generate(self, draws: Sequence[Draw]) -> Iterator[tuple[int, Completion]]:
        """Yield completions as they finish, with their log-probabilities and entropies."""
        notes = _Notes(self._stopping.sampling.temperature)
        for row in self._run(draws, notes.take):
            logprobs, spread = zip(*notes.found.pop(row.request), strict=True)
            yield row.request, Completion(tuple(row.completion), logprobs, spread)


@dataclass(frozen=True, slots=True)
class _Notes:
    """By draw: log-probability and entropy of every token so far."""

    temperature: float
    found: defaultdict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, rows: Sequence[Row], logits: Tensor, tokens: Sequence[int]) -> None:
        """Note a token a row; ``logits`` is (rows, vocabulary)."""
        import torch

        drawn = torch.tensor(tokens, device=logits.device)
        said = (chosen_logprobs(logits, drawn, self.temperature), entropies(logits, self.temperature))
        for row, note in zip(rows, zip(*(one.tolist() for one in said), strict=True), strict=True):
            self.found[row.request].append(note)


class ReplicaSampler(TransformersSampler):
    """Draws from a copy of the policy: for a policy that is sharded, or that is updated meanwhile."""

    def synchronise(self, policy: Any) -> None:
        """Copy the policy's weights."""
        import torch

        mine = dict(self._model.named_parameters())
        with torch.no_grad():
            for name, tensor in named_weights(policy):
                mine[name].copy_(tensor)

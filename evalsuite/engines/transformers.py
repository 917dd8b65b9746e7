"""The Transformers engine: any causal language model on any device, without vLLM.

Its own decoding loop replaces ``model.generate``: see :mod:`evalsuite.engines.decoding`. Constructing the engine reads
the config and the tokenizer only; weights are loaded by the first request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.engines.base import (
    Failure,
    GenerateRequest,
    Generation,
    LogLikelihoodRequest,
    LogLikelihoods,
    Sample,
    Sampling,
)
from evalsuite.engines.causal_lm import CausalLM, reading_order
from evalsuite.engines.chat import PromptTokenizer, fit, warn_about_cuts
from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.engines.decoding import BatchSize, Decoder, Row, free_memory
from evalsuite.engines.identity import identity
from evalsuite.engines.loglikelihood import Scorer
from evalsuite.engines.sampling import row_generator
from evalsuite.engines.stopping import Stopping
from evalsuite.engines.windows import Tally, split_windows
from evalsuite.errors import EngineError, InvalidInput, UnknownName, first_line

__all__ = ["TransformersEngine", "TransformersOptions"]

_DTYPES = ("auto", "float32", "float16", "bfloat16")
_ROWS_ON_CPU = 32
_MOST_ROWS = 256


@dataclass(frozen=True, slots=True)
class TransformersOptions:
    """How to run the model.

    ``batch_size`` and ``max_length`` (context in tokens) are found out when ``None``; ``device`` ``auto`` takes the
    GPUs there are, else the CPU; ``dtype`` ``auto`` takes the checkpoint's.
    """

    dtype: str = "auto"
    device: str = "auto"
    batch_size: int | None = None
    max_length: int | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise UnknownName("engine.dtype", self.dtype, _DTYPES)
        for name, value in (("batch_size", self.batch_size), ("max_length", self.max_length)):
            if value is not None and value < 1:
                raise InvalidInput(f"engine.{name} must be at least 1, not {value}")


class TransformersEngine:
    """Runs a checkpoint with Transformers and PyTorch in this process."""

    name = "transformers"

    def __init__(self, model: str, options: TransformersOptions | None = None) -> None:
        self.options = options or TransformersOptions()
        self._checkpoint = open_checkpoint(
            model,
            revision=self.options.revision,
            trust_remote_code=self.options.trust_remote_code,
            purpose="the transformers engine",
        )
        self._tokenizer = PromptTokenizer(self._checkpoint)
        self._loaded: CausalLM | None = None
        self._batch_size: BatchSize | None = None

    @property
    def has_chat_template(self) -> bool:
        """Whether the tokenizer has a chat template."""
        return self._checkpoint.chat_template is not None

    @property
    def max_length(self) -> int:
        """Most tokens of a prompt and its completion together."""
        return self.options.max_length or self._checkpoint.context

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Generation | Failure]:
        """Answer every request, those that end first, first."""
        rows = self._rows(requests)
        if not rows:
            return
        model, batch_size = self._load(longest=max(len(row.prompt) + row.room for row in rows))
        finished: dict[int, dict[int, Sample]] = {}
        with _one_line_errors():
            for row in Decoder(model, batch_size).run(rows):
                samples = finished.setdefault(row.request, {})
                samples[row.number] = row.stopping.sample(row.prompt, row.completion, row.likeliest)
                if len(samples) == row.sampling.n:
                    del finished[row.request]
                    yield Generation(
                        id=requests[row.request].id,
                        samples=tuple(samples[number] for number in sorted(samples)),
                        prompt_tokens=len(row.prompt),
                        cut_tokens=row.cut,
                    )

    def loglikelihood(self, requests: Sequence[LogLikelihoodRequest]) -> Iterator[LogLikelihoods | Failure]:
        """Score every continuation of every request."""
        encoded = [self._tokenizer.encode_choices(request) for request in requests]
        if not encoded:
            return
        windows = split_windows(encoded, self.max_length + 1)  # the last token is never read
        order = reading_order([window.choices.context for window in windows])
        model, batch_size = self._load(longest=max(len(window.choices.context) for window in windows))
        tally = Tally(requests, encoded, windows)
        with _one_line_errors():
            for place, scores in Scorer(model, batch_size).run([windows[index].choices for index in order]):
                answer = tally.add(windows[order[place]], scores)
                if answer is not None:
                    yield answer

    def identity(self) -> Mapping[str, Any]:
        """Hashes of weights, tokenizer and template, and the options that decide the answers."""
        return {
            "engine": self.name,
            "dtype": self.options.dtype,
            "max_length": self.max_length,
            **identity(self._checkpoint.model, self._checkpoint.revision, self._checkpoint.chat_template),
        }

    def close(self) -> None:
        """Free the model."""
        self._loaded = None
        self._batch_size = None
        free_memory()

    def _rows(self, requests: Sequence[GenerateRequest]) -> list[Row]:
        """One row a sample, in reading order."""
        prompts = self._tokenizer.encode_prompts([request.prompt for request in requests])
        stopping: dict[Sampling, Stopping] = {}
        rows: list[Row] = []
        for index in reading_order(prompts):
            request = requests[index]
            stops = stopping.setdefault(request.sampling, Stopping(self._tokenizer, request.sampling))
            prompt, room = fit(prompts[index], request.sampling.max_tokens, self.max_length)
            for number in range(request.sampling.n):
                draws = row_generator(request.sampling, request.id, number)
                rows.append(Row(index, number, prompt, room, stops, draws, cut=len(prompts[index]) - len(prompt)))
        warn_about_cuts(sum(row.cut > 0 for row in rows if row.number == 0), self.max_length)
        return rows

    def _load(self, longest: int) -> tuple[CausalLM, BatchSize]:
        """The model, loaded at the first call, and its batch size for sequences of ``longest`` tokens."""
        if self._loaded is None:
            self._loaded = CausalLM(self._read_weights())
        if self._batch_size is None:
            rows = self.options.batch_size or _automatic_rows(self._checkpoint.config, self._loaded.device, longest)
            self._batch_size = BatchSize(rows)
        return self._loaded, self._batch_size

    def _read_weights(self) -> Any:
        from transformers import AutoModelForCausalLM

        path = Path(self._checkpoint.model).expanduser()
        try:
            with _without_progress_bars():
                model = AutoModelForCausalLM.from_pretrained(
                    str(path) if path.is_dir() else self._checkpoint.model,
                    revision=self.options.revision,
                    dtype=self.options.dtype,
                    device_map=_device_map(self.options.device),
                    trust_remote_code=self.options.trust_remote_code,
                )
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = first_line(error)
            raise InvalidInput(f"cannot load the weights of model {self._checkpoint.model!r}: {reason}") from error
        except RuntimeError as error:
            reason = first_line(error)
            raise EngineError(f"loading model {self._checkpoint.model!r} failed: {reason}") from error
        return model.eval()


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep Transformers' own bars out of a run's progress, and leave its setting as it was."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what PyTorch raises when a device fails into an :class:`~evalsuite.errors.EngineError`."""
    try:
        yield
    except RuntimeError as error:
        raise EngineError(f"the model stopped: {first_line(error)}") from error


def _device_map(device: str) -> str:
    """Where the weights go."""
    import torch

    if device != "auto":
        return device
    if torch.cuda.device_count() > 1:
        return "auto"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _automatic_rows(config: Any, device: Any, longest: int) -> int:
    """A batch size whose keys and values should fit a GPU's free memory; on a CPU larger batches gain nothing."""
    import torch

    if device.type != "cuda":
        return _ROWS_ON_CPU
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head_size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    token_bytes = 2 * text.num_hidden_layers * heads * head_size * 4
    free: int = torch.cuda.mem_get_info(device)[0]
    # A step copies a layer's cache, and reading prompts needs room of its own.
    return max(1, min(_MOST_ROWS, free // 2 // int(token_bytes * longest)))

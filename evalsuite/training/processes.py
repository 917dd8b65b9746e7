"""Which of a training run's processes this is: ``accelerate launch`` and ``torchrun`` say so in the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_main_process", "process_count", "wait_for_file", "whole_models"]

_SECONDS_BETWEEN_LOOKS = 0.5


def process_count() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Return whether this is the one that prints, writes cards and evaluates."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_file(path: Path) -> None:
    """Return when the main process has put a file in place. If it fails instead, the launcher ends this process."""
    while not path.is_file():
        time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextmanager
def whole_models() -> Iterator[None]:
    """Load models whole and in this process alone, also where DeepSpeed would spread everything that is loaded.

    With ZeRO 3, Transformers spreads a model over all processes as it reads it. That is for models that take part in
    training; one that only judges, is evaluated or draws completions would wait for processes that load nothing.
    """
    from accelerate.state import AcceleratorState, is_initialized

    plugin = AcceleratorState().deepspeed_plugin if is_initialized() else None
    if plugin is None:
        yield
        return
    from transformers.integrations.deepspeed import set_hf_deepspeed_config, unset_hf_deepspeed_config

    unset_hf_deepspeed_config()
    try:
        yield
    finally:
        set_hf_deepspeed_config(plugin.dschf)

"""A vLLM engine that takes token ids and gives back finished requests, with or without data parallelism.

Written for vLLM's V1 engine (0.22 to 0.31). One rank's engine is stepped from here; with data parallelism vLLM's
asynchronous engine spreads the requests over its ranks, on an event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from evalsuite.engines.vllm_classes import classes_left_alone
from evalsuite.engines.vllm_weights import reload_weights
from evalsuite.errors import EngineError, InvalidInput

__all__ = ["Backend", "Job", "close_engine", "one_line_errors", "start"]

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Job:
    """One prompt in tokens and vLLM's ``SamplingParams`` for it."""

    prompt: tuple[int, ...]
    params: Any


class Backend(Protocol):
    """A loaded vLLM engine; ``max_length`` is the longest sequence its memory allows."""

    max_length: int

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """Yield each job's place and vLLM's ``RequestOutput``, as they finish."""

    def close(self) -> None:
        """Free the model."""


def start(arguments: Mapping[str, Any]) -> Backend:
    """Load a model with these ``EngineArgs``.

    Environment variables that the user has not set are set: logging to standard error; on a machine without accelerator
    also vLLM's memory for keys and values, and its engine in this process.
    """
    import torch

    # vLLM configures logging when it is imported. Its last words matter only where it runs in processes of its own:
    # what it raises in this one says the same, without its dump of every running request.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR" if torch.cuda.is_available() else "CRITICAL")
    from vllm.engine.arg_utils import AsyncEngineArgs, EngineArgs
    from vllm.platforms import current_platform

    given = dict(arguments)
    if current_platform.is_cpu():
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        each = memory // 4 // given["data_parallel_size"]
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(min(16, max(1, each // _GIB))))
        given.setdefault("enforce_eager", True)
        # A seeded request whose prompt is read in pieces rewinds its generator, which a CPU generator cannot.
        given["enable_chunked_prefill"] = False
        if given["data_parallel_size"] == 1:
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    with _loading_errors(given["model"]), classes_left_alone():
        if given["data_parallel_size"] > 1:
            return _DataParallel(AsyncEngineArgs(**given))
        return _Stepped(EngineArgs(**given))


def close_engine(engine: Any) -> None:
    """End vLLM's ``LLMEngine`` and free what it holds, so that another one can be started in this process."""
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    engine.engine_core.shutdown()
    cleanup_dist_env_and_memory()


class _Stepped:
    """vLLM's synchronous engine: all jobs are handed over at once, then it is stepped until none is left."""

    def __init__(self, arguments: Any) -> None:
        from vllm.v1.engine.llm_engine import LLMEngine

        self._engine = LLMEngine.from_engine_args(arguments)
        self.max_length = int(self._engine.vllm_config.model_config.max_model_len)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        from vllm.inputs import tokens_input

        running = {}
        try:
            for place, job in enumerate(jobs):
                running[str(place)] = self._engine.add_request(str(place), tokens_input(list(job.prompt)), job.params)
            while self._engine.has_unfinished_requests():
                for output in self._engine.step():
                    if output.finished:
                        del running[output.request_id]
                        yield int(output.request_id), output
        finally:
            self._engine.abort_request(list(running.values()), internal=True)

    def load_weights(self, weights: Iterable[tuple[str, Any]]) -> None:
        """Replace the weights by others of the same model: names as in a checkpoint, whole tensors.

        Only where the engine runs in this process (``VLLM_ENABLE_V1_MULTIPROCESSING=0``).
        """
        reload_weights(self._engine, weights)

    def close(self) -> None:
        close_engine(self._engine)
        del self._engine


class _DataParallel:
    """vLLM's asynchronous engine, which balances requests over data-parallel ranks."""

    def __init__(self, arguments: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="evalsuite-vllm", daemon=True)
        self._thread.start()
        self._engine = asyncio.run_coroutine_threadsafe(self._start(arguments), self._loop).result()
        self.max_length = int(self._engine.vllm_config.model_config.max_model_len)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        results: SimpleQueue[tuple[int, Any] | None] = SimpleQueue()
        answering: Future[None] = asyncio.run_coroutine_threadsafe(self._answer(jobs, results), self._loop)
        answering.add_done_callback(lambda _: results.put(None))
        try:
            while (result := results.get()) is not None:
                yield result
            answering.result()
        finally:
            answering.cancel()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        del self._engine
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self, arguments: Any) -> Any:
        from vllm.v1.engine.async_llm import AsyncLLM

        return AsyncLLM.from_engine_args(arguments)

    async def _stop(self) -> None:
        self._engine.shutdown()
        background = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*background, return_exceptions=True)

    async def _answer(self, jobs: Sequence[Job], results: SimpleQueue[tuple[int, Any] | None]) -> None:
        async def answer(place: int, job: Job) -> None:
            async for output in self._engine.generate(tokens_input(list(job.prompt)), job.params, str(place)):
                if output.finished:
                    results.put((place, output))

        from vllm.inputs import tokens_input

        await asyncio.gather(*(answer(place, job) for place, job in enumerate(jobs)))


@contextmanager
def _loading_errors(model: str) -> Iterator[None]:
    """What vLLM raises for a model or option it cannot serve, as one line."""
    from vllm.exceptions import VLLMError

    try:
        with warnings.catch_warnings():  # of PyTorch about how vLLM uses it
            warnings.simplefilter("ignore", FutureWarning)
            yield
    except (ValueError, TypeError, OSError) as error:
        raise InvalidInput(f"vLLM cannot load model {model!r}: {_reason(error)}") from error
    except (RuntimeError, AssertionError, NotImplementedError, VLLMError) as error:
        raise EngineError(f"vLLM failed to start with model {model!r}: {_reason(error)}") from error


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What vLLM raises when it dies, as an :class:`~evalsuite.errors.EngineError`."""
    from vllm.exceptions import VLLMError

    try:
        yield
    except (RuntimeError, AssertionError, OSError, VLLMError) as error:
        raise EngineError(f"vLLM stopped: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The first line that says something: pydantic starts with a count and, for some errors, a field's name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "validation error" in lines[0]:
        lines = [line.removeprefix("Value error, ").partition(" [type=")[0] for line in lines[1:] if " " in line]
    return lines[0] if lines else type(error).__name__

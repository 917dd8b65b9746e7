"""From asyncio to a plain iterator: run coroutines on a loop in one thread and yield results as they finish.

The thread lives exactly as long as the iterator: it ends when the results are used up, when the coroutine fails, and
when the caller stops iterating.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["run_concurrently", "stream"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_END = object()


def stream(produce: Callable[[Callable[[Result], None]], Coroutine[Any, Any, None]]) -> Iterator[Result]:
    """Yield what ``produce(emit)`` emits, as soon as it does; raise what it raises.

    ``produce`` runs on an event loop of its own in a thread of its own. It is cancelled when the iterator is closed,
    and the thread is gone when ``close`` returns.
    """
    results: SimpleQueue[Any] = SimpleQueue()
    loop = asyncio.new_event_loop()
    task = loop.create_task(produce(results.put))
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="evalsuite-stream") as pool:
        finished = pool.submit(_run_to_end, loop, task)
        finished.add_done_callback(lambda _: results.put(_END))
        try:
            while (item := results.get()) is not _END:
                yield item
            finished.result()
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed already: nothing to cancel
                loop.call_soon_threadsafe(task.cancel)


def _run_to_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    try:
        loop.run_until_complete(task)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def run_concurrently(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], limit: int) -> None:
    """Await ``work`` on every item, at most ``limit`` at a time; the first exception cancels the rest and is raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    workers = [asyncio.create_task(worker()) for _ in range(limit)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

"""What goes wrong in training, in one line: memory, disk, a generation engine that died, a reward that failed."""

from __future__ import annotations

import errno

from evalsuite.errors import EngineError, EvalsuiteError, first_line
from evalsuite.training.stage import Step

__all__ = ["explain_failure"]

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
_NO_SPACE = (
    "no space left",
    "os error 28",
    "disk quota exceeded",
    "pytorchstreamwriter failed writing",
    "inline_container.cc",  # torch, closing a file that could not be written to its end: "unexpected pos"
)
_ENGINE_DIED = (
    "enginedeaderror",
    "enginecore encountered",
    "engine core proc",
    "connection refused",
    "connection aborted",
    "connection reset",
    "max retries exceeded",
    "remotedisconnected",
)


def explain_failure(problem: BaseException, last: Step | None) -> EvalsuiteError | None:
    """Return what to tell the user, or None for something nobody foresaw.

    ``last`` is the last step that was reported.
    """
    at = f"after step {last.step} of {last.steps}" if last else "before the first step"
    if isinstance(problem, KeyboardInterrupt):
        return EvalsuiteError(f"interrupted {at}")
    chain = list(_causes(problem))
    known = next((cause for cause in chain if isinstance(cause, EvalsuiteError)), None)
    if known is not None:
        return known
    texts = [f"{type(cause).__module__}.{type(cause).__name__}: {cause}" for cause in chain]
    said = " ".join(texts).lower()
    if isinstance(problem, MemoryError) or any(text in said for text in _NO_MEMORY):
        return EvalsuiteError(
            f"out of memory {at}: lower training.micro_batch_size or the lengths, or turn on "
            f"training.gradient_checkpointing (--dry-run estimates what a recipe needs)"
        )
    full = any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in chain)
    if full or any(text in said for text in _NO_SPACE):
        return EvalsuiteError(f"the disk is full {at}: free some space, or keep fewer checkpoints (checkpoints.keep)")
    if any(text in said for text in _ENGINE_DIED):
        return EngineError(f"the generation engine died {at} ({first_line(chain[-1])[:200]})")
    return None


def _causes(problem: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while problem is not None and problem not in found:
        found.append(problem)
        problem = problem.__cause__ or problem.__context__
    return found

"""The process that lm-eval runs in, seen from here.

It keeps what it has loaded for as long as this process lives. Its one worker does one thing at a time, as lm-eval does;
lm-eval's own code has no time limits, so a doc gets a generous one and everything else none to speak of.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from evalsuite import errors
from evalsuite.bridge.lm_eval.wire import Aggregate, DocKey, DocScores, Responses, Source, UnitInfo, WireDoc
from evalsuite.verifiers.workers import JobResult, JobStatus, WorkerPool

__all__ = ["LmEvalProcess"]

_INSIDE = "evalsuite.bridge.lm_eval"
_DOC_SECONDS = 300.0
_SECONDS = 24 * 3600.0
_DOCS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class LmEvalProcess:
    """What can be asked about one source; every method may raise :class:`~evalsuite.errors.UserError`."""

    source: Source

    def describe(self) -> list[UnitInfo]:
        """Load the source's name and tell what it stands for."""
        found: list[UnitInfo] = self._ask("loaded:describe")
        return found

    def render(self, unit: str, counts: Mapping[str, int]) -> list[WireDoc]:
        """Return the first docs of each task with their requests."""
        total: int = self._ask("render:render", unit, dict(counts))
        docs: list[WireDoc] = []
        for start in range(0, total, _DOCS_AT_ONCE):
            docs += self._ask("render:rendered", unit, start, start + _DOCS_AT_ONCE)
        return docs

    def questions(self, unit: UnitInfo) -> list[tuple[str, str]]:
        """Return every doc's name, in a group with its task's, and what it asks without exemplars."""
        found: list[tuple[str, str]] = []
        for leaf in unit.leaves:
            prefix = f"{leaf.name}/" if len(unit.leaves) > 1 else ""
            for start in range(0, leaf.rows, _DOCS_AT_ONCE):
                texts = self._ask("questions:questions", unit.name, leaf.name, start, start + _DOCS_AT_ONCE)
                found += [(f"{prefix}{start + number}", text) for number, text in enumerate(texts)]
        return found

    def score(self, unit: str, key: DocKey, sha256: str, responses: Responses, primary: str) -> DocScores:
        """Score the answers to one doc."""
        arguments = (unit, key, sha256, responses, primary)
        scores: DocScores = self._ask("scoring:score_doc", *arguments, seconds=_DOC_SECONDS)
        return scores

    def unscored(self, unit: str, keys: Sequence[DocKey]) -> list[DocKey]:
        """Return the docs whose scores it does not remember."""
        missing: list[DocKey] = self._ask("scoring:unscored", unit, list(keys))
        return missing

    def aggregate(self, unit: str, keys: Sequence[DocKey], primary: str) -> dict[str, Aggregate]:
        """Return the results over docs that have been scored, by task; under ``""`` those of the whole unit."""
        results: dict[str, Aggregate] = self._ask("scoring:aggregate", unit, list(keys), primary)
        return results

    def _ask(self, function: str, *arguments: Any, seconds: float = _SECONDS) -> Any:
        result = _pool(os.getpid()).run(f"{_INSIDE}.{function}", self.source, *arguments, seconds=seconds)
        if result.status is not JobStatus.DONE:
            raise _explained(self.source.name, result)
        return result.value


def _explained(name: str, result: JobResult) -> errors.EvalsuiteError:
    """Turn what happened there into an error of ours; those that it raised on purpose keep their kind."""
    if result.status is not JobStatus.RAISED:
        return errors.EvalsuiteError(f"lm-eval/{name}: lm-eval's process ended: {result.status} ({result.detail})")
    kind, _, message = result.detail.partition(": ")
    for own in (errors.DataUnavailable, errors.RunMismatch):
        if kind == own.__name__:
            return own(f"lm-eval/{name}: {message}")
    if kind in ("InvalidInput", "UnknownName"):
        return errors.InvalidInput(message)
    told = " ".join(result.detail.split())
    if kind in ("DatasetNotFoundError", "OfflineModeIsEnabled", "ConnectionError", "FileNotFoundError"):
        return errors.DataUnavailable(
            f"lm-eval/{name}: {told[:200]}: give a mirror directory with the Hub's layout (--data DIR or "
            "EVALSUITE_DATA), or connect to the Hub"
        )
    if kind in ("ModuleNotFoundError", "ImportError"):
        return errors.InvalidInput(f"lm-eval/{name}: {message} (a package that this task of lm-eval's needs)")
    return errors.InvalidTask(f"lm-eval/{name}: lm-eval failed on it: {told[:300]}")


@lru_cache(maxsize=1)
def _pool(pid: int) -> WorkerPool:
    if find_spec("lm_eval") is None:
        raise errors.MissingExtra("lm-eval", "lm-eval", "a task of lm-eval's")
    return WorkerPool(size=1, memory_bytes=resource.RLIM_INFINITY)

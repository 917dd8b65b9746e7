"""One session of a run: ask the engine for what is missing, journal it, judge it meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from evalsuite.engines.base import (
    Engine,
    Failure,
    GenerateRequest,
    Generation,
    LogLikelihoodRequest,
    LogLikelihoods,
)
from evalsuite.errors import RunMismatch
from evalsuite.runner.judge import Judge
from evalsuite.runner.plan import PlannedRequest, TaskPlan
from evalsuite.runner.progress import Progress, TaskStart
from evalsuite.runner.results import doc_value
from evalsuite.runs.folder import RunFolder
from evalsuite.runs.journal import Journal
from evalsuite.runs.records import SampleRecord, VerdictRecord

__all__ = ["SessionCount", "run_session"]

log = logging.getLogger("evalsuite")


@dataclass(frozen=True, slots=True)
class SessionCount:
    """What one session did: requests answered by the engine, and those it failed on, by task."""

    generated: int
    failed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Planned:
    plan: TaskPlan
    planned: PlannedRequest
    key: str


def run_session(
    plans: Sequence[TaskPlan], engine: Engine, model_digest: str, folder: RunFolder, progress: Progress
) -> SessionCount:
    """Bring every planned request to an answer and a verdict; what the folder already holds is not asked again.

    All tasks share one queue. When the engine dies, or the user interrupts, what was answered before is journaled and
    judged, then the exception goes on.
    """
    planned = {
        request.request.id: _Planned(plan, request, request.key(model_digest))
        for plan in plans
        for request in plan.requests
    }
    with Journal(folder.samples_path) as samples, Journal(folder.verdicts_path) as verdicts:
        answered = _matching(folder.samples(), planned, folder)
        judged = {
            name for name, record in folder.verdicts().items() if name in answered and record.key == answered[name].key
        }
        progress.started(_starts(plans, answered))
        session = _Session(planned, samples, verdicts, progress)
        try:
            for record in answered.values():
                if record.id not in judged:
                    session.judge(record)
            session.ask(engine, [item.planned for name, item in planned.items() if name not in answered])
        except KeyboardInterrupt:
            session.cancel()
            raise
        finally:
            session.close()
        return session.count()


class _Session:
    """The moving parts of one session: two journals, a judge, and what was counted."""

    def __init__(
        self, planned: Mapping[str, _Planned], samples: Journal, verdicts: Journal, progress: Progress
    ) -> None:
        self._planned = planned
        self._samples = samples
        self._verdicts = verdicts
        self._progress = progress
        self._judge = Judge(self._deliver)
        self._generated = 0
        self._failed: dict[str, int] = {}

    def ask(self, engine: Engine, missing: Sequence[PlannedRequest]) -> None:
        """Send every missing request and take the results as they finish."""
        for result in _results(engine, missing):
            item = self._planned[result.id]
            if isinstance(result, Failure):
                self._failed[item.plan.task.name] = self._failed.get(item.plan.task.name, 0) + 1
                log.error("%s was not answered: %s", result.id, result.message)
                continue
            record = _record(item, result)
            self._samples.append(record.to_json())
            self._generated += 1
            self._progress.generated(record)
            self.judge(record)

    def judge(self, record: SampleRecord) -> None:
        """Queue a record for its verdict."""
        self._judge.submit(self._planned[record.id].plan.verifier, record)

    def close(self) -> None:
        """Wait for outstanding verdicts."""
        self._judge.finish()

    def cancel(self) -> None:
        """Leave queued verdicts to the session that goes on."""
        self._judge.cancel()

    def count(self) -> SessionCount:
        """Return what was done."""
        return SessionCount(self._generated, self._failed)

    def _deliver(self, record: SampleRecord, verdict: VerdictRecord) -> None:
        self._verdicts.append(verdict.to_json())
        metric = self._planned[record.id].plan.task.metric
        self._progress.judged(record, doc_value(metric, verdict.verdicts))


def _results(engine: Engine, missing: Sequence[PlannedRequest]) -> Iterator[Generation | LogLikelihoods | Failure]:
    requests = [planned.request for planned in missing]
    generations = [request for request in requests if isinstance(request, GenerateRequest)]
    rankings = [request for request in requests if isinstance(request, LogLikelihoodRequest)]
    streams: list[Iterator[Generation | LogLikelihoods | Failure]] = []
    if rankings:
        streams.append(engine.loglikelihood(rankings))
    if generations:
        streams.append(engine.generate(generations))
    return chain.from_iterable(streams)


def _record(item: _Planned, result: Generation | LogLikelihoods) -> SampleRecord:
    planned = item.planned
    common = SampleRecord(
        result.id,
        item.key,
        planned.task,
        planned.subtask,
        planned.doc,
        planned.request.prompt,
        planned.reference,
        result.prompt_tokens,
    )
    if isinstance(result, Generation):
        return replace(common, completions=result.samples)
    continuations = planned.request.continuations if isinstance(planned.request, LogLikelihoodRequest) else ()
    return replace(common, continuations=continuations, loglikelihoods=result.values, tokens=result.tokens)


def _matching(
    found: Mapping[str, SampleRecord], planned: Mapping[str, _Planned], folder: RunFolder
) -> dict[str, SampleRecord]:
    """Return the journaled answers to planned requests.

    Raises:
        RunMismatch: the same request id was asked of another model, or with another prompt or sampling.
    """
    for name, record in found.items():
        if name in planned and planned[name].key != record.key:
            raise RunMismatch(
                f"{folder.path} holds {name} from another model, prompt or sampling: use another --output, or delete it"
            )
    return {name: record for name, record in found.items() if name in planned}


def _starts(plans: Sequence[TaskPlan], answered: Mapping[str, SampleRecord]) -> dict[str, TaskStart]:
    return {
        plan.task.name: TaskStart(len(plan.requests), sum(request.request.id in answered for request in plan.requests))
        for plan in plans
    }

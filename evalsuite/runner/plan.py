"""Tasks → every request of a run, before a model is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from evalsuite.data.exemplars import load_exemplars
from evalsuite.data.load import Doc, LoadedRows, load_docs
from evalsuite.engines.base import GenerateRequest, LogLikelihoodRequest, Sampling
from evalsuite.errors import InvalidTask, blaming
from evalsuite.prompts.render import PromptRenderer, render_continuations, render_gold, render_target
from evalsuite.runner.results import Summarise, summarise_task
from evalsuite.runner.win_rate import summariser
from evalsuite.runs.records import prompt_to_json
from evalsuite.tasks.model import Task
from evalsuite.verifiers.base import LogLikelihoodVerifier, TextVerifier, Verifier
from evalsuite.verifiers.isolated import Isolated, load_bounded
from evalsuite.verifiers.judged import ModelGraded

__all__ = ["PlannedRequest", "TaskPlan", "plan_task", "prompts_hash", "request_seed", "spread"]


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request with everything needed to judge its answer."""

    request: GenerateRequest | LogLikelihoodRequest
    task: str
    subtask: str
    doc: str
    reference: Any
    gold: str | None
    """The right completion where the task file spells one out."""
    more: tuple[GenerateRequest | LogLikelihoodRequest, ...] = ()
    """Further requests about the same doc; the doc is judged, and journaled, when all of them are answered."""

    @property
    def asked(self) -> tuple[GenerateRequest | LogLikelihoodRequest, ...]:
        """Every request about the doc, in the order in which answers are judged."""
        return (self.request, *self.more)

    def key(self, model_digest: str) -> str:
        """Return 16 hex digits over model, prompt and sampling: an answer is reused only under the same key."""
        content = [model_digest, *chain.from_iterable(map(_content, self.asked))]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task with its rows read, its prompts rendered and its verifier built."""

    task: Task
    verifier: Verifier[Any]
    rows: LoadedRows
    exemplars_hash: str | None
    partial: str
    """Why this is not the published benchmark: rows or exemplars that a mirror declares not to have; else empty."""
    requests: tuple[PlannedRequest, ...]
    summarise: Summarise = summarise_task
    """How verdicts become the task's result."""

    def inside(self, sandbox: str) -> TaskPlan:
        """Return the same plan, its verifier running programs inside the outer layer ``sandbox``."""
        return replace(self, verifier=self.verifier.inside(sandbox))


def plan_task(task: Task, *, mirror: Path | None, limit: int | None, chat: bool, seed: int) -> TaskPlan:
    """Read a task's rows and render every request.

    ``limit`` keeps the first docs of the task, spread evenly over its subtasks. ``chat`` says whether the model has a
    chat template. ``seed`` is the run's seed; each request gets a seed of its own from it.
    """
    verifier = _verifier(task)
    rows = load_docs(task, mirror)
    subtasks = sorted({doc.subtask for doc in rows.docs})
    exemplars = load_exemplars(task, mirror, subtasks)
    renderers = {name: PromptRenderer(task, exemplars.of(name), chat) for name in subtasks}
    asked = [doc for number, doc in enumerate(rows.docs) if number not in exemplars.held_out]
    docs = asked if limit is None else spread(asked, limit)
    sampling = _sampling(task)
    requests = tuple(_request(renderers[doc.subtask], doc, sampling, seed) for doc in docs)
    partial = "; ".join(filter(None, [rows.partial, exemplars.partial]))
    return TaskPlan(task, verifier, rows, exemplars.sha256, partial, requests, summariser(task, mirror))


def _verifier(task: Task) -> Verifier[Any]:
    """Return the task's verifier, which must fit what the task has for it: text or log-probabilities, and judges."""
    with blaming(task.path):
        verifier = load_bounded(task.verifier.name, task.verifier.params)
    judging = verifier.inner if isinstance(verifier, Isolated) else verifier
    if task.continuations is None and isinstance(judging, LogLikelihoodVerifier):
        raise InvalidTask(f"{task.path}: verifier {task.verifier.name} compares 'continuations', which are missing")
    if task.continuations is not None and isinstance(judging, TextVerifier | ModelGraded):
        raise InvalidTask(f"{task.path}: 'continuations' are compared by most_likely or mc2, not {task.verifier.name}")
    asked = judging.templates.keys() if isinstance(judging, ModelGraded) else frozenset()
    for name in sorted(asked ^ task.judge.keys()):
        what = ", which its verifier asks, is not described" if name in asked else " is one its verifier never asks"
        raise InvalidTask(f"{task.path}: judge.{name}{what}")
    return verifier


def spread(docs: Sequence[Doc], limit: int) -> list[Doc]:
    """Return the first ``limit`` docs, taking turns between subtasks, in dataset order."""
    turns: dict[str, int] = {}
    ranked = []
    for position, doc in enumerate(docs):
        turn = turns[doc.subtask] = turns.get(doc.subtask, -1) + 1
        ranked.append((turn, position))
    chosen = sorted(position for _, position in sorted(ranked)[:limit])
    return [docs[position] for position in chosen]


def prompts_hash(requests: Sequence[PlannedRequest]) -> str:
    """Return 16 hex digits over every prompt of a task, in order: the golden value of ``evalsuite check``."""
    digest = hashlib.sha256()
    for planned in requests:
        request = planned.request
        continuations = request.continuations if isinstance(request, LogLikelihoodRequest) else ()
        digest.update(json.dumps([prompt_to_json(request.prompt), continuations], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def request_seed(seed: int, request_id: str) -> int:
    """Return a request's own 31-bit seed from the run's."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{request_id}".encode()).digest()[:4], "big") >> 1


def _content(request: GenerateRequest | LogLikelihoodRequest) -> tuple[Any, Any]:
    """Return what decides the answer to a request: prompt, and sampling or continuations."""
    if isinstance(request, GenerateRequest):
        sampling = {name: getattr(request.sampling, name) for name in Sampling.__slots__}
        return prompt_to_json(request.prompt), sampling
    return prompt_to_json(request.prompt), request.continuations


def _request(renderer: PromptRenderer, doc: Doc, sampling: Sampling, seed: int) -> PlannedRequest:
    task = renderer.task
    request_id = "/".join(filter(None, [task.name, doc.subtask, doc.id]))
    prompt = renderer.render(doc.row)
    continuations = render_continuations(task, doc.row, prompt)
    request: GenerateRequest | LogLikelihoodRequest
    if continuations:
        request = LogLikelihoodRequest(request_id, prompt, continuations)
    else:
        drawn = replace(sampling, seed=request_seed(seed, request_id)) if sampling.temperature else sampling
        request = GenerateRequest(request_id, prompt, drawn)
    reference = render_target(task, doc.row)
    return PlannedRequest(request, task.name, doc.subtask, doc.id, reference, render_gold(task, doc.row))


def _sampling(task: Task) -> Sampling:
    """Return how a task's answers are decoded; where they are drawn, each request has a seed of its own."""
    fields = task.sampling.model_dump() | {"max_tokens": task.max_tokens}
    return Sampling(**{**fields, "stop": tuple(fields["stop"])})

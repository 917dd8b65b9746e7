"""Saved completions in, verdicts out: one line out for every line in, whatever a line holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from os import cpu_count
from pathlib import Path
from typing import Any

from evalsuite.data.load import load_docs
from evalsuite.prompts.render import render_target
from evalsuite.runner.results import doc_value
from evalsuite.tasks.model import Metric, Task
from evalsuite.verifiers.base import Verifier
from evalsuite.verifiers.verdict import Outcome, Verdict

__all__ = ["ReferenceOf", "references_in_line", "references_of_task", "verify_lines"]

ReferenceOf = Callable[[Mapping[str, Any]], Any]
"""Finds the reference for a line's object; raises ``LookupError`` with a reason."""

_AT_ONCE = 1024


def verify_lines(
    lines: Iterable[str], verifier: Verifier[Any], reference_of: ReferenceOf, metric: Metric
) -> Iterator[dict[str, Any]]:
    """Yield each line's object with ``score``, ``outcome``, ``extracted`` and ``reason`` added, in order.

    A ``completion`` that is a list of strings is scored by ``metric`` (pass@k), and its ``extracted`` and ``reason``
    are lists. A line that cannot be judged has the outcome ``error`` and a reason; nothing raises.
    """

    def verified(line: str) -> dict[str, Any]:
        return _verified(line, verifier, reference_of, metric)

    remaining = iter(lines)
    with ThreadPoolExecutor(cpu_count()) as pool:
        while chunk := list(islice(remaining, _AT_ONCE)):
            yield from pool.map(verified, chunk) if verifier.runs_in_processes else map(verified, chunk)


def references_in_line(record: Mapping[str, Any]) -> Any:
    """Return the line's own ``reference``."""
    if "reference" not in record:
        raise LookupError("no 'reference' in the line")
    return record["reference"]


def references_of_task(task: Task, mirror: Path | None) -> ReferenceOf:
    """Return a function that finds a task's reference by the line's ``id`` (and ``subtask``, where tasks have them).

    The id is a doc's, or a request's as it stands in a run's ``samples.jsonl``.
    """
    docs = load_docs(task, mirror).docs
    by_id = {(doc.subtask, doc.id): doc for doc in docs}
    by_request = {"/".join(filter(None, [task.name, doc.subtask, doc.id])): doc for doc in docs}

    def find(record: Mapping[str, Any]) -> Any:
        if "id" not in record:
            raise LookupError("no 'id' in the line")
        doc_id = str(record["id"])
        doc = by_id.get((str(record.get("subtask") or ""), doc_id)) or by_request.get(doc_id)
        if doc is None:
            raise LookupError(f"{task.name} has no doc {doc_id!r}")
        return render_target(task, doc.row)

    return find


def _verified(line: str, verifier: Verifier[Any], reference_of: ReferenceOf, metric: Metric) -> dict[str, Any]:
    try:
        record = json.loads(line.rstrip("\r\n"))
    except (ValueError, RecursionError) as problem:
        return _with_verdict({}, Verdict.error(f"bad_line: not JSON: {problem}"))
    if not isinstance(record, dict):
        return _with_verdict({}, Verdict.error("bad_line: not a JSON object"))
    try:
        reference = reference_of(record)
    except LookupError as problem:
        return _with_verdict(record, Verdict.error(f"bad_line: {problem.args[0]}"))
    completion = record.get("completion")
    if isinstance(completion, str):
        return _with_verdict(record, verifier.verify(completion, reference))
    if isinstance(completion, list) and completion and all(isinstance(text, str) for text in completion):
        return _with_verdicts(record, verifier.verify_batch(completion, [reference] * len(completion)), metric)
    return _with_verdict(record, Verdict.error("bad_line: 'completion' must be a string or a list of strings"))


def _with_verdict(record: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    return {
        **record,
        "score": verdict.score,
        "outcome": str(verdict.outcome),
        "extracted": verdict.extracted,
        "reason": verdict.reason,
    }


def _with_verdicts(record: dict[str, Any], verdicts: list[Verdict], metric: Metric) -> dict[str, Any]:
    if metric.name == "pass_at_k" and len(verdicts) < metric.k:
        reason = f"bad_line: pass@{metric.k} needs at least {metric.k} completions, not {len(verdicts)}"
        return _with_verdict(record, Verdict.error(reason))
    value = doc_value(metric, verdicts)
    outcome = Outcome.ERROR if value is None else Verdict.graded(value).outcome
    return {
        **record,
        "score": value,
        "outcome": str(outcome),
        "extracted": [verdict.extracted for verdict in verdicts],
        "reason": [verdict.reason for verdict in verdicts],
    }

"""``--model fake:...``: a run answered from a script, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.engines.base import GenerateRequest, LogLikelihoodRequest
from evalsuite.engines.fake import FakeEngine, Script, echo, scripted
from evalsuite.engines.similarity import CompareRequest
from evalsuite.errors import InvalidInput
from evalsuite.runner.answers import corrupted_answers, gold_answers
from evalsuite.runner.config import RunSettings
from evalsuite.runner.plan import TaskPlan
from evalsuite.verifiers.judged import Judged

__all__ = ["is_scripted", "scripted_engine"]

_PREFIX = "fake:"


def is_scripted(model: str) -> bool:
    """Whether a model's name asks for a script."""
    return model.startswith(_PREFIX)


def scripted_engine(settings: RunSettings, plans: Sequence[TaskPlan]) -> FakeEngine:
    """Return the engine that answers these plans from the script that the model's name asks for.

    Raises:
        InvalidInput: there is no such script, or an engine or its options were asked for.
    """
    _require_no_engine(settings)
    label = settings.model.removeprefix(_PREFIX)
    return FakeEngine(label, _script(label, plans))


def _require_no_engine(settings: RunSettings) -> None:
    if settings.engine not in ("auto", "fake") or settings.engine_options:
        given = [f"--engine {settings.engine}"] if settings.engine not in ("auto", "fake") else []
        given += [f"--set engine.{name}" for name in settings.engine_options]
        raise InvalidInput(f"{settings.model} answers from a script, without an engine: leave out {', '.join(given)}")


def _script(label: str, plans: Sequence[TaskPlan]) -> Script:
    match label:
        case "gold":
            return _lookup(gold_answers(plans))
        case "corrupted":
            return _lookup(corrupted_answers(plans))
        case "echo":
            return echo
    if label.endswith(".jsonl"):
        return scripted(Path(label))
    raise InvalidInput(f"--model fake:{label}: valid are fake:gold, fake:corrupted, fake:echo and fake:REPLIES.jsonl")


def _lookup(answers: Mapping[str, Any]) -> Script:
    def reply(request: GenerateRequest | LogLikelihoodRequest | CompareRequest) -> Any:
        answer = answers.get(request.id)
        return answer.completion if isinstance(answer, Judged) else answer

    return reply

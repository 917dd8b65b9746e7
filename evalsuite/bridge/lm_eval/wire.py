"""What this process and lm-eval's tell each other: plain data that pickles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Aggregate", "DocKey", "DocScores", "Instance", "LeafInfo", "Responses", "Source", "UnitInfo", "WireDoc"]

Responses = tuple[tuple[Any, ...], ...]
"""Per instance of a doc, in lm-eval's order: its texts, or ``((log-likelihood, greedy or None),)``."""


@dataclass(frozen=True, slots=True)
class Source:
    """What was asked for: a name, the options as JSON, and the mirror of the datasets."""

    name: str
    options: str
    mirror: str | None


@dataclass(frozen=True, slots=True)
class LeafInfo:
    """One task of lm-eval's, its docs read."""

    name: str
    rows: int
    sha256: str
    definition: str
    """Hash over the resolved configuration, functions by their source."""
    dataset: str
    places: tuple[str, ...]
    """The dataset and whatever data files it names, by their real paths where they are on this machine."""
    config: str | None
    split: str
    shots: int
    chat: bool
    needs_greedy: bool
    """Whether a metric asks if a continuation is what greedy decoding would have written."""
    metrics: tuple[str, ...]
    """``"metric,filter"`` in lm-eval's order."""


@dataclass(frozen=True, slots=True)
class UnitInfo:
    """What becomes one row of results: a task, or a group that lm-eval aggregates."""

    name: str
    title: str
    leaves: tuple[LeafInfo, ...]
    metrics: tuple[str, ...]
    """``"metric,filter"``, those that are better when higher first."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One of lm-eval's requests. ``context`` is text, or ``((role, content), ...)`` for a chat template."""

    kind: str
    context: str | tuple[tuple[str, str], ...]
    continuation: str
    generation: dict[str, Any] | None
    repeats: int
    gold: str | float
    """An answer that should be right: a text, or a log-likelihood."""


@dataclass(frozen=True, slots=True)
class WireDoc:
    """A doc with its requests; ``sha256`` is that of its row, 16 hex digits."""

    leaf: str
    number: int
    sha256: str
    target: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class DocKey:
    """A doc and the answers to it: what scores are remembered under."""

    leaf: str
    number: int
    answers: str


@dataclass(frozen=True, slots=True)
class DocScores:
    """What lm-eval makes of the answers to one doc.

    ``score`` is the primary metric's as a share in [0, 1], better when higher; ``metrics`` are the plain numbers among
    all metrics by ``"metric,filter"``; ``extracted`` is what the primary metric's filter left of a generated answer.
    """

    score: float
    metrics: dict[str, float]
    extracted: str | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """lm-eval's result for a task or group, by ``"metric,filter"``; ``stderrs`` only where lm-eval has one.

    ``shares`` are the docs' values of the primary metric where all of them are numbers in [0, 1], else empty.
    """

    docs: int
    values: dict[str, float]
    stderrs: dict[str, float]
    higher_is_better: dict[str, bool]
    shares: tuple[float, ...]

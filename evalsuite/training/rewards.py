"""Rewards of a recipe: ``[[rewards]]`` tables to functions over rows and completions, the same for every stage.

A reward is a verifier (through :func:`evalsuite.rewards.reward_function`) or a trained reward model, nothing else. What
a stage gets per completion is a number, or ``None`` where there is no reward: the verifier failed, or the reward is not
for that row. ``None`` is never a zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import TimeoutError
from multiprocessing.pool import ThreadPool
from typing import Any, Literal, Protocol

from pydantic import Field, model_validator

from evalsuite.errors import EvalsuiteError, InvalidRecipe, SplitViolation
from evalsuite.rewards import RewardFunction, RewardScale, reward_function
from evalsuite.split import Split
from evalsuite.tasks.registry import load_task
from evalsuite.training.recipe import Count, Table
from evalsuite.verifiers.registry import load_verifier
from evalsuite.verifiers.verdict import Outcome

__all__ = ["Judged", "Reward", "RewardTable", "Scored", "check_rewards", "make_rewards", "score"]

Row = Mapping[str, Any]


class RewardTable(Table):
    """``[[rewards]]``: one reward; several are added up. Give one of ``verifier``, ``task`` and ``model``."""

    verifier: str | None = None
    """A verifier by name, or ``"my_package.grade:Verify"``."""
    params: dict[str, Any] = Field(default={})
    """The verifier's parameters."""
    task: str | None = None
    """A task whose verifier judges. Never an unseen one."""
    model: str | None = None
    """A reward model: the folder that a ``reward_model`` recipe made, or a Hub id."""
    name: str | None = None
    """What the reward is called in metrics; default the verifier's, task's or folder's name."""
    reference: str = "reference"
    """The column with the reference answers."""
    where: dict[str, str | list[str]] | None = None
    """Only rows whose columns have these values are judged: ``{ dataset = "gsm8k" }``."""
    weight: float = Field(default=1.0, strict=False)
    correct: float = Field(default=1.0, strict=False)
    incorrect: float = Field(default=0.0, strict=False)
    no_answer: float = Field(default=0.0, strict=False)
    partial: Literal["none", "proportional"] = "none"
    without_eos: float | None = Field(default=None, strict=False)
    """Replaces what a completion earns that does not end with an end-of-sequence token (Tülu 3: -10)."""
    timeout: Count = 600
    """Seconds that judging one batch may take before training stops."""

    @model_validator(mode="after")
    def _has_one_judge(self) -> RewardTable:
        if sum(judge is not None for judge in (self.verifier, self.task, self.model)) != 1:
            raise ValueError("give exactly one of verifier, task and model")
        return self

    @property
    def label(self) -> str:
        """The name in metrics."""
        judge = self.verifier or self.task or self.model or ""
        return self.name or re.split(r"[/:]", judge.rstrip("/"))[-1]

    @property
    def values(self) -> dict[str, list[str]]:
        """The values of ``where`` by column, as lists."""
        return {column: [one] if isinstance(one, str) else one for column, one in (self.where or {}).items()}


@dataclass(frozen=True, slots=True)
class Judged:
    """What one reward says of a batch: a number or None each, and whether it was solved (None: no verdict)."""

    rewards: list[float | None]
    solved: list[bool | None]
    reasons: list[str]

    def failed(self, index: int) -> bool:
        """Return whether completion ``index`` was to be judged and was not."""
        return self.rewards[index] is None and bool(self.reasons[index])


class Judge(Protocol):
    """Says what completions are worth."""

    def __call__(self, rows: Sequence[Row], completions: Sequence[str], ids: Sequence[Sequence[int]] | None) -> Judged:
        """Return one value a completion; ``rows[i]`` is the row (with its ``prompt``) behind completion ``i``."""


@dataclass(frozen=True, slots=True)
class Reward:
    """One reward, ready to judge; ``weight`` is already in its numbers."""

    name: str
    judge: Judge
    where: Mapping[str, Sequence[str]]
    timeout: float

    def __call__(
        self, rows: Sequence[Row], completions: Sequence[str], ids: Sequence[Sequence[int]] | None = None
    ) -> Judged:
        """Judge the completions of the rows this reward is for, and say None for the others.

        ``ids`` are the completions' tokens, with the end-of-sequence token where one was drawn.

        Raises:
            EvalsuiteError: judging took too long, or failed for every single completion.
        """
        chosen = [index for index, row in enumerate(rows) if _is_for(row, self.where)]
        found = Judged([None] * len(rows), [None] * len(rows), [""] * len(rows))
        if not chosen:
            return found
        picked = [ids[index] for index in chosen] if ids is not None else None
        judged = _within(
            self.timeout,
            self.name,
            lambda: self.judge([rows[i] for i in chosen], [completions[i] for i in chosen], picked),
        )
        if all(reward is None for reward in judged.rewards):
            reason = judged.reasons[0] or "no reason"
            raise EvalsuiteError(f"reward {self.name!r} failed on all {len(chosen)} completions of a batch ({reason})")
        for position, index in enumerate(chosen):
            found.rewards[index] = judged.rewards[position]
            found.solved[index] = judged.solved[position]
            found.reasons[index] = judged.reasons[position]
        return found


def _is_for(row: Row, where: Mapping[str, Sequence[str]]) -> bool:
    return all(str(row.get(column)) in values for column, values in where.items())


@dataclass(frozen=True, slots=True)
class Scored:
    """What all rewards say of a batch.

    ``totals[i]`` is the sum over the rewards that are for completion ``i``, None where there is none or one failed: the
    others alone would make a failure worth nothing. ``solved`` is the share of correct verdicts by reward, over the
    completions it judged.
    """

    totals: list[float | None]
    solved: dict[str, float]
    judged: dict[str, Judged]


def score(
    rewards: Sequence[Reward],
    rows: Sequence[Row],
    completions: Sequence[str],
    ids: Sequence[Sequence[int]] | None = None,
) -> Scored:
    """Return what completions are worth in all; see :class:`Scored`."""
    judged = {reward.name: reward(rows, completions, ids) for reward in rewards}
    totals: list[float | None] = []
    for index in range(len(completions)):
        values = [found.rewards[index] for found in judged.values()]
        known = [value for value in values if value is not None]
        failed = any(found.failed(index) for found in judged.values())
        totals.append(sum(known) if known and not failed else None)
    return Scored(
        totals, {name: rate for name, found in judged.items() if (rate := solve_rate(found)) is not None}, judged
    )


def solve_rate(judged: Judged) -> float | None:
    """Return the share of correct verdicts, None without any verdict."""
    known = [solved for solved in judged.solved if solved is not None]
    return sum(known) / len(known) if known else None


def check_rewards(tables: Sequence[RewardTable], rows: Sequence[Row]) -> None:
    """Make sure, before a model is loaded, that every reward exists, stays on its side of the wall, and has its column.

    Raises:
        SplitViolation: a reward of an unseen task.
        UnknownName: no such verifier, parameter or task.
        InvalidRecipe: two rewards of one name, a column that the rows lack, a reward without rows or rows without one.
    """
    names = [table.label for table in tables]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRecipe(f"two rewards are called {name!r}: give one of them another 'name'")
    for table in tables:
        if table.model is None:
            verifier_reward(table, eos_token_ids=(0,))
        wanted = [*(table.where or {}), *([] if table.model else [table.reference])]
        for column in wanted:
            if rows and column not in rows[0]:
                known = ", ".join(sorted(rows[0]))
                raise InvalidRecipe(f"reward {table.label!r}: the rows have no column {column!r} (they have {known})")
    if rows and tables:
        _require_rewards_and_rows_to_meet(tables, rows)


def _require_rewards_and_rows_to_meet(tables: Sequence[RewardTable], rows: Sequence[Row]) -> None:
    """A value that is misspelt in ``where`` would leave its rows out of training, and nothing would say so."""
    for table in tables:
        if not any(_is_for(row, table.values) for row in rows):
            found = {column: sorted({str(row.get(column)) for row in rows})[:10] for column in table.values}
            raise InvalidRecipe(
                f"reward {table.label!r} is for none of the {len(rows)} rows: where = {table.values}, they have {found}"
            )
    without = [row for row in rows if not any(_is_for(row, table.values) for table in tables)]
    if without:
        columns = {column: without[0].get(column) for table in tables for column in table.values}
        raise InvalidRecipe(
            f"{len(without)} of {len(rows)} rows are for no reward, the first with {columns}: write one for them under "
            f"[[rewards]], or leave them out with data.where"
        )


def make_rewards(
    tables: Sequence[RewardTable], *, eos_token_ids: Sequence[int], device: str = "cpu"
) -> tuple[Reward, ...]:
    """Return the rewards of a recipe; reward models are loaded when they are first needed."""
    return tuple(_make(table, eos_token_ids, device) for table in tables)


def _make(table: RewardTable, eos_token_ids: Sequence[int], device: str) -> Reward:
    if table.model is not None:
        from evalsuite.training.reward_scores import RewardModelJudge

        judge: Judge = RewardModelJudge(table.model, table.weight, device)
    else:
        judge = _VerifierJudge(verifier_reward(table, eos_token_ids=eos_token_ids))
    return Reward(table.label, judge, table.values, table.timeout)


def verifier_reward(table: RewardTable, *, eos_token_ids: Sequence[int]) -> RewardFunction:
    """Return the reward function of a table with a verifier or a task."""
    if table.task is not None:
        task = load_task(table.task)
        if task.split == Split.UNSEEN:
            raise SplitViolation(f"[[rewards]] task = {table.task!r}: an unseen task cannot be a reward")
        verifier = load_verifier(task.verifier.name, **{**task.verifier.params, **table.params})
    else:
        verifier = load_verifier(table.verifier or "", **table.params)
    scale = RewardScale(table.correct, table.incorrect, table.no_answer, table.partial, table.without_eos)
    ends = eos_token_ids if table.without_eos is not None else ()
    return reward_function(
        verifier, reference=table.reference, name=table.label, scale=scale, weight=table.weight, eos_token_ids=ends
    )


@dataclass(frozen=True, slots=True)
class _VerifierJudge:
    reward: RewardFunction

    def __call__(self, rows: Sequence[Row], completions: Sequence[str], ids: Sequence[Sequence[int]] | None) -> Judged:
        references = [row[self.reward.reference] for row in rows]
        verdicts = self.reward.verdicts(completions, references)
        rewards = self.reward.scored(completions, references, verdicts, ids)
        solved = [None if v.outcome == Outcome.ERROR else v.outcome == Outcome.CORRECT for v in verdicts]
        return Judged(rewards, solved, [verdict.reason for verdict in verdicts])


def _within(seconds: float, name: str, work: Callable[[], Judged]) -> Judged:
    """Return what ``work`` returns; it has a thread of its own, because code that hangs cannot be interrupted."""
    pool = ThreadPool(1)  # its threads are daemons: one that hangs does not keep the program from ending
    try:
        return pool.apply_async(work).get(seconds)
    except TimeoutError as problem:
        raise EvalsuiteError(
            f"reward {name!r} did not judge a batch within {seconds:g} s (rewards.timeout)"
        ) from problem
    finally:
        pool.close()

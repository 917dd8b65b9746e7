"""What every training stage is: a recipe class and a function from a :class:`Context` to an :class:`Outcome`.

The context brings everything that has been decided before a model is loaded: rows, starting point, folder, steps. The
stage trains, tells ``context.report`` about every step and ``context.saved`` about every checkpoint, and leaves weights
and tokenizer in ``context.folder.path``. Everything else (seeds, threads, cards, provenance, metrics files, evaluation,
rotation, messages for what goes wrong) is done once, around it, by :mod:`evalsuite.training.run`.

A new stage is one module and one line in :mod:`evalsuite.training.stages`::

    class MineRecipe(Recipe):
        columns = (("prompt",),)
        stage: Literal["mine"]
        init: str

    def train_mine(context: Context[MineRecipe]) -> Outcome: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from evalsuite.data.load import Row
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.recipe import Recipe

__all__ = ["Context", "Outcome", "Progress", "Stage", "Step"]

R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True, slots=True)
class Step:
    """One row of ``metrics.jsonl``: how training is doing after ``step`` of ``steps`` optimizer steps.

    What a stage does not have stays ``None`` and is left out of the file. Units: ``seconds`` since this session of the
    run began, ``kl`` and ``entropy`` in nats a token (``kl`` to the reference), ``length`` in tokens a completion,
    ``tokens`` processed since step 0 and ``tokens_per_second`` over the steps since the last row.
    """

    step: int
    steps: int
    loss: float
    seconds: float = 0.0
    learning_rate: float | None = None
    grad_norm: float | None = None
    reward: float | None = None
    """Mean reward of the completions of the step, before any penalty for divergence."""
    solved: Mapping[str, float] = field(default_factory=dict)
    """Per reward: share of its completions that its verifier found correct."""
    kl: float | None = None
    entropy: float | None = None
    length: float | None = None
    truncated: float | None = None
    """Share of completions that the token limit cut off."""
    accuracy: float | None = None
    """Share of pairs (or tokens) the model gets right."""
    margin: float | None = None
    """Mean reward of the chosen answers less that of the rejected ones."""
    tokens: int | None = None
    tokens_per_second: float | None = None
    evaluation: Mapping[str, float] = field(default_factory=dict)
    """Per development task: score of the checkpoint saved at this step."""
    more: Mapping[str, float] = field(default_factory=dict)
    """Whatever else the stage measures, by its own names (``clip_fraction``, ``value_loss``)."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as written: nested ``solved``, ``evaluation`` and ``more``, nothing that is empty."""
        row = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in row.items()
            if value not in (None, {})
        }


Progress = Callable[[Step], None]
"""Is told of every logged step, and of evaluations; the command line draws it."""


@dataclass(frozen=True, slots=True)
class Context(Generic[R]):
    """Everything a stage is given.

    Attributes:
        name: the recipe's name, for messages.
        recipe: the resolved recipe.
        rows: the training rows, in the order of ``[data]``, with the columns the stage asks for.
        start: folder or Hub id whose weights training starts from (always a path that can be read again: a reference
            model is read from it, too); None for a new model.
        folder: where everything goes; ``folder.checkpoint(step)`` names a checkpoint's folder.
        resume: the complete checkpoint to go on from, or None.
        report: call it once every ``recipe.log.every`` steps, on every process. Raises when a loss is no number.
        saved: call it on every process with a checkpoint's folder and step once weights, tokenizer and the stage's own
            state are in it. It writes card and provenance (the mark of a complete checkpoint), removes what is too old,
            and evaluates when it is time (``due(step)`` says when a checkpoint has to be saved).
        keep_samples: call it with step and rows (``prompt``, ``completion``, ``reward``) for ``samples.jsonl``.
    """

    name: str
    recipe: R
    rows: Sequence[Row]
    start: str | None
    folder: TrainingFolder
    resume: Path | None
    report: Callable[[Step], None]
    saved: Callable[[Path, int], None]
    keep_samples: Callable[[int, Sequence[Mapping[str, Any]]], None]

    def due(self, step: int) -> bool:
        """Return whether a checkpoint is to be saved after ``step``: it is time, or an evaluation wants one."""
        evaluation = self.recipe.evaluation
        wanted = evaluation is not None and step % evaluation.every == 0
        return wanted or (step % self.recipe.save_every == 0 and step < self.recipe.steps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage has to say when it is done; its weights are in the folder.

    ``steps`` were taken in all, ``loss`` is that of the last logged one, ``parameters`` the size of the model.
    """

    steps: int
    loss: float
    parameters: int
    more: Mapping[str, Any] = field(default_factory=dict)
    """For the provenance record: anything else that decided the weights (number of pairs, rounds)."""


@dataclass(frozen=True, slots=True)
class Stage(Generic[R]):
    """A way to train, by the name recipes call it."""

    recipe: type[R]
    run: Callable[[Context[R]], Outcome]
    trl_config: str | None = None
    """The class of TRL whose arguments a ``[trl]`` table may give; None for a stage without TRL."""

"""Around every stage: metrics, checkpoints, cards, development evaluation, and one line for whatever goes wrong."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalsuite.errors import EvalsuiteError, UserError
from evalsuite.runner.evaluate import evaluate
from evalsuite.training.checkpoint import Provenance, write_card
from evalsuite.training.failures import explain_failure
from evalsuite.training.folder import TrainingFolder
from evalsuite.training.metrics_log import MetricsLog, append_rows, drop_rows_after, open_sinks
from evalsuite.training.processes import is_main_process, whole_models
from evalsuite.training.recipe import Evaluation, Recipe
from evalsuite.training.stage import Progress, Step

__all__ = ["Session"]

log = logging.getLogger("evalsuite")


@dataclass
class Session:
    """The listeners of one training run; ``report``, ``saved`` and ``keep_samples`` are what a stage is given."""

    recipe: Recipe
    folder: TrainingFolder
    provenance: Provenance
    progress: Progress
    data: Path | None = None
    _log: MetricsLog | None = None
    _last: Step | None = None
    _began: float = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Open the metrics, and turn what a stage raises into one line that also says what is left to go on from.

        Raises:
            EvalsuiteError: training failed; complete checkpoints stay.
        """
        try:
            if is_main_process():
                self._log = self._open_log()
            self._began = time.monotonic()
            yield
        except (Exception, KeyboardInterrupt) as problem:
            if is_main_process():
                self.folder.sweep()
            self._raise_explained(problem)
            raise
        finally:
            if self._log is not None:
                self._log.close()

    def _open_log(self) -> MetricsLog:
        """Make the folder what it was at the step to go on from, with no more checkpoints than are to be kept."""
        for one in (self.folder, *self.folder.rounds()):
            one.rotate(self.recipe.checkpoints.keep, self.folder.best())
        step = self.folder.resume_step()
        for path in (self.folder.metrics, self.folder.samples):
            drop_rows_after(path, step)
        path, config = self.folder.path, self.provenance["recipe"]
        sinks = open_sinks(self.recipe.log.to, path, path.name, config, after=step)
        return MetricsLog(self.folder.metrics, sinks)

    def report(self, step: Step) -> None:
        """Write a step down and tell who listens; every process stops when the loss is no number."""
        timed = replace(step, seconds=round(time.monotonic() - self._began, 3))
        self._last = timed
        if self._log is not None:
            self._log.write(timed)
            self.progress(timed)
        elif not abs(step.loss) < float("inf"):
            raise EvalsuiteError(f"the loss is {step.loss} at step {step.step}: lower optimizer.learning_rate")

    def keep_samples(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append some completions to ``samples.jsonl``, from all over the batch: those of one prompt stand together."""
        wanted = self.recipe.log.samples
        if is_main_process() and wanted:
            apart = max(1, len(rows) // wanted)
            append_rows(self.folder.samples, [{"step": step, **row} for row in rows[::apart][:wanted]])

    def saved(self, checkpoint: Path, step: int) -> None:
        """Complete a checkpoint; see :class:`evalsuite.training.stage.Context`."""
        if not is_main_process():
            return
        loss = self._last.loss if self._last else 0.0
        write_card(checkpoint, {**self.provenance, "steps": step, "final_loss": loss})
        (checkpoint.parent / "README.md").unlink(missing_ok=True)  # TRL's, of no checkpoint in particular
        evaluation = self.recipe.evaluation
        if evaluation is not None and int(checkpoint.name.rpartition("-")[2]) % evaluation.every == 0:
            self._note(checkpoint, step, self.evaluate(checkpoint, step, evaluation))
        # A stage with rounds has a folder for each, with checkpoints of its own.
        TrainingFolder(checkpoint.parent.parent).rotate(self.recipe.checkpoints.keep, self.folder.best())

    def _note(self, checkpoint: Path, step: int, scores: Mapping[str, float]) -> None:
        if not scores:
            log.warning("%s has no development score: see %s", checkpoint.name, self.folder.evaluation(step))
            return
        self.folder.note_score(checkpoint, step, sum(scores.values()) / len(scores))
        if self._last is not None:
            self.report(replace(self._last, step=step, evaluation=scores))

    def evaluate(self, checkpoint: Path, step: int, evaluation: Evaluation) -> dict[str, float]:
        """Return the development scores of a checkpoint by task; random states are left as they were found."""
        with untouched_randomness(), whole_models():
            results = evaluate(
                str(checkpoint),
                evaluation.tasks,
                engine=evaluation.engine,
                limit=evaluation.limit,
                data=self.data,
                output=self.folder.evaluation(step),
                seed=self.recipe.seed,
            )
        return {result.task: result.estimate.score for result in results.tasks if result.estimate is not None}

    def take_best(self) -> dict[str, Any]:
        """Put the weights of the best checkpoint where the finished model lies, and return whose they are."""
        source = self.folder.best()
        if source is None:
            return {}
        for old in self.folder.path.glob("*.safetensors*"):
            old.unlink()
        for weights in source.glob("model*.safetensors*"):
            shutil.copy2(weights, self.folder.path / weights.name)
        record = json.loads((self.folder.path / "best.json").read_text(encoding="utf-8"))
        return {"weights_of": {"step": record["step"], "development_score": record["score"]}}

    def _raise_explained(self, problem: BaseException) -> None:
        """Raise what the user is to be told, if it is a failure that was foreseen."""
        explained = explain_failure(problem, self._last)
        if isinstance(explained, UserError):
            raise explained from problem
        if explained is not None:
            raise type(explained)(f"{explained}; {self._what_is_left()}") from problem

    def _what_is_left(self) -> str:
        latest = next(
            (found for one in (*reversed(self.folder.rounds()), self.folder) if (found := one.latest())), None
        )
        if latest is None:
            return f"no checkpoint had been saved yet in {self.folder.path}"
        return f"the last good checkpoint is {latest} (--resume goes on from it)"


@contextlib.contextmanager
def untouched_randomness() -> Iterator[None]:
    """Give back the random states of Python, NumPy and torch as they were, and torch's number of threads."""
    import random

    import numpy
    import torch

    python, threads = random.getstate(), torch.get_num_threads()
    arrays = numpy.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            numpy.random.set_state(arrays)
            torch.set_num_threads(threads)

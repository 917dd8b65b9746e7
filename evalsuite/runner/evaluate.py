"""One evaluation from start to finish: the function behind ``evalsuite run``."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from evalsuite.engines.base import Engine
from evalsuite.engines.factory import create_engine
from evalsuite.errors import EvalsuiteError, InvalidInput
from evalsuite.runner.config import JudgeChoice, ModelRecord, RunSettings, digest_of, make_config, require_same_run
from evalsuite.runner.judge_phase import judge_run, references_of, unjudged, warn_unjudged, with_usage
from evalsuite.runner.judges import OpenJudge, choose_judges, judges_to_json, needed_judges, open_judges
from evalsuite.runner.origins import plan_any_task, require_data
from evalsuite.runner.plan import TaskPlan
from evalsuite.runner.progress import Progress, Silent
from evalsuite.runner.results import RunResults
from evalsuite.runner.scripted import is_scripted, scripted_engine
from evalsuite.runner.selection import for_each_with_data, leave_out, select_tasks
from evalsuite.runner.session import SessionCount, run_session
from evalsuite.runner.win_rate import LengthControlled
from evalsuite.runs.folder import RunFolder
from evalsuite.runs.log import logging_to
from evalsuite.runs.looks import DEFAULT_LEDGER, Look, record_look, require_reason, unseen_hashes
from evalsuite.sandbox import Level, chosen_outer_layer, require
from evalsuite.tasks.model import Task

__all__ = ["data_mirror", "evaluate"]

log = logging.getLogger("evalsuite")


def evaluate(
    model: str,
    tasks: str | Sequence[str] | None = None,
    *,
    suite: str | None = None,
    without: Sequence[str] = (),
    engine: str = "auto",
    limit: int | None = None,
    data: str | Path | None = None,
    output: str | Path | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    unseen_reason: str = "",
    ledger: str | Path = DEFAULT_LEDGER,
    judges: Mapping[str, str | JudgeChoice] | None = None,
    defer_judging: bool = False,
    sandbox: str = "",
    progress: Progress | None = None,
) -> RunResults:
    """Evaluate a model and return its results; everything is also in the run folder.

    Args:
        model: a path, a Hub id, ``"demo"``, or a scripted ``"fake:gold"``.
        tasks: names, paths of task files, lm-eval's as ``lm-eval/NAME``; one string may be several with commas.
        suite: instead of ``tasks``, every task of a suite; ``without`` names tasks or groups to leave out.
        engine: ``auto``, ``vllm``, ``transformers`` or ``openai``.
        limit: keep the first docs of each task, spread over its subtasks.
        data: a mirror directory; default the environment's ``EVALSUITE_DATA``, else packages and the Hub.
        output: the run folder, continued if it holds an unfinished run of the same; default one in ``runs/``.
        seed: for sampled decoding and for the bootstrap.
        overrides: dotted keys of tasks (``"sampling.max_tokens"``), the engine's and lm-eval's (``"engine.dtype"``).
        unseen_reason: why unseen tasks are looked at; needed if there are any, and written down in ``ledger``.
        judges: the model (path, Hub id, ``"fake:gold"``) of each judge that the tasks need, by the judge's name.
        defer_judging: generate only, ``evalsuite score`` judges later.
        sandbox: ``none``, ``bwrap``, ``docker:IMAGE`` or ``podman:IMAGE``; default ``EVALSUITE_SANDBOX``, else none.
        progress: listener; default silent.

    Raises:
        SplitViolation: a task is unseen and no reason was given; nothing was run.
        UserError: something asked for does not exist or does not fit together; nothing was run.
        EngineError: the model could not be loaded, or died; what was finished is in the folder.
    """
    settings = RunSettings(
        model=model,
        engine=engine,
        limit=limit,
        data=data_mirror(data),
        output=Path(output) if output else None,
        seed=seed,
        overrides=overrides or {},
        unseen_reason=unseen_reason,
        ledger=Path(ledger),
        judges=JudgeChoice.all_of(judges or {}),
        defer_judging=defer_judging,
        sandbox=sandbox,
    )
    selected = leave_out(select_tasks(tasks, suite, settings.task_overrides, settings.data), without)
    _require_possible(settings)
    require_reason(selected, unseen_reason, settings.ledger)
    return _Evaluation(settings, selected, suite, progress or Silent()).run()


def _require_possible(settings: RunSettings) -> None:
    if settings.limit is not None and settings.limit < 1:
        raise InvalidInput(f"--limit {settings.limit}: give a number of docs of at least 1")
    if settings.sandbox:
        require(Level.BASIC, chosen_outer_layer(settings.sandbox))


def data_mirror(given: str | Path | None) -> Path | None:
    """Return the mirror directory: the one given, else the environment's ``EVALSUITE_DATA``."""
    chosen = given or os.environ.get("EVALSUITE_DATA")
    if not chosen:
        return None
    path = Path(chosen)
    if not path.is_dir():
        raise InvalidInput(f"data mirror {path} is not a directory (--data or EVALSUITE_DATA)")
    return path


class _Evaluation:
    """The stages of one evaluation, in the order they happen."""

    def __init__(self, settings: RunSettings, tasks: Sequence[Task], suite: str | None, progress: Progress) -> None:
        self.settings = settings
        self.tasks = tasks
        self.judges = choose_judges(tasks, settings.judges, defer=settings.defer_judging)
        self.label = re.sub(r"[^\w.-]+", "-", suite or "-".join(task.name for task in tasks))[:40]
        self.progress = progress

    def run(self) -> RunResults:
        """Load → render → generate → verify → summarise."""
        engine, plans = self._prepare()
        judges: dict[str, OpenJudge] = {}
        try:
            self._require_metrics(plans)
            judges = open_judges(self.judges, needed_judges(self.tasks), references_of(plans))
            model = ModelRecord.of(engine, self.settings.seed)
            folder = self._folder(model)
            with folder.exclusive(), logging_to(folder.log_path):
                require_same_run(folder, model, plans)
                config = make_config(self.settings, model, judges_to_json(judges), plans, folder.config())
                folder.write_config(config)
                self._record_look(model, config["run"])
                return self._execute(engine, judges, plans, model.digest, folder)
        finally:
            engine.close()
            for judge in judges.values():
                judge.close()

    def _require_metrics(self, plans: Sequence[TaskPlan]) -> None:
        """Notice before anything is generated that a score could not be computed in the end."""
        for plan in plans:
            if isinstance(plan.summarise, LengthControlled) and not self.settings.defer_judging:
                plan.summarise.require(plan.task)

    def _record_look(self, model: ModelRecord, run: str) -> None:
        settings, unseen = self.settings, unseen_hashes(self.tasks)
        if unseen:
            look = Look.now("run", settings.model, model.hash, unseen, settings.unseen_reason, run)
            record_look(settings.ledger, look)

    def _prepare(self) -> tuple[Engine, list[TaskPlan]]:
        for_each_with_data(self.tasks, lambda task: require_data(task, self.settings.data))  # the rows take their time
        if is_scripted(self.settings.model):
            plans = self._plans(chat=True)
            return scripted_engine(self.settings, plans), plans
        engine = create_engine(self.settings.engine, self.settings.model, self.settings.engine_options)
        if not engine.has_chat_template and any(task.format.chat for task in self.tasks):
            log.warning("%s has no chat template: chat tasks are sent as raw text", self.settings.model)
        return engine, self._plans(chat=engine.has_chat_template)

    def _plans(self, *, chat: bool) -> list[TaskPlan]:
        settings = self.settings

        def plan(task: Task) -> TaskPlan:
            made = plan_any_task(task, mirror=settings.data, limit=settings.limit, chat=chat, seed=settings.seed)
            return made.inside(settings.sandbox)

        return for_each_with_data(self.tasks, plan)

    def _folder(self, model: ModelRecord) -> RunFolder:
        path = self.settings.output
        if path is None:
            name = re.sub(r"[^A-Za-z0-9.]+", "-", Path(self.settings.model).name).strip("-")
            tag = digest_of([model.digest, [task.content_hash for task in self.tasks]])[:8]
            path = Path("runs") / f"{name}-{self.label}-{tag}"
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise InvalidInput(f"--output {path} cannot be made: {problem.strerror}") from problem
        return RunFolder(path)

    def _execute(
        self,
        engine: Engine,
        judges: Mapping[str, OpenJudge],
        plans: Sequence[TaskPlan],
        digest: str,
        folder: RunFolder,
    ) -> RunResults:
        began = time.monotonic()
        try:
            count = run_session(plans, engine, digest, folder, self.progress)
            engine.close()  # its memory is the judges' now
            if not self.settings.defer_judging:
                count = count.with_failures(judge_run(plans, judges, folder, self.progress))
            elif waiting := unjudged(plans, folder):
                warn_unjudged(folder, self.tasks, waiting)
        except (EvalsuiteError, KeyboardInterrupt) as problem:
            log.error("%s", _how_to_resume(problem, folder, plans))
            with suppress(EvalsuiteError):  # a full disk, say: the first problem is the one to tell
                self._summarise(plans, SessionCount(0, {}), folder, time.monotonic() - began)
            raise
        finally:
            self.progress.finished()
        return self._summarise(plans, count, folder, time.monotonic() - began)

    def _summarise(
        self, plans: Sequence[TaskPlan], count: SessionCount, folder: RunFolder, seconds: float
    ) -> RunResults:
        results = summarise_run(folder, plans, count, self.settings, seconds)
        folder.write_results(results.to_json())
        for task in results.tasks:
            for warning in task.warnings:
                log.warning("%s: %s", task.task, warning)
        return results


def summarise_run(
    folder: RunFolder, plans: Sequence[TaskPlan], count: SessionCount, settings: RunSettings, seconds: float
) -> RunResults:
    """Return the results that the folder's records add up to."""
    samples, verdicts = folder.samples(), folder.verdicts()
    tasks = []
    complete = True
    for plan in plans:
        names = [planned.request.id for planned in plan.requests]
        found = [samples[name] for name in names if name in samples]
        complete &= len(found) == len(names) and all(name in verdicts for name in names)
        failed = count.failed.get(plan.task.name, 0)
        result = plan.summarise(plan.task, len(names), found, verdicts, failed, settings.seed)
        result = with_usage(result, plan.verifier, (verdicts[name] for name in names if name in verdicts), folder)
        tasks.append(result.of_part(plan.partial))
    return RunResults(folder.path, settings.model, complete, tuple(tasks), seconds, count.generated)


def _how_to_resume(problem: BaseException, folder: RunFolder, plans: Sequence[TaskPlan]) -> str:
    total = sum(len(plan.requests) for plan in plans)
    what = "interrupted" if isinstance(problem, KeyboardInterrupt) else "stopped"
    done = len(folder.samples())
    return f"{what}: {done} of {total} requests are finished in {folder.path}; run the same command to go on"

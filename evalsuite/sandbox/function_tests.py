"""Running a benchmark's tests against a program that lives in another process."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import sys
from collections import Counter
from typing import Any, Final

from evalsuite.sandbox.codec import BadData
from evalsuite.sandbox.deadline import TestsOverran, deadline
from evalsuite.sandbox.forge import Forge, Worker, ZygoteFailed
from evalsuite.sandbox.jobs import FunctionJob, Report
from evalsuite.sandbox.packages import demand_packages
from evalsuite.sandbox.parsed_tests import FOR_EFFECT, MARK, ParsedTests, read_context, read_tests
from evalsuite.sandbox.remote import CannotCross, Program, for_effect
from evalsuite.sandbox.wire import Closed, Malformed, TooLarge

__all__ = ["await_worker", "explain", "raised_reason", "run"]

_LONGEST_DETAIL: Final = 200


class Tally:
    """Counts assertions of rewritten tests."""

    def __init__(self, sites: int, program: Program) -> None:
        self._program = program
        self._sites = sites
        self._met: Counter[int] = Counter()
        self._unmet: Counter[int] = Counter()
        self._broken_rounds = 0
        self.first_problem: Exception | None = None

    def passed(self, site: int) -> None:
        """Count an assertion that held."""
        self._met[site] += 1

    def failed(self, problem: Exception, site: int | None = None) -> None:
        """Count an assertion that did not, or without ``site`` a round of a loop that did not come to its end."""
        if site is None:
            self._broken_rounds += 1
        else:
            self._unmet[site] += 1
        if self.first_problem is None:
            self.first_problem = problem
            self._program.keep(problem)

    def passed_of_total(self, ended_early: bool) -> tuple[int, int]:
        """Return how many assertions held of how many, fewer than all.

        Those never reached count once, and so does an early end in a loop. One that holds again and again, in a loop
        over what the program returned, does not make up for others that fail: they weigh the same.
        """
        reached = self._met.keys() | self._unmet.keys()
        met, unmet = self._met.total(), self._unmet.total() + self._broken_rounds
        total = max(met + unmet + (self._sites - len(reached) or int(ended_early and not unmet)), 1)
        shares = [self._met[site] / (self._met[site] + self._unmet[site]) for site in reached]
        return min(met, total - 1, int(total * sum(shares) / max(len(shares), 1))), total


def run(job: FunctionJob, forge: Forge) -> Report:
    """Load the program in a worker and run the tests here.

    Raises:
        SyntaxError: the tests are not Python.
        MissingPackage: what they import is not installed.
        CannotCross: the tests need to share a process with the program.
        ZygoteFailed: the sandbox failed.
    """
    source = read_tests(job.tests, job.count_all)
    demand_packages(job.tests)
    demand_packages(job.context)
    with forge.worker(job.limits, job.preload) as worker:
        program = Program(worker.wire)
        tally = Tally(source.sites, program)
        problem = _run_tests(job, source, program, tally, worker)
        program.is_over = True
    assert worker.ending is not None
    reason, detail = explain(problem or tally.first_problem, program, worker)
    passed, total = tally.passed_of_total(problem is not None) if job.count_all else (0, 1)
    return Report(reason, detail, total if not reason else passed, total, worker.ending.cpu_s)


def _run_tests(
    job: FunctionJob, source: ParsedTests, program: Program, tally: Tally, worker: Worker
) -> BaseException | None:
    """Return what ended the tests early, None when they ran to their end."""
    try:
        with deadline(job.limits):
            await_worker(worker)
            _call_tests(job, source, program, tally)
    except (CannotCross, ZygoteFailed):
        raise
    except (Exception, TestsOverran) as problem:  # whatever the tests or the program raised is the result
        return problem
    return program.broken


def _call_tests(job: FunctionJob, source: ParsedTests, program: Program, tally: Tally) -> None:
    scope: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins, MARK: tally, FOR_EFFECT: for_effect}
    for module in job.preload:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    context = read_context(job.context)
    if context is not None:
        exec(context, scope)
    wanted = [name for name in source.free_names if name not in scope or name == job.entry_point]
    scope.update(_own_modules(wanted))
    defined = program.load(job.program, [*wanted, job.entry_point])
    scope.update((name, value) for name, value in defined.items() if name not in scope or name == job.entry_point)
    candidate = defined.get(job.entry_point)
    exec(source.code, scope)
    if source.has_check:
        if candidate is None:
            raise NameError(f"name {job.entry_point!r} is not defined")
        scope["check"](candidate)


def _own_modules(names: list[str]) -> dict[str, Any]:
    """Return standard modules that tests use without importing: never take those from the program."""
    return {name: importlib.import_module(name) for name in names if name in sys.stdlib_module_names}


def await_worker(worker: Worker) -> None:
    """Wait until the worker has shut itself in; raise :class:`ZygoteFailed` when it could not."""
    try:
        greeting = worker.wire.receive()
    except Closed as error:
        raise ZygoteFailed("the worker died before it was shut in") from error
    if "failed" in greeting:
        raise ZygoteFailed(f"the worker could not shut itself in: {greeting['failed']}")


def explain(problem: BaseException | None, program: Program, worker: Worker) -> tuple[str, str]:
    """Return the reason and one line for people; both empty when there is no ``problem``."""
    if problem is None:
        return "", ""
    detail = _one_line(f"{type(problem).__name__}: {problem}")
    if program.broken is not None and not isinstance(problem, TestsOverran):
        return _broken_reason(program.broken, worker), detail
    words = program.words_of(problem)
    if words is not None:
        return raised_reason(problem), _one_line(words)
    kinds = {TestsOverran: "timeout", TooLarge: "memory", MemoryError: "memory", NameError: "exception"}
    return next((reason for kind, reason in kinds.items() if isinstance(problem, kind)), "wrong_answer"), detail


def _one_line(text: str) -> str:
    return text[:_LONGEST_DETAIL].replace("\n", " ")


def _broken_reason(broken: Exception, worker: Worker) -> str:
    """Return why a program that no longer answers, or not with answers, fails."""
    if isinstance(broken, TooLarge):
        return "memory"
    if isinstance(broken, (BadData, Malformed)) or worker.ending is None:
        return "forbidden"
    return worker.ending.reason


def raised_reason(problem: BaseException) -> str:
    """Return the reason for a program that raised ``problem``."""
    kinds = {
        MemoryError: "memory",
        PermissionError: "forbidden",
        SyntaxError: "syntax_error",
        ModuleNotFoundError: "missing_package",
    }
    return next((reason for kind, reason in kinds.items() if isinstance(problem, kind)), "exception")

"""The tester's side of suites that run inside the program's own process: send, receive counts, check them."""

from __future__ import annotations

import ast
from typing import Any

from evalsuite.sandbox.deadline import TestsOverran, deadline
from evalsuite.sandbox.forge import Forge, Worker
from evalsuite.sandbox.function_tests import await_worker, explain, raised_reason
from evalsuite.sandbox.jobs import Report, SuiteJob
from evalsuite.sandbox.packages import demand_packages
from evalsuite.sandbox.raised import nearest_exception
from evalsuite.sandbox.remote import Program

__all__ = ["run"]


def run(job: SuiteJob, forge: Forge) -> Report:
    """Have the worker load the program, then run the tests on it there.

    Raises:
        SyntaxError: the tests are not Python.
        MissingPackage: what they, or the prompt, import is not installed.
        ZygoteFailed: the sandbox failed.
    """
    expected = _count_tests(job.tests)
    demand_packages(job.tests)
    demand_packages(job.context)
    counts: dict[str, Any] = {}
    with forge.worker(job.limits, job.preload) as worker:
        program = Program(worker.wire)
        problem = _run(job, worker, program, counts)
    assert worker.ending is not None
    reason, detail = explain(problem, program, worker)
    passed, total = _integer(counts.get("passed")), max(_integer(counts.get("total")), expected, 1)
    if not reason and passed < total:
        reason, detail = _first_problem(counts)
    return Report(reason, detail, min(passed, total), total, worker.ending.cpu_s)


def _run(job: SuiteJob, worker: Worker, program: Program, counts: dict[str, Any]) -> BaseException | None:
    try:
        with deadline(job.limits):
            await_worker(worker)
            program.load(job.program, [], "load_guarded")
            answer = program.ask_raw({"op": "suite", "tests": job.tests, "entry_point": job.entry_point})
            counts.update(answer if isinstance(answer, dict) else {})
    except (Exception, TestsOverran) as problem:  # whatever the program raised is the result
        return problem
    return program.broken


def _count_tests(tests: str) -> int:
    """Return how many test methods the classes of ``tests`` define."""
    classes = [node for node in ast.parse(tests, "<tests>").body if isinstance(node, ast.ClassDef)]
    names = ({item.name for item in node.body if isinstance(item, ast.FunctionDef)} for node in classes)
    return sum(name.startswith("test") for own in names for name in own)


def _first_problem(counts: dict[str, Any]) -> tuple[str, str]:
    """Return the reason and a line for people, by what the first test that failed has raised."""
    names = counts.get("raised")
    raised = nearest_exception(names) if isinstance(names, list) and names else AssertionError()
    reason = "wrong_answer" if isinstance(raised, AssertionError) else raised_reason(raised)
    return reason, str(counts.get("problem", ""))[-200:]


def _integer(value: Any) -> int:
    return value if type(value) is int else 0

"""``evalsuite verify``: score saved completions."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from evalsuite.cli.console import say
from evalsuite.cli.options import (
    LEDGER,
    Data,
    Ledger,
    RequireIsolation,
    Sandbox,
    UnseenReason,
    assignments,
    insist_on_isolation,
)
from evalsuite.errors import InvalidInput

if TYPE_CHECKING:
    from evalsuite.tasks.model import Task

__all__ = ["verify"]

_WITH_ERRORS = 3


def verify(
    completions: Annotated[Path, typer.Argument(metavar="IN.jsonl", help="One object a line; '-' reads stdin.")],
    verifier: Annotated[str | None, typer.Option(help="A verifier's name, or 'package.module:Class'.")] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A parameter of the verifier.")] = None,
    task: Annotated[str | None, typer.Option(help="Use this task's verifier, metric and references.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write.", show_default="stdout")] = None,
    data: Data = None,
    unseen_reason: UnseenReason = None,
    ledger: Ledger = LEDGER,
    require_isolation: RequireIsolation = None,
    sandbox: Sandbox = "",
) -> None:
    """Score saved completions: one line out per line in, in order.

    A line has "completion" (a string, or a list of strings for pass@k) and "reference", or with --task the doc's "id".
    Completions of an unseen task need --unseen-reason: judging them is a look at it.

    Examples:

        evalsuite verify --verifier math --param mode=reward answers.jsonl --output verdicts.jsonl

        evalsuite verify --task gsm8k completions.jsonl | jq .score

        evalsuite verify --task humaneval programs.jsonl --sandbox docker:python:3.12-slim

        evalsuite verify --task gpqa completions.jsonl --unseen-reason "answers of release 0.3"
    """
    from evalsuite.runner.verify import verify_lines

    if output is not None and output.exists() and completions.exists() and output.samefile(completions):
        raise InvalidInput(f"--output {output} is the input itself: give it another name")
    insist_on_isolation(require_isolation, sandbox)
    if (verifier is None) == (task is None):
        raise InvalidInput("say how to judge: either --verifier NAME or --task NAME")
    loaded = _task(task, unseen_reason, ledger)
    judge, reference_of, metric = _judging(verifier, assignments(param, "--param"), loaded, data)
    judge = judge.inside(sandbox)
    outcomes: Counter[str] = Counter()
    with _reading(completions) as lines, _writing(output) as out:
        _look(loaded, completions, unseen_reason, ledger)
        for verdict in verify_lines(lines, judge, reference_of, metric):
            outcomes[verdict["outcome"]] += 1
            out.write(json.dumps(verdict, ensure_ascii=False) + "\n")
    say(" · ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items())) or "no lines")
    if outcomes["error"]:
        raise typer.Exit(_WITH_ERRORS)


def _task(name: str | None, reason: str | None, ledger: Path) -> Task | None:
    from evalsuite.runs.looks import require_reason
    from evalsuite.tasks.registry import load_task

    if name is None:
        return None
    loaded = load_task(name)
    require_reason([loaded], reason, ledger)
    return loaded


def _judging(
    verifier: str | None, params: dict[str, Any], task: Task | None, data: Path | None
) -> tuple[Any, Any, Any]:
    from evalsuite.runner.evaluate import data_mirror
    from evalsuite.runner.verify import references_in_line, references_of_task
    from evalsuite.tasks.model import Metric
    from evalsuite.verifiers.base import LogLikelihoodVerifier
    from evalsuite.verifiers.isolated import load_bounded
    from evalsuite.verifiers.judged import ModelGraded

    name, given = (str(verifier), {}) if task is None else (task.verifier.name, task.verifier.params)
    judge = load_bounded(name, {**given, **params})
    if isinstance(judge, ModelGraded):
        raise InvalidInput(f"verifier {name!r} asks a judge model: 'evalsuite run' and 'evalsuite score' have --judge")
    if isinstance(judge, LogLikelihoodVerifier):
        raise InvalidInput(f"verifier {name!r} judges a model's log-probabilities, not completions")
    if task is None:
        return judge, references_in_line, Metric()
    return judge, references_of_task(task, data_mirror(data)), task.metric


def _look(task: Task | None, completions: Path, reason: str | None, ledger: Path) -> None:
    """Write down the look that judging the completions of an unseen task is."""
    from evalsuite.runs.looks import Look, record_look, unseen_hashes

    unseen = unseen_hashes([task]) if task is not None else {}
    if unseen:
        content = sha256(completions.read_bytes()).hexdigest()[:16] if completions.is_file() else ""
        record_look(ledger, Look.now("verify", str(completions), content, unseen, reason or ""))


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    """Open a file or stdin; a byte order mark is skipped, bytes that are not UTF-8 become replacement characters."""
    if str(path) == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace", newline="\n")
        yield sys.stdin
        return
    try:
        file = path.open(encoding="utf-8-sig", errors="replace", newline="\n")
    except OSError as problem:
        raise InvalidInput(f"{path} cannot be read: {problem.strerror}") from problem
    with file:
        yield file


@contextmanager
def _writing(path: Path | None) -> Iterator[TextIO]:
    """Open a file or stdout; JSON is UTF-8 wherever it goes."""
    if path is None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        file = path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        raise InvalidInput(f"{path} cannot be written: {problem.strerror}") from problem
    with file:
        yield file

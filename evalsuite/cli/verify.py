"""``evalsuite verify``: score saved completions."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from evalsuite.cli.console import say
from evalsuite.cli.options import Data, RequireIsolation, assignments, insist_on_isolation
from evalsuite.errors import InvalidInput

__all__ = ["verify"]

_WITH_ERRORS = 3


def verify(
    completions: Annotated[Path, typer.Argument(metavar="IN.jsonl", help="One object a line; '-' reads stdin.")],
    verifier: Annotated[str | None, typer.Option(help="A verifier's name, or 'package.module:Class'.")] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A parameter of the verifier.")] = None,
    task: Annotated[str | None, typer.Option(help="Use this task's verifier, metric and references.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write.", show_default="stdout")] = None,
    data: Data = None,
    require_isolation: RequireIsolation = None,
) -> None:
    """Score saved completions: one line out per line in, in order.

    A line has "completion" (a string, or a list of strings for pass@k) and "reference", or with --task the doc's "id".

    Examples:

        evalsuite verify --verifier math --param mode=reward answers.jsonl --output verdicts.jsonl

        evalsuite verify --task gsm8k completions.jsonl | jq .score
    """
    from evalsuite.runner.verify import verify_lines

    if output is not None and output.exists() and completions.exists() and output.samefile(completions):
        raise InvalidInput(f"--output {output} is the input itself: give it another name")
    insist_on_isolation(require_isolation)
    judge, reference_of, metric = _judging(verifier, assignments(param, "--param"), task, data)
    outcomes: Counter[str] = Counter()
    with _reading(completions) as lines, _writing(output) as out:
        for verdict in verify_lines(lines, judge, reference_of, metric):
            outcomes[verdict["outcome"]] += 1
            out.write(json.dumps(verdict, ensure_ascii=False) + "\n")
    say(" · ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items())) or "no lines")
    if outcomes["error"]:
        raise typer.Exit(_WITH_ERRORS)


def _judging(verifier: str | None, params: dict[str, Any], task: str | None, data: Path | None) -> tuple[Any, Any, Any]:
    from evalsuite.runner.evaluate import data_mirror
    from evalsuite.runner.verify import references_in_line, references_of_task
    from evalsuite.tasks.model import Metric
    from evalsuite.tasks.registry import load_task
    from evalsuite.verifiers.isolated import load_bounded

    if (verifier is None) == (task is None):
        raise InvalidInput("say how to judge: either --verifier NAME or --task NAME")
    if verifier is not None:
        return load_bounded(verifier, params), references_in_line, Metric()
    loaded = load_task(str(task))
    judge = load_bounded(loaded.verifier.name, {**loaded.verifier.params, **params})
    return judge, references_of_task(loaded, data_mirror(data)), loaded.metric


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    """Open a file or stdin; bytes that are not UTF-8 become replacement characters."""
    if str(path) == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="\n")
        yield sys.stdin
        return
    try:
        file = path.open(encoding="utf-8", errors="replace", newline="\n")
    except OSError as problem:
        raise InvalidInput(f"{path} cannot be read: {problem.strerror}") from problem
    with file:
        yield file


@contextmanager
def _writing(path: Path | None) -> Iterator[TextIO]:
    """Open a file or stdout."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        file = path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        raise InvalidInput(f"{path} cannot be written: {problem.strerror}") from problem
    with file:
        yield file

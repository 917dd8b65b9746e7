"""``evalsuite score``: judge a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalsuite.cli.console import print_json, show_log
from evalsuite.cli.options import Json, RequireIsolation, insist_on_isolation

__all__ = ["score"]

_WITH_ERRORS = 3


def score(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    json: Json = False,
    require_isolation: RequireIsolation = None,
) -> None:
    """Judge a finished run again, without its model, and replace its verdicts and results.

    Example:

        evalsuite score runs/demo-demo-1a2b3c4d
    """
    from evalsuite.cli.tables import print_results
    from evalsuite.runner.rescore import rescore
    from evalsuite.runs.folder import RunFolder

    show_log()
    insist_on_isolation(require_isolation)
    results = rescore(RunFolder.open(run))
    if json:
        print_json({"folder": str(results.folder), **results.to_json()})
    else:
        print_results(results)
    if results.errors:
        raise typer.Exit(_WITH_ERRORS)

"""The command line: arguments and printing, nothing else. Every command imports its work when it is called."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import typer

from evalsuite.cli.check import check
from evalsuite.cli.compare import compare
from evalsuite.cli.console import say_error
from evalsuite.cli.doctor import doctor
from evalsuite.cli.leaderboard import leaderboard
from evalsuite.cli.list import list_tasks
from evalsuite.cli.looks import looks
from evalsuite.cli.run import run
from evalsuite.cli.score import score
from evalsuite.cli.show import show
from evalsuite.cli.show_task import show_task
from evalsuite.cli.study import study
from evalsuite.cli.train import train
from evalsuite.cli.verify import verify
from evalsuite.errors import EvalsuiteError

__all__ = ["app", "main"]

# Typer bundles its parser; this is the base of every mistake in the arguments.
_UsageError: Any = typer.BadParameter.__bases__[0]

_INTERRUPTED = 130
"""What Typer, from some version on, returns in place of Ctrl-C."""

app = typer.Typer(
    name="evalsuite",
    help="Evaluate language models, and train them on the same verifiers.",
    epilog="Exit codes: 0 fine, 1 the run failed, 2 a mistake in what was asked, 3 finished with errors in it. "
    "--debug anywhere shows tracebacks.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("list")(list_tasks)
app.command("show-task")(show_task)
app.command("check")(check)
app.command("verify")(verify)
app.command("score")(score)
app.command("show")(show)
app.command("compare")(compare)
app.command("leaderboard")(leaderboard)
app.command("looks")(looks)
app.command("train")(train)
app.command("study")(study)
app.command("doctor")(doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A lone surrogate in a model's text is written as JSON escapes it, and does not end the program.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A verifier of one's own lies in the folder one works in; at the end of the path it can shadow nothing.
    with suppress(FileNotFoundError):  # the folder was removed
        sys.path.append(str(Path.cwd()))
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    sys.exit(_run([argument for argument in given if argument != "--debug"], debug=debug))


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        code = app(arguments or ["--help"], standalone_mode=False)
    except _UsageError as problem:
        say_error(problem.format_message())
        return 2
    except EvalsuiteError as problem:
        if debug:
            raise
        say_error(str(problem))
        return problem.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        # The reader left (`| head`): point stdout at nothing so that the interpreter's last flush stays silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:
        if debug:
            raise
        say_error(_unexpected(problem))
        return 1
    if code == _INTERRUPTED:
        say_error("interrupted")
        return 1
    return code if isinstance(code, int) else 0


def _unexpected(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return f"cannot write what was asked for: {problem.strerror}"
    return f"a defect in evalsuite, {type(problem).__name__}: {problem} (--debug shows where; please report it)"

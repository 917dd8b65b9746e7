"""The trusted process that holds the tests. It takes jobs from the harness, one at a time, and answers with reports.

It is a process of its own so that tests, which may loop over what a program returned, can be killed; it lives on
between jobs so that tests are compiled once for all samples of a problem.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from evalsuite.sandbox import function_tests, limits, linux, stdio_cases, suite_tests
from evalsuite.sandbox.forge import Forge, ZygoteFailed
from evalsuite.sandbox.jobs import FunctionJob, Limits, StdioJob, SuiteJob
from evalsuite.sandbox.packages import MissingPackage
from evalsuite.sandbox.remote import CannotCross
from evalsuite.sandbox.wire import Closed, Descriptors, Wire

__all__ = ["main"]


_MEMORY: Final = 4 << 30  # far above what tests need; a bound on what a program can make them hold


def main(arguments: Sequence[str]) -> None:
    """Serve jobs on standard input and output until they close, by the plan in ``arguments[0]``."""
    linux.kill_with_parent()
    wire = _take_over_standard_streams()
    plan = json.loads(arguments[0])
    sys.path += plan["packages"]
    sys.argv = [""]
    limits.lower(resource.RLIMIT_AS, _MEMORY)
    linux.own_orphans()
    linux.hide_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the harness's business
    forge = Forge(plan, plan.pop("leash"))
    try:
        wire.send({"ready": None})
        while True:
            wire.send(_answer(wire.receive(), forge))
    except Closed:
        return


def _take_over_standard_streams() -> Wire:
    """Return the line to the harness, which no process started from here inherits."""
    wire = Wire(Descriptors(os.dup(0), os.dup(1)))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    os.close(null)
    return wire


def _answer(request: Mapping[str, Any], forge: Forge) -> dict[str, Any]:
    try:
        return {"report": dataclasses.asdict(_run(request, forge))}
    except SyntaxError as error:
        return {"unusable": f"the tests do not parse: {error}"}
    except MissingPackage as error:
        return {"unusable": str(error)}
    except CannotCross as error:
        return {"unusable": f"{error}; use tests_run='in_process'"}
    except ZygoteFailed as error:
        return {"failed": str(error)}


def _run(request: Mapping[str, Any], forge: Forge) -> Any:
    fields = {**request["job"], "limits": Limits(**request["job"]["limits"])}
    fields["preload"] = tuple(fields["preload"])
    match request["kind"]:
        case "function":
            return function_tests.run(FunctionJob(**fields), forge)
        case "suite":
            return suite_tests.run(SuiteJob(**fields), forge)
        case _:
            inputs, outputs = tuple(fields.pop("inputs")), tuple(fields.pop("outputs"))
            return stdio_cases.run(StdioJob(inputs=inputs, outputs=outputs, **fields), forge)

"""Running a whole program once per case: standard input in, standard output compared here.

Two outputs are equal when they have the same words in the same order: how much white space and how many line ends
stand between words does not matter. Words are equal as text, or when both are decimal numbers of which at least one has
a point or an exponent and they differ by at most ``tolerance``, absolutely or relatively.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import re

from evalsuite.sandbox.deadline import TestsOverran, deadline
from evalsuite.sandbox.forge import Forge, Worker, ZygoteFailed
from evalsuite.sandbox.function_tests import await_worker, explain
from evalsuite.sandbox.jobs import Report, StdioJob
from evalsuite.sandbox.remote import Program
from evalsuite.sandbox.wire import TooLarge

__all__ = ["run", "same_output"]

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_LONGEST_NUMBER = 400
_CHUNK = 1 << 16


def run(job: StdioJob, forge: Forge) -> Report:
    """Run every case in a worker of its own.

    Raises:
        ZygoteFailed: the sandbox failed.
    """
    passed, cpu_s, first_reason, first_detail = 0, 0.0, "", ""
    for number, (text, expected) in enumerate(zip(job.inputs, job.outputs, strict=True), start=1):
        reason, detail, seconds = _run_case(job, forge, text, expected)
        cpu_s += seconds
        if not reason:
            passed += 1
            continue
        if not first_reason:
            first_reason, first_detail = reason, f"case {number}: {detail}"
        if job.stop_early:
            break
    return Report(first_reason, first_detail, passed, len(job.inputs), cpu_s)


def same_output(output: str, expected: str, tolerance: float) -> bool:
    """Whether two outputs are equal by the rules of this module."""
    words, wanted = output.split(), expected.split()
    return len(words) == len(wanted) and all(map(_same_word, words, wanted, [tolerance] * len(wanted)))


def _same_word(word: str, wanted: str, tolerance: float) -> bool:
    if word == wanted:
        return True
    if not (_is_decimal(word) and _is_decimal(wanted)) or not set(".eE") & set(word + wanted):
        return False
    left, right = float(word), float(wanted)
    return math.isfinite(left) and math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)


def _is_decimal(word: str) -> bool:
    return len(word) <= _LONGEST_NUMBER and _DECIMAL.fullmatch(word) is not None


def _run_case(job: StdioJob, forge: Forge, text: str, expected: str) -> tuple[str, str, float]:
    source, sink = _sealed_input(text), os.pipe()
    output = bytearray()
    with (
        os.fdopen(sink[0], "rb", buffering=0) as reader,
        forge.worker(job.limits, job.preload, (source, sink[1])) as worker,
    ):
        program = Program(worker.wire)
        problem = _run_program(job, worker, program, reader.fileno(), output)
    assert worker.ending is not None
    if problem is program.broken and worker.ending.exited_well:
        problem = None  # it left without a word, as a program may
    reason, detail = explain(problem, program, worker)
    if not reason and not same_output(output.decode(errors="replace"), expected, job.tolerance):
        reason, detail = "wrong_answer", "the output differs"
    return reason, detail, worker.ending.cpu_s


def _run_program(
    job: StdioJob, worker: Worker, program: Program, reader: int, output: bytearray
) -> BaseException | None:
    """Fill ``output`` with what the program printed; return what went wrong, None when it ended by itself."""
    try:
        with deadline(job.limits):
            await_worker(worker)
            worker.wire.send({"op": "script", "program": job.program})
            while chunk := os.read(reader, _CHUNK):
                output += chunk
                if len(output) > job.limits.output_mb << 20:
                    raise TooLarge("the program printed more than it may")
            program.answer()
    except ZygoteFailed:
        raise
    except (Exception, TestsOverran) as problem:  # whatever the program raised is the result
        return problem
    return program.broken


def _sealed_input(text: str) -> int:
    """Return a descriptor that reads ``text`` and that nobody can write to."""
    descriptor = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with contextlib.ExitStack() as on_error:
        on_error.callback(os.close, descriptor)
        body = memoryview(text.encode(errors="surrogatepass"))
        while body:
            body = body[os.write(descriptor, body) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        _seal(descriptor)
        on_error.pop_all()
    return descriptor


def _seal(descriptor: int) -> None:
    everything = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, everything)

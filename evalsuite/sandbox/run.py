"""Run one job in a fresh interpreter of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from evalsuite.sandbox.jobs import FunctionJob, Report

__all__ = ["run"]

_DRIVER = Path(__file__).with_name("driver.py")


def run(job: FunctionJob) -> Report:
    """Run ``job`` to its end or its limit; nothing it started or wrote is left. Safe from any thread."""
    nonce = secrets.token_hex(16)
    request = {
        "program": job.program,
        "tests": job.tests,
        "entry_point": job.entry_point,
        "cpu_s": job.limits.cpu_s,
        "memory_mb": job.limits.memory_mb,
        "file_mb": job.limits.file_mb,
        "nonce": nonce,
    }
    with tempfile.TemporaryDirectory(prefix="evalsuite-", ignore_cleanup_errors=True) as box:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=box,
            env={},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(json.dumps(request).encode(), timeout=job.limits.wall_s)
        except subprocess.TimeoutExpired:
            return Report("timeout")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.communicate()
    return _report(output.decode(errors="replace"), nonce, process.returncode)


def _report(output: str, nonce: str, returncode: int) -> Report:
    mark, _, reason = output.strip().partition(" ")
    if mark == nonce:
        return Report("" if reason == "passed" else reason)
    return Report("timeout" if returncode == -signal.SIGXCPU else "killed")

"""A run folder: config.json, samples.jsonl, verdicts.jsonl, results.json, run.log. It stands on its own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import EvalsuiteError, InvalidInput
from evalsuite.runs.journal import read_lines
from evalsuite.runs.records import SampleRecord, VerdictRecord

__all__ = ["RunFolder", "write_atomically"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Names and readers of the files of one run."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return an existing run folder.

        Raises:
            InvalidInput: there is no run in this folder.
        """
        if not (path / "config.json").is_file():
            raise InvalidInput(
                f"{path} is not a run folder: it has no config.json ('evalsuite run --output DIR' makes one)"
            )
        return cls(path)

    @property
    def samples_path(self) -> Path:
        """What the model said: one line per finished request, append-only. The resume journal and the only cache."""
        return self.path / "samples.jsonl"

    @property
    def verdicts_path(self) -> Path:
        """What the verifiers said: one line per judged request."""
        return self.path / "verdicts.jsonl"

    @property
    def log_path(self) -> Path:
        """Warnings and errors of every session of this run."""
        return self.path / "run.log"

    def samples(self) -> dict[str, SampleRecord]:
        """Return finished requests by id."""
        return {line["id"]: SampleRecord.from_json(line) for line in read_lines(self.samples_path)}

    def verdicts(self) -> dict[str, VerdictRecord]:
        """Return judged requests by id."""
        return {line["id"]: VerdictRecord.from_json(line) for line in read_lines(self.verdicts_path)}

    def config(self) -> dict[str, Any]:
        """Return config.json, empty when the run has not begun."""
        return _read_json(self.path / "config.json")

    def results(self) -> dict[str, Any]:
        """Return results.json, empty when the run has never finished a session."""
        return _read_json(self.path / "results.json")

    def write_config(self, config: dict[str, Any]) -> None:
        """Replace config.json in one step."""
        write_atomically(self.path / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")

    def write_results(self, results: dict[str, Any]) -> None:
        """Replace results.json in one step."""
        write_atomically(self.path / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, sees the old text or the new one and nothing in between."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise EvalsuiteError(f"cannot write {path}: {problem.strerror}") from problem


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as problem:
        raise InvalidInput(f"{path} cannot be read: {problem}") from problem
    return content

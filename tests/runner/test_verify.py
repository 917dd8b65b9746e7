"""One line out for every line in, also where a metric asks for more than a line has."""

from __future__ import annotations

import json

from evalsuite.runner.verify import references_in_line, verify_lines
from evalsuite.tasks.model import Metric
from evalsuite.verifiers import load_verifier


def test_too_few_completions_for_pass_at_k_are_an_error_of_their_line_alone() -> None:
    given = [["5"], ["5", "6", "7"], "5"]
    lines = [json.dumps({"completion": completion, "reference": "5"}) for completion in given]
    found = list(verify_lines(lines, load_verifier("gsm8k"), references_in_line, Metric(name="pass_at_k", k=2)))
    assert [line["outcome"] for line in found] == ["error", "partial", "correct"]
    assert found[0]["reason"] == "bad_line: pass@2 needs at least 2 completions, not 1"
    assert abs(found[1]["score"] - 2 / 3) < 1e-9

"""The command line answers at once because it loads almost nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

RUN_AND_LIST_MODULES = """
import json, sys
from evalsuite.cli.app import main
sys.argv = ["evalsuite", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"]], ids=" ".join)
def test_loads_neither_torch_nor_datasets_nor_pandas(arguments: list[str]) -> None:
    command = [sys.executable, "-c", RUN_AND_LIST_MODULES, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "evalsuite.cli.app" in loaded
    assert loaded & {"torch", "datasets", "pandas", "numpy", "transformers", "openai", "sympy", "jinja2"} == set()
    assert done.stdout

"""How the sandbox's own processes are started: a bare interpreter, nothing inherited, nothing of the package loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

__all__ = ["ENVIRONMENT", "arguments", "package_folder", "script"]

#: The whole environment of every sandbox process; the fixed hash seed makes verdicts repeatable.
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
)

# The two packages are entered as empty shells, so that none of their __init__ files run.
_START = """
import sys, types, importlib
if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or newer is needed, not " + sys.version.split()[0])
root = sys.argv.pop(1)
for name, path in (("evalsuite", root), ("evalsuite.sandbox", root + "/sandbox")):
    shell = sys.modules[name] = types.ModuleType(name)
    shell.__path__ = [path]
importlib.import_module("evalsuite.sandbox.fork_handlers").put_off()
importlib.import_module("evalsuite.sandbox." + sys.argv.pop(1)).main(sys.argv[1:])
"""


def arguments(module: str, *rest: str) -> list[str]:
    """Return the command line that runs ``main(rest)`` of ``evalsuite.sandbox.<module>`` in a bare interpreter."""
    return [sys.executable, "-s", "-P", "-S", *script(str(package_folder()), module, *rest)]


def script(root: str, module: str, *rest: str) -> list[str]:
    """Return the arguments of any interpreter for the same; ``root`` is where it finds the package."""
    return ["-c", _START, root, module, *rest]


def package_folder() -> Path:
    """Return the folder of the package, of which the sandbox's processes need ``sandbox`` only."""
    return Path(__file__).resolve().parent.parent

"""``run.log``: what was logged while a run went on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["logging_to"]

log = logging.getLogger("evalsuite")


class _RunLog(logging.FileHandler):
    """A log whose own trouble (a full disk) stays quiet: the journal tells of it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Say nothing."""

    def close(self) -> None:
        """Close, whatever can no longer be flushed."""
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what is logged meanwhile to a file, too."""
    handler = _RunLog(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()

"""``evalsuite doctor``: what works on this machine."""

from __future__ import annotations

from evalsuite.cli.options import Json

__all__ = ["doctor"]


def doctor(json: Json = False) -> None:
    """Say what is installed, and which engines and sandbox layers work on this machine.

    Example:

        evalsuite doctor
    """

"""The wall between development and unseen: the folder a task lies in is its split."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

__all__ = ["Split", "split_of"]


class Split(StrEnum):
    """What a task may be used for: decisions (``dev``), reporting only (``unseen``) or rewards (``rlvr``)."""

    DEV = "dev"
    UNSEEN = "unseen"
    RLVR = "rlvr"


def split_of(path: Path) -> Split:
    """Return the split of a task file: the nearest parent folder named after a split, else ``dev``.

    A task of one's own is development material unless it lies in a folder called ``unseen`` or ``rlvr``.
    """
    names = {str(split): split for split in Split}
    return next((names[folder.name] for folder in path.parents if folder.name in names), Split.DEV)

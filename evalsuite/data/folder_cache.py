"""Where ``datasets`` keeps what it has read from a folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["folder_cache"]


def folder_cache(path: str | Path) -> dict[str, str]:
    """Return the options of ``datasets.load_dataset`` under which a folder's rows are never taken for other rows.

    Where a folder has a card that lists its files, the library keeps its rows under the folder's last name and what the
    card says (datasets 5.2): files that have changed, or a folder of that name elsewhere, would give the old rows.
    What is not a folder, such as a name on the Hub, needs no options.
    """
    import datasets

    folder = Path(path)
    if not folder.is_dir():
        return {}
    state = json.dumps([os.path.realpath(folder), sorted(_files(folder))])
    name = hashlib.sha256(state.encode()).hexdigest()[:16]
    return {"cache_dir": str(Path(datasets.config.HF_DATASETS_CACHE) / "evalsuite-folders" / name)}


def _files(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Yield path, bytes and times (nanoseconds; of contents, of anything) of files below a folder, linked ones too."""
    seen: set[str] = set()
    for place, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # links may go in circles
            below.clear()
            continue
        seen.add(real)
        for name in names:
            path = Path(place, name)
            try:
                found = path.stat()
            except OSError:  # a link to nowhere
                continue
            yield str(path.relative_to(folder)), found.st_size, found.st_mtime_ns, found.st_ctime_ns

"""Single files of a dataset repository: from a mirror directory, else from the Hub; and their addresses there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from evalsuite.errors import DataUnavailable, InvalidInput, first_line

__all__ = ["CONFIG_MARK", "file_address", "file_format", "hub_file"]

#: Where a configuration's name goes in the name of a repository or a file, and where a split's.
CONFIG_MARK = "{{ config }}"
_SPLIT_MARK = "{{ split }}"


def file_address(repository: str, file: str, *, config: str | None, split: str, revision: str | None) -> str:
    """Return the address under which ``datasets`` reads a file of a repository, at a git ``revision``.

    ``file`` may have ``{{ config }}`` and ``{{ split }}`` in it: one file (or pattern of files) for each.

    Raises:
        InvalidInput: it would lie outside the repository, where nobody has looked what it is.
    """
    path = file.replace(CONFIG_MARK, config or "").replace(_SPLIT_MARK, split)
    if ".." in path.split("/"):
        raise InvalidInput(f"hub_file {path!r} does not lie in {repository}")
    return f"hf://datasets/{repository}@{quote(revision or 'main', safe='')}/{path}"


def file_format(address: str) -> str:
    """Return what ``datasets`` calls the format of a file: Parquet, or JSON for every other name."""
    return "parquet" if address.endswith(".parquet") else "json"


def hub_file(repository: str, name: str, mirror: Path | None, purpose: str, revision: str | None = None) -> Path:
    """Return the local path of a file of a dataset repository, from the Hub at a git ``revision``.

    ``purpose`` ends the message that says that it is missing: who needs it, and what to do without.

    Raises:
        DataUnavailable: it is neither in the mirror nor, without one, on the Hub.
    """
    if mirror is not None:
        path = mirror / repository / name
        if not path.is_file():
            raise DataUnavailable(
                f"the mirror {mirror} has no {repository}/{name}: put the Hub's file of that name there ({purpose})"
            )
        return path
    import huggingface_hub

    try:
        return Path(huggingface_hub.hf_hub_download(repository, name, repo_type="dataset", revision=revision))
    except (OSError, ValueError) as problem:
        reason = first_line(problem)[:200]
        raise DataUnavailable(f"{name} of {repository} cannot be downloaded ({reason}): {purpose}") from problem

"""lm-eval's tasks, groups and tags by name, without parsing its fourteen thousand files.

A file that defines a name has it in its text, so the text is searched first (folders named like the task before all
others) and only the files found are parsed. What they mean is decided by lm-eval's own index. All of it runs in
lm-eval's process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from evalsuite.errors import InvalidInput, UnknownName

__all__ = ["Registry", "find_entry", "tasks_folder"]

_DEFINES = re.compile(rb"^[\"']?(?:task|group|tag)[\"']?[ \t]*:[ \t]*[\"']?([\w:.+-]+)", re.MULTILINE)
_INCLUDE = re.compile(rb"^[\"']?include[\"']?[ \t]*:((?:.|\n[ \t]*-)*)", re.MULTILINE)
_INCLUDED = re.compile(rb"[^\s\"',\[\]]{2,}")


def tasks_folder() -> Path:
    """Return the folder of the installed lm-eval's task files."""
    import lm_eval

    return Path(str(lm_eval.__file__)).parent / "tasks"


def find_entry(name: str, registry: Registry) -> Any:
    """Return lm-eval's entry for a name, or for the path of a YAML file.

    Raises:
        UnknownName: there is no such task.
        InvalidInput: the file does not define one.
    """
    if not name.endswith(".yaml"):
        return registry[name]
    from lm_eval.tasks._index import TaskIndex
    from lm_eval.tasks._yaml_loader import load_yaml
    from yaml import YAMLError

    path, index = Path(name).resolve(), dict[str, Any]()
    try:
        TaskIndex.process_cfg(load_yaml(path, resolve_func=False), path, index)
    except OSError as problem:
        raise InvalidInput(f"lm-eval/{name}: the file cannot be read: {problem.strerror}") from problem
    except (ValueError, YAMLError) as problem:
        told = " ".join(str(problem).split())
        raise InvalidInput(f"lm-eval/{name}: no task or group can be read from the file: {told}") from problem
    return next(entry for entry in index.values() if entry.yaml_path == path)


class Registry:
    """The part of a dictionary that lm-eval's task factory uses: looks a name up when it is asked for.

    ``own`` is a folder of the user's, whose names go before lm-eval's.
    """

    def __init__(self, folder: Path, own: Path | None = None) -> None:
        self._folder = folder
        self._own = [str(own.resolve())] if own else []
        self._known: dict[str, Any] = {}
        self._read: dict[str, dict[str, bytes]] = {}

    def __contains__(self, name: str) -> bool:
        with suppress(UnknownName):
            return self[name] is not None
        return False

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def __setitem__(self, name: str, entry: Any) -> None:
        self._known[name] = entry

    def _find(self, name: str) -> Any:
        from lm_eval.tasks._index import Kind

        likely = [folder for folder in self._folders if _stem(folder) == _stem(name)]
        for folders in (self._own, likely):
            entry = self._parse(name, folders)
            # Any file may add itself to a tag, so a tag is known only when all have been searched.
            if entry is not None and entry.kind is not Kind.TAG:
                return entry
        entry = self._parse(name, [*self._own, *self._folders])
        if entry is None:
            raise UnknownName("lm-eval task", name, self._names())
        return entry

    def _parse(self, name: str, folders: Sequence[str]) -> Any:
        from lm_eval.tasks._index import TaskIndex
        from lm_eval.tasks._yaml_loader import load_yaml
        from yaml import YAMLError

        index: dict[str, Any] = {}
        for path in sorted(self._candidates(name.encode(), folders)):
            with suppress(OSError, ValueError, YAMLError):  # lm-eval passes over such files too
                TaskIndex.process_cfg(load_yaml(path, resolve_func=False), Path(path), index)
        return index.get(name)

    def _candidates(self, name: bytes, folders: Sequence[str]) -> set[str]:
        """Return the task files that mention a name, or include a file that does."""
        texts = dict(chain.from_iterable(self._texts(folder).items() for folder in folders))
        mentions = re.compile(rb"(?<![\w.+-])" + re.escape(name) + rb"(?![\w.+-])")
        found = {path for path, text in texts.items() if name in text and mentions.search(text)}
        new = found
        while new:
            new = {path for path, text in texts.items() if path not in found and _includes(path, text, new)}
            found |= new
        return {path for path in found if path.endswith(".yaml")}

    def _texts(self, folder: str) -> dict[str, bytes]:
        if folder not in self._read:
            self._read[folder] = {path: Path(path).read_bytes() for path in _yaml_files(str(self._folder / folder))}
        return self._read[folder]

    @cached_property
    def _folders(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir())

    def _names(self) -> set[str]:
        """Return every name that a line of some file defines: for a hint at what was meant."""
        texts = (text for folder in [*self._own, *self._folders] for text in self._texts(folder).values())
        return {found.decode(errors="replace") for text in texts for found in _DEFINES.findall(text)}


def _stem(name: str) -> str:
    return re.split(r"[_:-]", name, maxsplit=1)[0]


def _yaml_files(folder: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name not in ("__pycache__", ".ipynb_checkpoints"):
                yield from _yaml_files(entry.path)
        elif Path(entry.name).suffix in ("", ".yaml", ".yml") or entry.name.endswith("yaml"):
            yield entry.path  # also parts to include, which go by any name


def _includes(path: str, text: bytes, wanted: set[str]) -> bool:
    if b"include" not in text:
        return False
    folder = path.rpartition("/")[0]
    parts = chain.from_iterable(_INCLUDED.findall(value) for value in _INCLUDE.findall(text))
    return any(os.path.normpath(f"{folder}/{os.fsdecode(part)}") in wanted for part in parts)

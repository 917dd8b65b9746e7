"""Which model it was: hashes of everything in a checkpoint that decides its answers.

Weights are hashed in full, by threads, and the digest of each file is remembered in the user's cache folder by path,
size and modification time, so that a large checkpoint is read once. In the Hub's own cache a weight file's name already
is its SHA-256 and nothing is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evalsuite.errors import InvalidInput, first_line

__all__ = ["identity", "locate"]

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_CONFIGS = ("config.json", "generation_config.json")
_TOKENIZER = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASHING_THREADS = 8


def identity(model: str, revision: str | None, chat_template: str | None) -> Mapping[str, str | None]:
    """Describe the checkpoint ``model``, a folder or a Hub id (whose files are downloaded if they are not there).

    ``weights``, ``tokenizer`` and ``config`` are SHA-256 digests over the names and contents of their files,
    ``chat_template`` over the template's text (``None`` without one). ``revision`` is the commit of a Hub snapshot,
    else what was asked for.
    """
    folder = locate(model, revision)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    weights = [path for path in files if path.suffix == ".safetensors"]
    weights = weights or [path for path in files if path.suffix in _WEIGHTS]
    if not weights:
        raise InvalidInput(f"model {model!r} has no weights: {folder} holds no .safetensors or .bin file")
    return {
        "model": model,
        "revision": folder.name if folder.parent.name == "snapshots" else revision,
        "weights": _digest(weights),
        "config": _digest(path for path in files if path.name in _CONFIGS),
        "tokenizer": _digest(path for path in files if path.name in _TOKENIZER),
        "chat_template": None if chat_template is None else _sha256_text(chat_template),
    }


def locate(model: str, revision: str | None) -> Path:
    """The folder of a checkpoint's files; a Hub id's snapshot is downloaded if it is not in the Hub's cache."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    from huggingface_hub import snapshot_download

    patterns = [*_CONFIGS, *_TOKENIZER, "*.safetensors", "*.safetensors.index.json", "*.py"]
    try:
        snapshot = Path(snapshot_download(model, revision=revision, allow_patterns=patterns))
        if not any(snapshot.glob("*.safetensors")):
            snapshot = Path(snapshot_download(model, revision=revision, allow_patterns=[*patterns, "*.bin"]))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot download model {model!r}: {first_line(error)}") from error
    return snapshot


def _digest(paths: Iterable[Path]) -> str:
    """One SHA-256 over the names and contents of files."""
    paths = list(paths)
    total = hashlib.sha256()
    for path, digest in zip(paths, _file_digests(paths), strict=True):
        total.update(f"{path.name}\0{digest}\n".encode())
    return total.hexdigest()


def _file_digests(paths: list[Path]) -> list[str]:
    """SHA-256 of each file: from the Hub's blob name, from the cache, or from its contents."""
    cache = _read_cache()
    keys = [_cache_key(path) for path in paths]
    with ThreadPoolExecutor(_HASHING_THREADS) as threads:
        digests = list(threads.map(lambda path, key: cache.get(key) or _file_digest(path), paths, keys))
    new = {key: digest for key, digest in zip(keys, digests, strict=True) if key not in cache}
    if new:
        _write_cache(new)
    return digests


def _file_digest(path: Path) -> str:
    blob = path.resolve().name
    if path.is_symlink() and _SHA256.fullmatch(blob):
        return blob
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache_key(path: Path) -> str:
    status = path.stat()
    return f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"


def _cache_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "evalsuite" / "file-digests.json"


def _read_cache() -> dict[str, str]:
    try:
        cache = json.loads(_cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cache if isinstance(cache, dict) else {}


def _write_cache(new: Mapping[str, str]) -> None:
    """Add digests; a cache that cannot be written only costs the next run its time."""
    file = _cache_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as temporary:
            json.dump({**_read_cache(), **new}, temporary)
        Path(temporary.name).replace(file)
    except OSError:
        return


def _sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

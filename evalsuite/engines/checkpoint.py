"""Open a checkpoint's config and tokenizer, with one clear line for everything that can be wrong with it.

A checkpoint is a folder in the Hugging Face layout or a Hub id. Nothing here reads weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalsuite.errors import InvalidInput, MissingExtra, nearest

__all__ = ["Checkpoint", "open_checkpoint", "read_config"]

_DEFAULT_CONTEXT = 2048
_UNSET_CONTEXT = 10**9
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's config and tokenizer, and what decoding must know from them.

    ``model`` is what the user typed; ``context`` the longest sequence in tokens; ``eos_ids`` every token that ends a
    completion: the generation config's, the config's and the tokenizer's.
    """

    model: str
    revision: str | None
    context: int
    eos_ids: frozenset[int]
    config: Any = field(repr=False)
    tokenizer: Any = field(repr=False)

    @property
    def chat_template(self) -> str | None:
        """The tokenizer's chat template (of several named ones, ``default``), or ``None``."""
        template = self.tokenizer.chat_template
        if isinstance(template, dict):
            template = template.get("default")
        return template or None


def open_checkpoint(model: str, *, revision: str | None, trust_remote_code: bool, purpose: str) -> Checkpoint:
    """Read the config and the tokenizer of ``model``.

    ``purpose`` names the engine in the message about a missing package. Raises
    :class:`~evalsuite.errors.InvalidInput` for a path or id that holds no usable causal language model.
    """
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingExtra(package, "transformers", purpose)
    config = read_config(model, revision=revision, trust_remote_code=trust_remote_code)
    tokenizer = _read("tokenizer", model, revision, trust_remote_code)
    return Checkpoint(
        model=model,
        revision=revision,
        context=_context(config, tokenizer),
        eos_ids=_eos_ids(model, revision, config, tokenizer),
        config=config,
        tokenizer=tokenizer,
    )


def read_config(model: str, *, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """Return the config of ``model``, of whatever kind the model is.

    Raises:
        InvalidInput: there is no such checkpoint.
    """
    _check_path(model)
    return _read("config", model, revision, trust_remote_code)


def _check_path(model: str) -> None:
    """Say what is wrong with a model that can only be a path."""
    if not model.strip():
        raise InvalidInput("the model's name is empty: give a folder or a Hub id like 'owner/name'")
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            adapter = " (it holds a LoRA adapter: merge it into its base model first)"
            note = adapter if (path / "adapter_config.json").is_file() else ""
            raise InvalidInput(f"model folder {model!r} has no config.json{note}")
        return
    if path.is_file():
        raise InvalidInput(f"model {model!r} is a file: give the folder that holds config.json and the weights")
    looks_like_path = model.startswith(("/", ".", "~")) or model.count("/") != 1
    if not looks_like_path and not path.parent.is_dir():
        return
    siblings = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    close = [str(path.parent / name) for name in nearest(path.name, siblings)]
    if looks_like_path or close:
        suggestion = f"did you mean {' or '.join(close)}?" if close else "give a folder or a Hub id like 'owner/name'"
        raise InvalidInput(f"model {model!r} does not exist: {suggestion}")


def _read(part: str, model: str, revision: str | None, trust_remote_code: bool) -> Any:
    """Load the ``config`` or the ``tokenizer``; the library's many exceptions become one line."""
    from transformers import AutoConfig, AutoTokenizer

    loader = AutoConfig if part == "config" else AutoTokenizer
    source = str(Path(model).expanduser()) if Path(model).expanduser().is_dir() else model
    try:
        return loader.from_pretrained(source, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise InvalidInput(f"cannot read the {part} of model {model!r}{at}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Shorten a Hub or Transformers exception to the sentence a user can act on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines)
    if "gated" in text or "401" in text or "403" in text:
        return "the Hub refuses it (gated or private): accept its licence and set HF_TOKEN"
    if "offline" in text or "couldn't connect" in text or "connect to" in text:
        return "no local folder of that name, and the Hub cannot be reached: download it first or give a path"
    if "is not a valid model identifier" in text or "Repository Not Found" in text or "404" in text:
        return "no local folder of that name, and the Hub does not know it: check the spelling"
    return lines[0] if lines else type(error).__name__


def _context(config: Any, tokenizer: Any) -> int:
    """The longest sequence the model was made for, in tokens."""
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    for key in _CONTEXT_KEYS:
        value = getattr(text_config, key, None)
        if isinstance(value, int) and value > 0:
            return value
    limit = int(tokenizer.model_max_length)
    return limit if limit < _UNSET_CONTEXT else _DEFAULT_CONTEXT


def _eos_ids(model: str, revision: str | None, config: Any, tokenizer: Any) -> frozenset[int]:
    """Every end-of-sequence id any of the checkpoint's files declares."""
    from transformers import GenerationConfig

    source = str(Path(model).expanduser()) if Path(model).expanduser().is_dir() else model
    try:
        generation = GenerationConfig.from_pretrained(source, revision=revision)
    except OSError:  # the file is optional
        generation = None
    ids: set[int] = set()
    for owner in (generation, config, tokenizer):
        declared = getattr(owner, "eos_token_id", None)
        if declared is not None:
            ids.update([declared] if isinstance(declared, int) else declared)
    return frozenset(ids)

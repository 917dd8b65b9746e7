"""What a training recipe says: one TOML file a run, one stage a file. Every key is documented here and nowhere else."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evalsuite.errors import InvalidInput, InvalidRecipe, UnknownName
from evalsuite.tasks.registry import bundled_data, explain, set_key

__all__ = [
    "STAGES",
    "Architecture",
    "BaseRecipe",
    "Loop",
    "Optimizer",
    "Recipe",
    "SftRecipe",
    "TokenizerRecipe",
    "TrainingData",
    "load_recipe",
    "recipe_paths",
]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TrainingData(_Table):
    """``[data]``: the rows to train on."""

    generator: str
    """A training generator (see ``evalsuite.data.demo_training``)."""
    params: dict[str, Any] = {}
    """Arguments of the generator."""
    rows: Annotated[int, Field(gt=0)]
    """How many rows there must be; any other number is an error."""


class TokenizerRecipe(_Table):
    """``[tokenizer]``: a byte-level BPE with one token a digit, learned from the training rows."""

    vocab_size: Annotated[int, Field(ge=300)]
    words: str = ""
    """More text to learn merges from."""
    chat_template: str
    """Jinja, as stored with the tokenizer."""


class Architecture(_Table):
    """``[model]``: a Llama architecture; key names are those of ``transformers.LlamaConfig``."""

    hidden_size: Annotated[int, Field(gt=0)]
    intermediate_size: Annotated[int, Field(gt=0)]
    num_hidden_layers: Annotated[int, Field(gt=0)]
    num_attention_heads: Annotated[int, Field(gt=0)]
    max_position_embeddings: Annotated[int, Field(gt=0)]
    tie_word_embeddings: bool = True

    @model_validator(mode="after")
    def _heads_fit(self) -> Architecture:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of {self.num_attention_heads} heads")
        return self


class Optimizer(_Table):
    """``[optimizer]``: AdamW and its learning-rate schedule."""

    learning_rate: Annotated[float, Field(gt=0, strict=False)]
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_ratio: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.0
    """Share of the steps over which the learning rate rises from zero."""
    weight_decay: Annotated[float, Field(ge=0, strict=False)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0, strict=False)] = 1.0


class Loop(_Table):
    """``[training]``: how long, in which portions."""

    epochs: Annotated[float, Field(gt=0, strict=False)]
    batch_size: Annotated[int, Field(gt=0)]
    max_length: Annotated[int, Field(gt=0)]
    """Tokens of prompt and completion; longer rows are cut at the end."""
    threads: Annotated[int, Field(gt=0)] | None = None
    """CPU threads; their number changes the last bits of the weights. Default: what torch chooses."""


class Recipe(_Table):
    """What all stages have."""

    title: str
    stage: str
    seed: Annotated[int, Field(ge=0)] = 0
    data: TrainingData
    optimizer: Optimizer
    training: Loop
    notes: str = ""

    @property
    def content_hash(self) -> str:
        """16 hex digits over everything that can change the weights."""
        content = self.model_dump(mode="json", exclude={"title", "notes"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def steps(self) -> int:
        """Number of optimizer steps: whole epochs of batches, the last batch of an epoch possibly smaller."""
        per_epoch = -(-self.data.rows // self.training.batch_size)
        return -int(-self.training.epochs * per_epoch // 1)


class BaseRecipe(Recipe):
    """``stage = "base"``: a new tokenizer and a new model, trained on completions of plain text."""

    stage: Literal["base"]
    tokenizer: TokenizerRecipe
    model: Architecture


class SftRecipe(Recipe):
    """``stage = "sft"``: an existing model, trained on the answers of conversations."""

    stage: Literal["sft"]
    init: str
    """Where to start: a bundled model (``demo_base``), a checkpoint folder or a Hub id."""


STAGES: Mapping[str, type[Recipe]] = MappingProxyType({"base": BaseRecipe, "sft": SftRecipe})


def recipe_paths() -> dict[str, Path]:
    """Return the bundled recipes by name (``"demo/sft"``), sorted."""
    root = bundled_data("train")
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.toml"))}


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return a recipe by bundled name (``"demo/sft"``) or by the path of a TOML file.

    ``overrides`` maps dotted keys to values: ``{"optimizer.learning_rate": 1e-4}``.

    Raises:
        UnknownName: no such recipe or stage.
        InvalidRecipe: the file does not say what a recipe of its stage must say.
    """
    if name.endswith(".toml"):
        return _read(Path(name), overrides or {})
    paths = recipe_paths()
    if name not in paths:
        raise UnknownName("recipe", name, paths, hint="(or the path of a .toml file)")
    return _read(paths[name], overrides or {})


def _read(path: Path, overrides: Mapping[str, Any]) -> Recipe:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidInput(f"recipe {path} cannot be read: {problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InvalidRecipe(f"{path}: not valid TOML: {problem}") from problem
    for key, value in overrides.items():
        set_key(table, key, value)
    stage = table.get("stage")
    if stage is None:
        raise InvalidRecipe(f"{path}: missing key 'stage' (one of {', '.join(STAGES)})")
    if stage not in STAGES:
        raise UnknownName(f"stage in {path}", str(stage), STAGES)
    try:
        return STAGES[stage].model_validate(table)
    except ValidationError as problem:
        raise InvalidRecipe(f"{path}: {explain(problem, STAGES[stage])}") from problem

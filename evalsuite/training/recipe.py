"""What a training recipe says: one TOML file a run, one stage a file. Every key is documented here or with its stage.

This module has the tables that all stages share and :class:`Recipe`, which every stage's own recipe extends. Keys that
were added after a recipe was run default to ``None``, so that its content hash stays what it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Checkpoints",
    "Evaluation",
    "Log",
    "Loop",
    "Lora",
    "Optimizer",
    "Recipe",
    "Size",
    "Source",
    "Table",
    "TrainingData",
]

Template = str
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
Positive = Annotated[float, Field(gt=0, strict=False)]
Count = Annotated[int, Field(gt=0)]

#: Parts of a recipe that cannot change a weight.
_DESCRIPTIVE = frozenset({"title", "notes", "allow_overlap", "log", "checkpoints", "size"})


class Table(BaseModel):
    """A TOML table: closed, typed, frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(Table):
    """Where rows come from: exactly one of ``generator``, ``hub``, ``file`` and ``task``."""

    generator: str | None = None
    """A training generator (see ``evalsuite.data.demo_training``)."""
    params: dict[str, Any] = {}
    """Arguments of the generator."""
    hub: str | None = None
    """A dataset id on the Hub, also the path below a mirror directory."""
    config: str | None = None
    """Configuration of the Hub's dataset."""
    split: str | None = None
    """Split of the Hub's dataset; default ``train``."""
    revision: str | None = None
    """Git revision on the Hub; a mirror is used as it stands."""
    hub_file: str | None = None
    """The file to read, JSON or Parquet, of a repository on the Hub that has a loading script instead of data files,
    which no current ``datasets`` runs; with ``{{ config }}`` and ``{{ split }}``. A mirror needs none."""
    file: str | None = None
    """A local file, one JSON object a line (``.jsonl``, ``.jsonl.gz``)."""
    task: str | None = None
    """A task: its prompts become ``prompt``, its targets ``reference``. Never an unseen one."""
    columns: dict[str, Template] | None = None
    """The columns training gets, each a template over the columns that were read; default those that were read."""
    parse: list[str] | None = None
    """Columns that hold JSON as text, and are to be read as what it says."""
    layout: Literal["hh"] | None = None
    """``hh``: columns of ``\\n\\nHuman: ... \\n\\nAssistant: ...`` text become a prompt and answers as messages."""
    where: Template | None = None
    """Keep the rows for which this expression (``{{ score > 3 }}``) is true."""
    take: Count | None = None
    """Draw so many of the rows, seeded, each at most once."""
    weight: Positive | None = None
    """In a mix: the share of ``data.rows`` this source has, relative to the other weights; rows repeat if they must."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> Source:
        given = [key for key in ("generator", "hub", "file", "task", "mix") if getattr(self, key, None) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of generator, hub, file, task (or mix in [data]); found {given or 'none'}"
            )
        idle = [key for key in ("config", "split", "revision", "hub_file") if getattr(self, key) is not None]
        if idle and self.hub is None:
            raise ValueError(f"{', '.join(idle)} would do nothing: the rows are not from the Hub ('hub')")
        if self.take is not None and self.weight is not None:
            raise ValueError("give 'take' or 'weight', not both")
        return self


class TrainingData(Source):
    """``[data]``: the rows to train on, from one source or from several (``[[data.mix]]``)."""

    rows: Count
    """How many rows there must be; any other number is an error."""
    mix: list[Source] | None = None
    """Several sources, shuffled together."""


class Optimizer(Table):
    """``[optimizer]``: AdamW and its learning-rate schedule."""

    learning_rate: Positive
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_ratio: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.0
    """Share of the steps over which the learning rate rises from zero."""
    weight_decay: Annotated[float, Field(ge=0, strict=False)] = 0.0
    max_grad_norm: Positive = 1.0
    beta2: Annotated[float, Field(gt=0, lt=1)] | None = None
    """AdamW's second beta; default 0.999."""


class Loop(Table):
    """``[training]``: how long, in which portions."""

    epochs: Positive | None = None
    """Passes over the rows. Give either this or ``steps``."""
    steps: Count | None = None
    """Optimizer steps."""
    batch_size: Count
    """Rows (with rollouts: completions) behind one optimizer step, over all processes."""
    micro_batch_size: Count | None = None
    """Rows a device takes at a time; gradients are accumulated up to ``batch_size``. Default: all of its share."""
    threads: Count | None = None
    """CPU threads; their number changes the last bits of the weights. Default: what torch chooses."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Of the weights while they are trained; default ``float32`` (computing in bfloat16 on a GPU). ``bfloat16`` is for
    launchers that keep a copy in single precision (DeepSpeed, FSDP): by itself it rounds small updates away."""
    gradient_checkpointing: bool | None = None
    """Recompute activations instead of storing them; default on a GPU yes, on a CPU no."""

    def recomputes(self, *, on_gpu: bool) -> bool:
        """Whether activations are recomputed on this kind of device."""
        return on_gpu if self.gradient_checkpointing is None else self.gradient_checkpointing

    @model_validator(mode="after")
    def _has_one_length(self) -> Loop:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either 'epochs' or 'steps'")
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}"
            )
        return self


class Lora(Table):
    """``[peft]``: train low-rank adapters instead of all weights (needs peft); checkpoints hold the merged model."""

    r: Count = 16
    alpha: Positive = 32.0
    dropout: Share = 0.0
    target_modules: str | list[str] = "all-linear"


class Log(Table):
    """``[log]``: where metrics go beside ``metrics.jsonl``, and how often."""

    to: list[Literal["tensorboard", "wandb"]] = []
    every: Count = 1
    """Steps a row of ``metrics.jsonl`` stands for."""
    samples: Annotated[int, Field(ge=0)] = 4
    """Completions a row that stages with rollouts keep in ``samples.jsonl``."""


class Evaluation(Table):
    """``[evaluation]``: development tasks asked of saved checkpoints while training goes on. Never unseen ones."""

    tasks: list[str]
    every: Count
    """Steps between evaluations; each saves a checkpoint."""
    limit: Count | None = None
    """Docs a task; default all."""
    engine: str = "transformers"
    select: Literal["last", "best"] = "last"
    """Which weights the finished folder holds: the last ones, or those with the best mean development score."""


class Checkpoints(Table):
    """``[checkpoints]``: what can be gone on from after a crash."""

    every: Count | None = None
    """Steps between checkpoints; default ten times a run."""
    keep: Count = 2
    """How many of the newest stay; the best by development score stays too."""


class Size(Table):
    """``[size]``: the starting model, for the memory estimate where its config cannot be read."""

    parameters: Count
    hidden_size: Count
    layers: Count
    vocab_size: Count


class Recipe(Table):
    """What all stages have. A stage's own recipe narrows ``stage`` to its name and adds its tables."""

    #: Name of the property every training row of this stage must have, for messages: see ``evalsuite.training.data``.
    columns: ClassVar[tuple[tuple[str, ...], ...]] = ()

    title: str
    stage: str
    seed: Annotated[int, Field(ge=0)] = 0
    data: TrainingData
    optimizer: Optimizer
    training: Loop
    peft: Lora | None = None
    trl: dict[str, Any] | None = None
    """More arguments of the TRL trainer's config, by TRL's names; those that a key here decides cannot be given."""
    evaluation: Evaluation | None = None
    checkpoints: Checkpoints = Checkpoints()
    log: Log = Log()
    size: Size | None = None
    allow_overlap: str | None = None
    """Why prompts that overlap with evaluations may be trained on; kept in the checkpoint. Default: they may not."""
    notes: str = ""

    @property
    def content_hash(self) -> str:
        """16 hex digits over everything that can change the weights."""
        content = self.model_dump(mode="json", exclude=set(_DESCRIPTIVE), exclude_none=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def start(self) -> str | None:
        """Where training starts: a bundled model, a checkpoint folder or a Hub id; None for random weights."""
        return getattr(self, "init", None)

    @property
    def reward_models(self) -> tuple[str, ...]:
        """The reward models that judge completions, as the recipe names them."""
        return tuple(table.model for table in getattr(self, "rewards", None) or () if table.model is not None)

    @property
    def also_reads(self) -> tuple[str, ...]:
        """Checkpoints that other models of the stage start from."""
        return ()

    @property
    def rows_per_step(self) -> float:
        """Rows of ``[data]`` that one optimizer step uses up."""
        return self.training.batch_size

    @property
    def steps(self) -> int:
        """Number of optimizer steps: whole epochs of batches, the last batch of an epoch possibly smaller."""
        if self.training.steps is not None:
            return self.training.steps
        per_epoch = -int(-self.data.rows // self.rows_per_step)
        return -int(-(self.training.epochs or 0) * per_epoch // 1)

    @property
    def save_every(self) -> int:
        """Steps between checkpoints."""
        return self.checkpoints.every or max(1, -(-self.steps // 10))

    def changed(self, changes: Mapping[str, Any]) -> Recipe:
        """Return a copy with other values at the top level, validated again."""
        return type(self).model_validate({**self.model_dump(), **changes})

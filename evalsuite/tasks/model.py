"""What a task file says. One pydantic model per TOML table; every key is documented here and nowhere else.

Values marked *template* are Jinja over the columns of one dataset row (plus ``subtask``). A template that is exactly
one ``{{ expression }}`` keeps the value's type where a type matters (``target``, ``continuations``); any other template
renders to text.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evalsuite.data.hub_file import CONFIG_MARK, file_address
from evalsuite.split import Split, split_of

__all__ = [
    "About",
    "Check",
    "DataSource",
    "Fewshot",
    "Format",
    "JudgeConfig",
    "Metric",
    "Quirk",
    "SamplingConfig",
    "Task",
    "VerifierConfig",
    "leaks",
]

Template = str
Reference = Template | dict[str, Template]

#: Parts of a task that describe it and cannot change a score.
_DESCRIPTIVE = frozenset({"name", "path", "group", "title", "skill", "average", "about", "check"})


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataSource(_Table):
    """``[data]``: where the rows come from, and how many there must be."""

    hub: str | None = None
    """Dataset id on the Hub, also the path below a mirror directory. With ``{{ config }}`` in it, every configuration
    is a dataset of its own."""
    config: str | list[str] | None = None
    """Configuration; a list makes each configuration a subtask."""
    split: str = "test"
    revision: str | None = None
    """Git revision on the Hub; a mirror is used as it stands."""
    hub_file: str | None = None
    """The file to read, JSON or Parquet, of a repository on the Hub that has a loading script instead of data files,
    which no current ``datasets`` runs; with ``{{ config }}`` and ``{{ split }}``. A mirror needs none."""
    rows: Annotated[int, Field(gt=0)]
    """Published number of rows over all configurations; any other number is an error."""
    package: str | None = None
    """``"import_name:path/in/package.jsonl.gz"``: an installed package with the same rows, used without a mirror."""
    generator: str | None = None
    """Name of a seeded procedural generator instead of a dataset (see ``evalsuite.data.procedural``)."""
    params: dict[str, Any] = {}
    """Arguments of the generator."""
    id: Template | None = None
    """Id of a doc; default its row number."""
    subtask: Template | None = None
    """Subtask of a doc; default its configuration."""
    subtask_columns: dict[str, dict[str, str]] = {}
    """Columns that a doc gets from its subtask: name → subtask → value; ``""`` stands for all subtasks not named."""
    where: Template | None = None
    """One ``{{ expression }}`` over a row's columns; rows for which it is false are left out, before counting."""
    prepare: str | None = None
    """Name of a preparation of the rows that no template can express (see ``evalsuite.data.prepare``)."""
    columns: list[str] = []
    """The columns that are kept, default all; those that copies of a dataset fill differently stay out of hashes."""
    mirror_split: str | None = None
    """Split with another version of the rows, for a mirror that declares to have that one and not ``split``."""
    access: str = ""
    """For data behind a gate: how to get access, told when the rows cannot be read."""

    @model_validator(mode="after")
    def _has_one_source(self) -> DataSource:
        if (self.hub is None) == (self.generator is None):
            raise ValueError("give either 'hub' or 'generator'")
        return self

    @property
    def configs(self) -> list[str | None]:
        """The configurations to read, in order."""
        return list(self.config) if isinstance(self.config, list) else [self.config]

    @property
    def hubs(self) -> frozenset[str]:
        """Every dataset that is read."""
        return frozenset(hub for config in self.configs if (hub := self.place(config)[0]))

    @property
    def label(self) -> str:
        """The dataset, or datasets, as a reader is told."""
        return (self.hub or "").replace(CONFIG_MARK, "*")

    def place(self, config: str | None) -> tuple[str | None, str | None]:
        """Return the dataset that has a configuration, and the name of the configuration there."""
        if self.hub is None or CONFIG_MARK not in self.hub:
            return self.hub, config
        return self.hub.replace(CONFIG_MARK, config or ""), None

    def file_of(self, config: str | None, split: str) -> str | None:
        """Return the address of a split's file on the Hub, None where the repository is read as it stands."""
        if self.hub_file is None:
            return None
        repository = self.place(config)[0] or ""
        return file_address(repository, self.hub_file, config=config, split=split, revision=self.revision)


class Format(_Table):
    """``[format]``: how prompt and exemplars become messages (eval spec §2.1)."""

    chat: bool = True
    """False sends raw text, never through a chat template."""
    fewshot: Literal["multiturn", "singleturn"] = "multiturn"
    """Exemplars as earlier turns, or all in one user turn. Raw text is always joined as a single turn."""
    assistant_prefix: str = ""
    """Text the model's answer is made to start with."""


class Fewshot(_Table):
    """``[fewshot]``: which solved examples come before the question (eval spec §2.2)."""

    shots: Annotated[int, Field(ge=0)]
    source: Template
    """``"split:train"`` (another split of the same dataset), or a file that lm-eval ships: ``"lm-eval:path/in/tasks"``
    (see ``evalsuite.data.lm_eval_files``). A template over ``subtask`` gives every subtask exemplars of its own."""
    by_subtask: bool = False
    """From a split: each subtask's exemplars come from its own rows."""
    order: Literal["first", "sample"] = "first"
    """The first ``shots`` rows, or ``random.Random(seed).sample``: the same for every doc (of a subtask) either way."""
    seed: int = 1234
    rows: list[Annotated[int, Field(ge=0)]] = []
    """Numbers of the rows that a benchmark's authors chose, in their order, instead of ``order``. Only such rows may be
    of the split that is evaluated; they are asked too, as in the published numbers."""
    substitute: Literal["none", "held_out"] = "none"
    """For a mirror that declares to lack the source split: ``held_out`` takes rows of the evaluated split instead,
    which are then not asked, and the run counts as partial."""
    prompt: Template | None = None
    """The question as the exemplar's columns tell it; default the task's ``prompt``."""
    target: Template | None = None
    """The answer as the model should have written it; default the task's ``target``."""
    sha256: str | None = None
    """Content hash of the chosen rows (first 16 hex digits), so that a changed source is noticed."""

    @model_validator(mode="after")
    def _names_enough_rows(self) -> Fewshot:
        if 0 < len(self.rows) < self.shots:
            raise ValueError(f"shots = {self.shots}, but rows names only {len(self.rows)}")
        return self

    @property
    def differs_by_subtask(self) -> bool:
        """Whether every subtask has exemplars of its own."""
        return self.by_subtask or "{{" in self.source


class SamplingConfig(_Table):
    """``[sampling]``: decoding; see :class:`evalsuite.engines.base.Sampling`."""

    max_tokens: Annotated[int, Field(gt=0)] = 512
    temperature: Annotated[float, Field(ge=0, strict=False)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1, strict=False)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    n: Annotated[int, Field(gt=0)] = 1
    stop: list[str] = []

    @model_validator(mode="after")
    def _stops_say_something(self) -> SamplingConfig:
        if "" in self.stop:
            raise ValueError("an empty stop string would end every completion at once")
        return self

    @model_validator(mode="after")
    def _samples_differ(self) -> SamplingConfig:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("n > 1 needs a temperature above 0: greedy samples are all the same")
        return self


class VerifierConfig(_Table):
    """``[verifier]``: who judges, with which parameters."""

    name: str
    params: dict[str, Any] = {}


class JudgeConfig(_Table):
    """``[judge.NAME]``: a model that the verifier asks. Who it is, a run says with ``--judge NAME=MODEL``."""

    model: str
    """The judge of the published numbers, for the message when none is configured; ``--judge NAME`` takes it."""
    kind: Literal["generator", "encoder"] = "generator"
    """An encoder compares texts by BERTScore; it needs no engine."""
    engine: str = "auto"
    """The engine that is meant when the run does not name one."""
    max_tokens: Annotated[int, Field(gt=0)] = 128
    temperature: Annotated[float, Field(ge=0, strict=False)] = 0.0
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    """How many of the likeliest first tokens the verifier reads."""
    layer: Annotated[int, Field(gt=0)] | None = None
    """Of an encoder: the layer whose embeddings are compared; default the last."""


class Metric(_Table):
    """``[metric]``: how verdicts become the task's score."""

    name: Literal["mean", "pass_at_k", "length_controlled"] = "mean"
    """``length_controlled`` is AlpacaEval 2's win rate, see :mod:`evalsuite.length_controlled`."""
    k: Annotated[int, Field(gt=0)] = 1
    """For ``pass_at_k``: the unbiased estimate from ``sampling.n`` samples (eval spec §2.6)."""
    average: Literal["micro", "macro"] = "micro"
    """Over docs, or the unweighted mean of the subtasks' scores (eval spec §2.7)."""


class Check(_Table):
    """``[check]``: golden values that ``evalsuite check`` compares."""

    prompts: str | None = None
    """Hash of every prompt of the task as rendered for a chat model (or raw for a raw task)."""
    partial_prompts: str | None = None
    """The same for a mirror that declares to have part of the data, or another version of them."""
    known_failures: dict[str, str] = {}
    """Docs (by id) whose gold answer does not score 1, each with the reason."""


class About(_Table):
    """``[about]``: for readers."""

    source: str = ""
    licence: str = ""
    notes: str = ""
    substitute_for: str = ""
    """A benchmark whose data are not public, in whose place this one stands; their scores cannot be compared."""
    differences: list[str] = []
    """Known differences to the same benchmark in other harnesses, a sentence each."""


class Quirk(_Table):
    """``[olmes_compat.NAME]``: something OLMES does that published numbers have in them, and what would be right.

    ``--set olmes_compat.NAME=false`` corrects one, ``--set olmes_compat=false`` all of a task.
    """

    about: str
    on: bool = True
    corrected: dict[str, Any]
    """Dotted keys of this file and the values they take when the quirk is off."""


class Task(_Table):
    """A benchmark as configured: everything that decides a score, and nothing else does."""

    name: str
    path: Path
    group: str | None = None
    """The benchmark this task is a part of: a bundled file's folder inside its suite."""
    title: str
    skill: str
    average: bool = True
    """False leaves the task out of averages: another form of a benchmark that is counted already."""
    prompt: Template
    target: Reference
    description: Template = ""
    """Goes before the first question."""
    final_description: Template = ""
    """Goes after every question."""
    gold: Template | None = None
    """A completion that scores 1, where the verifier cannot derive one from the target."""
    continuations: Template | None = None
    """A list of candidate answers: makes this a log-likelihood task, judged by a log-likelihood verifier."""
    data: DataSource
    format: Format = Format()
    fewshot: Fewshot | None = None
    sampling: SamplingConfig = SamplingConfig()
    verifier: VerifierConfig
    judge: dict[str, JudgeConfig] = {}
    """The models that the verifier asks, by the names it has for them."""
    metric: Metric = Metric()
    length_mode: Literal["task", 4096] = "task"
    """4096 gives every generated answer that many tokens, as the paper says; the task files say less (§2.4)."""
    olmes_compat: dict[str, Quirk] = {}
    check: Check = Check()
    about: About = About()

    @model_validator(mode="after")
    def _fits_together(self) -> Task:
        if self.metric.name == "pass_at_k" and self.metric.k > self.sampling.n:
            raise ValueError(f"metric.k = {self.metric.k} needs sampling.n of at least {self.metric.k}")
        if self.continuations is not None and self.metric.name != "mean":
            raise ValueError("a log-likelihood task has one verdict a doc: metric.name must be 'mean'")
        if self.fewshot and not self.fewshot.rows and leaks(self.fewshot.source, self.data.split):
            raise ValueError("fewshot.source is the split being evaluated: exemplars would leak the answers")
        return self

    @property
    def split(self) -> Split:
        """The side of the wall this task is on."""
        return split_of(self.path)

    @property
    def shots(self) -> int:
        """Number of exemplars before the question."""
        return self.fewshot.shots if self.fewshot else 0

    @property
    def max_tokens(self) -> int:
        """Most tokens an answer may have."""
        return self.sampling.max_tokens if self.length_mode == "task" else self.length_mode

    @property
    def metric_label(self) -> str:
        """The metric as a leaderboard writes it."""
        name = f"pass@{self.metric.k}" if self.metric.name == "pass_at_k" else self.metric.name
        return f"{name}, macro" if self.metric.average == "macro" else name

    @property
    def content_hash(self) -> str:
        """16 hex digits over everything that can change a score and is not as it is by default.

        A key added to task files later leaves the hashes of tasks that do not use it as they are.
        """
        content = self.model_dump(mode="json", exclude=set(_DESCRIPTIVE), exclude_defaults=True)
        content["olmes_compat"] = sorted(name for name, quirk in self.olmes_compat.items() if not quirk.on)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def leaks(source: str, evaluated: str) -> bool:
    """Whether exemplars from ``source`` can be docs: ``split:test``, ``split:train+test``, ``split:test[:5]``, ..."""
    kind, _, expression = source.partition(":")
    return kind == "split" and bool(_split_names(expression) & {"all", *_split_names(evaluated)})


def _split_names(expression: str) -> set[str]:
    """Return the splits in an expression such as ``train[:5]+test``."""
    return {part.partition("[")[0].strip() for part in expression.split("+")}

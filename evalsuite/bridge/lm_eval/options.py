"""``--set lm_eval.KEY=VALUE``: how lm-eval's tasks are run. The names are those of lm-eval's command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from evalsuite.errors import InvalidInput
from evalsuite.tasks.keys import set_key
from evalsuite.tasks.registry import explain

__all__ = ["OPTION_ROOT", "LmEvalOptions", "read_options"]

OPTION_ROOT = "lm_eval"
_SAMPLING = frozenset({"max_tokens", "temperature", "top_p", "top_k", "stop"})


class LmEvalOptions(BaseModel):
    """Options of every lm-eval task in a run. Defaults are lm-eval's, except for ``bootstrap_iters``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    """Exemplars; default the task's. As in lm-eval, a task that states 0 keeps it."""
    apply_chat_template: bool = False
    """Send prompts through the model's chat template."""
    fewshot_as_multiturn: bool = True
    """With the chat template: exemplars as earlier turns, or all in one user turn."""
    system_instruction: str | None = None
    """A system message, or without the chat template what prompts begin with."""
    gen_kwargs: dict[str, Any] = {}
    """Changes to the tasks' ``generation_kwargs``: ``lm_eval.gen_kwargs.max_gen_toks=1024``."""
    metric: str | None = None
    """The score of a task that has several metrics: ``"acc_norm"``, ``"exact_match,flexible-extract"``."""
    include_path: Annotated[str, AfterValidator(lambda path: str(Path(path).resolve()))] | None = None
    """A folder with task files of one's own: their names, groups and tags go before lm-eval's."""
    fewshot_seed: int = 1234
    """Seed of the exemplars' choice."""
    bootstrap_iters: Annotated[int, Field(ge=0)] = 1000
    """Resamples for the standard error of metrics that have no closed form; lm-eval's default is 100000."""
    metadata: dict[str, Any] = {}
    """Given to tasks that build their own dataset, such as ``ruler``."""
    confirm_run_unsafe_code: bool = False
    """Run tasks that execute what the model wrote, without a sandbox."""
    sampling: dict[str, Any] = {}
    """What ``sampling.KEY`` overrides say."""


def read_options(overrides: Mapping[str, Any]) -> LmEvalOptions:
    """Return the options among a run's overrides; keys of other tables are for other tasks.

    Raises:
        InvalidInput: no such option, or an impossible value.
    """
    table: dict[str, Any] = {}
    for key, value in overrides.items():
        root, _, rest = key.partition(".")
        if root == OPTION_ROOT:
            set_key(table, rest, value)
        elif root == "sampling" and rest in _SAMPLING:
            set_key(table, key, value)
    try:
        return LmEvalOptions.model_validate(table)
    except ValidationError as problem:
        raise InvalidInput(f"--set {OPTION_ROOT}: {explain(problem, LmEvalOptions)}") from problem

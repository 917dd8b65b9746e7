"""One training run from recipe to checkpoint folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalsuite.data.demo_training import TRAINING_GENERATORS, generate_training
from evalsuite.data.load import hash_rows
from evalsuite.data.procedural import GENERATORS, Row
from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.engines.factory import resolve_model
from evalsuite.engines.identity import identity
from evalsuite.errors import DataMismatch, InvalidInput, MissingExtra, SplitViolation
from evalsuite.training.checkpoint import make_provenance, save_checkpoint
from evalsuite.training.new_model import build_model, build_tokenizer
from evalsuite.training.recipe import BaseRecipe, Recipe, SftRecipe, load_recipe
from evalsuite.training.supervised import Progress, train_supervised

__all__ = ["Plan", "plan", "train"]

_PURPOSE = "training"


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved recipe, ready to run. ``rows`` are its training rows, ``data_hash`` their content hash."""

    name: str
    recipe: Recipe
    rows: Sequence[Row]
    data_hash: str


def plan(name: str, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Read a recipe and its training data without touching a model.

    ``name`` and ``overrides`` are those of :func:`evalsuite.training.recipe.load_recipe`.

    Raises:
        UserError: the recipe or its data are not what they should be.
        SplitViolation: the data are made for evaluation.
    """
    recipe = load_recipe(name, overrides)
    source = recipe.data
    if source.generator in GENERATORS:
        raise SplitViolation(
            f"recipe {name}: data.generator {source.generator!r} makes evaluation prompts; "
            f"for training there are {', '.join(TRAINING_GENERATORS)}"
        )
    rows = generate_training(source.generator, source.params)
    if len(rows) != source.rows:
        raise DataMismatch(
            f"recipe {name}: generator {source.generator!r} made {len(rows)} rows, data.rows promises {source.rows}"
        )
    return Plan(name, recipe, rows, hash_rows(rows))


def train(name: str, output: Path, overrides: Mapping[str, Any] | None, progress: Progress) -> Path:
    """Run a recipe and return its checkpoint folder ``output``, which loads in Transformers and vLLM.

    ``progress`` is told of about twenty steps. The same recipe gives the same weights on the same machine with the same
    packages.

    Raises:
        UserError: something about recipe, data, starting model or output folder has to be put right first.
        EvalsuiteError: training itself failed.
    """
    planned = plan(name, overrides)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InvalidInput(f"output {output} exists already: remove it, or choose another folder with --output")
    for package in ("torch", "transformers", "trl"):
        if find_spec(package) is None:
            raise MissingExtra(package, "train", _PURPOSE)
    recipe = planned.recipe
    with _seeded(recipe):
        model, tokenizer, init_hash = _starting_point(planned)
        loss = train_supervised(model, tokenizer, planned.rows, recipe, progress)
    provenance = make_provenance(recipe, name=planned.name, data_hash=planned.data_hash, init_hash=init_hash, loss=loss)
    save_checkpoint(output, model, tokenizer, recipe, provenance)
    return output


@contextmanager
def _seeded(recipe: Recipe) -> Iterator[None]:
    """Seed every random source, and hold torch to the recipe's number of threads meanwhile."""
    import torch
    from transformers import set_seed

    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.training.threads or threads)
    set_seed(recipe.seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _starting_point(planned: Plan) -> tuple[Any, Any, str | None]:
    """Return model, tokenizer, and the hash of the weights they come from (None for random ones)."""
    recipe = planned.recipe
    if isinstance(recipe, BaseRecipe):
        texts = (row["prompt"] + row["completion"] for row in planned.rows)
        tokenizer = build_tokenizer(recipe.tokenizer, texts, recipe.model.max_position_embeddings)
        return build_model(recipe.model, tokenizer), tokenizer, None
    assert isinstance(recipe, SftRecipe)
    return _load(resolve_model(recipe.init))


def _load(path: str) -> tuple[Any, Any, str | None]:
    import torch
    from transformers import AutoModelForCausalLM

    opened = open_checkpoint(path, revision=None, trust_remote_code=False, purpose=_PURPOSE)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return model, opened.tokenizer, identity(path, None, None)["weights"]

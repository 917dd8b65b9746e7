"""What ``--dry-run`` shows: everything that is known of a run before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalsuite.data.hub import not_waiting_for_hub
from evalsuite.errors import DataMismatch, DataUnavailable
from evalsuite.runner.evaluate import data_mirror
from evalsuite.training.development import count_development_docs
from evalsuite.training.estimate import Estimate, estimate, this_machine
from evalsuite.training.library import load_recipe
from evalsuite.training.recipe import Recipe
from evalsuite.training.run import plan

__all__ = ["preview", "summary"]


@not_waiting_for_hub()
def preview(
    name: str, overrides: Mapping[str, Any] | None, mirror: str | Path | None
) -> tuple[dict[str, Any], Estimate | None]:
    """Return the resolved recipe, its data, steps and memory as plain data, and the estimate itself.

    Data that cannot be read here are described by what the recipe promises; other mistakes are raised as in training.
    """
    recipe = load_recipe(name, overrides)
    found = estimate(recipe, this_machine())
    unknown = {"unknown": f"the config of {recipe.start} cannot be read here, and the recipe has no [size]"}
    shown = {
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
        "recipe_hash": recipe.content_hash,
        "data": _data(name, overrides, mirror) | {"promised_rows": recipe.data.rows},
        "evaluation": _evaluation(recipe, name, mirror),
        "steps": recipe.steps,
        "checkpoint_every": recipe.save_every,
        "memory": unknown if found is None else found.to_json(),
    }
    return shown, found


def summary(shown: Mapping[str, Any]) -> list[str]:
    """Return the first things to know of a preview, a sentence each; memory is the estimate's own sentence."""
    data, docs = shown["data"], shown["evaluation"].get("docs")
    rows = f"{data['rows']:,} rows" if "rows" in data else f"{data['promised_rows']:,} rows that cannot be read here"
    said = [f"{rows}, {shown['steps']:,} steps, a checkpoint every {shown['checkpoint_every']:,}"]
    if docs:
        asked = ", ".join(f"{name} ({count:,})" for name, count in docs.items())
        every = shown["recipe"]["evaluation"]["every"]
        said.append(f"evaluated every {every:,} steps: {asked}")
    return said


def _data(name: str, overrides: Mapping[str, Any] | None, mirror: str | Path | None) -> dict[str, Any]:
    try:
        data = plan(name, overrides, mirror).data
    except DataUnavailable as problem:
        return {"unavailable": str(problem)}
    return {"rows": len(data.rows), "sources": list(data.sources), "sha256": data.sha256}


def _evaluation(recipe: Recipe, name: str, mirror: str | Path | None) -> dict[str, Any]:
    try:
        return {"docs": count_development_docs(recipe.evaluation, name, data_mirror(mirror))}
    except (DataUnavailable, DataMismatch) as problem:
        return {"unavailable": str(problem)}

"""What a checkpoint folder holds beside weights and tokenizer: how it was made, for machines and for readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evalsuite.runs.provenance import environment
from evalsuite.training.recipe import Recipe, SftRecipe

__all__ = ["Provenance", "make_provenance", "save_checkpoint"]

Provenance = dict[str, Any]

_CARD = """---
library_name: transformers
tags: [evalsuite]
---
# {title}

Made by `evalsuite train {name}` (evalsuite {evalsuite}).

| | |
|---|---|
| stage | {stage} |
| starts from | {init} |
| parameters | {parameters:,} |
| recipe | `{recipe_hash}`, seed {seed} |
| training rows | {rows:,} from generator `{generator}`, `{data_hash}` |
| steps | {steps:,} of {batch_size} rows |
| final loss | {loss:.3f} |

{notes}

`provenance.json` beside this file holds the whole recipe, the versions and the commit.
"""


def make_provenance(recipe: Recipe, *, name: str, data_hash: str, init_hash: str | None, loss: float) -> Provenance:
    """Return everything that decided these weights. ``init_hash`` is that of the weights training started from."""
    return {
        "name": name,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe.content_hash,
        "data_hash": data_hash,
        "init_weights_sha256": init_hash,
        "final_loss": loss,
        "environment": environment(),
    }


def save_checkpoint(folder: Path, model: Any, tokenizer: Any, recipe: Recipe, provenance: Provenance) -> None:
    """Write weights (safetensors), configuration, tokenizer, ``provenance.json`` and the model card ``README.md``."""
    model.config.use_cache = True  # switched off for training, and a checkpoint is for generating
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _make_portable(folder / "tokenizer_config.json")
    (folder / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    card = _CARD.format(
        title=recipe.title,
        name=provenance["name"],
        evalsuite=provenance["environment"]["evalsuite"],
        stage=recipe.stage,
        init=recipe.init if isinstance(recipe, SftRecipe) else "random weights",
        parameters=model.num_parameters(),
        recipe_hash=recipe.content_hash,
        seed=recipe.seed,
        rows=recipe.data.rows,
        generator=recipe.data.generator,
        data_hash=provenance["data_hash"],
        steps=recipe.steps,
        batch_size=recipe.training.batch_size,
        loss=provenance["final_loss"],
        notes=recipe.notes.strip(),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _make_portable(tokenizer_config: Path) -> None:
    """Name the tokenizer's class as transformers 4 does (5 knows both names), and forget where it was loaded from."""
    config = json.loads(tokenizer_config.read_text(encoding="utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    kept = {key: value for key, value in config.items() if key not in ("is_local", "local_files_only")}
    tokenizer_config.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")

"""What a checkpoint folder holds beside weights and tokenizer: how it was made, for machines and for readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.engines.factory import resolve_model
from evalsuite.runs.provenance import environment
from evalsuite.training.recipe import Recipe

__all__ = ["Provenance", "describe", "lineage_of", "make_provenance", "next_step", "write_card"]

Provenance = Mapping[str, Any]

_CARD = """---
library_name: transformers
tags: [evalsuite]
---
# {title}

Made by `evalsuite train {name}` (evalsuite {evalsuite}, commit {commit}).

{table}

{notes}

`provenance.json` beside this file holds the whole recipe, the certificate, the versions and the commit.
"""


def make_provenance(
    recipe: Recipe,
    *,
    name: str,
    data_hash: str,
    sources: Sequence[str],
    certificate: Mapping[str, Any],
    start: str | None,
    start_hash: str | None,
) -> dict[str, Any]:
    """Return everything that decides the weights of a run, before it has begun.

    ``start_hash`` is the hash of the weights training starts from, ``certificate`` what the check for overlap found.
    """
    return {
        "name": name,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe.content_hash,
        "data_hash": data_hash,
        "sources": list(sources),
        "decontamination": dict(certificate),
        "rewards": [
            table.model_dump(mode="json", exclude_none=True) for table in getattr(recipe, "rewards", None) or ()
        ],
        "init_weights_sha256": start_hash,
        "lineage": lineage_of(start),
        "environment": environment(),
    }


def lineage_of(start: str | None) -> list[dict[str, Any]]:
    """Return the checkpoints a model descends from, nearest first, as far as their folders tell."""
    if start is None:
        return []
    record = Path(start) / "provenance.json"
    if not record.is_file():
        return [{"model": start}]
    known = json.loads(record.read_text(encoding="utf-8"))
    here = {
        "model": start,
        "name": known.get("name"),
        "recipe_hash": known.get("recipe_hash"),
        "data_hash": known.get("data_hash"),
    }
    if "lineage" in known:
        return [here, *known["lineage"]]
    before = known.get("recipe", {}).get("init")  # a record of before there was a lineage
    return [here, *lineage_of(resolve_model(before) if before else None)]


def write_card(folder: Path, provenance: Provenance) -> None:
    """Complete a folder that has weights and tokenizer: the model card ``README.md``, then ``provenance.json``.

    ``provenance`` also has ``steps`` and ``final_loss``. The record is put in place at once and last: a folder that
    has it is complete.
    """
    make_loadable(folder)
    (folder / "README.md").write_text(_card(provenance), encoding="utf-8")
    draft = folder / "provenance.json.draft"
    draft.write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / "provenance.json")


def next_step(folder: Path) -> str:
    """Return what to type, or to write into a recipe, to use a finished folder."""
    recipe = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["recipe"]
    if recipe["stage"] == "reward_model":
        return f'use it in a recipe of iterative_dpo, grpo or ppo: [[rewards]] model = "{folder}"'
    if recipe["evaluation"]:
        return f"evaluate it: evalsuite run --model {folder} --tasks {','.join(recipe['evaluation']['tasks'])}"
    what = "--tasks demo_arithmetic,demo_strings" if recipe["data"]["generator"] else "--suite dev --judge none"
    return f"evaluate it: evalsuite run --model {folder} {what}"


def describe(provenance: Provenance) -> dict[str, str]:
    """Return what a reader asks first about a run, by name; of one that goes on, what is known already."""
    recipe = provenance["recipe"]
    rows = f"{recipe['data']['rows']:,}"
    if "sources" in provenance:
        rows += f" from {', '.join(provenance['sources'])}"
    facts = {
        "stage": recipe["stage"],
        "starts from": recipe.get("init") or "random weights",
        "recipe": f"`{provenance['recipe_hash']}`, seed {recipe['seed']}",
        "training rows": f"{rows}, `{provenance['data_hash']}`",
    }
    if "lineage" in provenance:
        facts["lineage"] = " ← ".join(str(one.get("name") or one["model"]) for one in provenance["lineage"]) or "none"
    if "rewards" in provenance:
        facts["rewards"] = ", ".join(map(_judge, provenance["rewards"])) or "none"
    if "decontamination" in provenance:
        facts["overlap with evaluations"] = _overlap(provenance["decontamination"])
    if provenance.get("parameters"):
        facts["parameters"] = f"{provenance['parameters']:,}"
    if "steps" in provenance:
        facts["steps"] = f"{provenance['steps']:,} of {recipe['training']['batch_size']} rows"
        facts["final loss"] = f"{provenance['final_loss']:.3f}"
        facts["weights"] = _whose(provenance.get("weights_of"))
    return facts


def _card(provenance: Provenance) -> str:
    recipe, environment = provenance["recipe"], provenance["environment"]
    rows = [f"| {name} | {value} |" for name, value in describe(provenance).items()]
    return _CARD.format(
        title=recipe["title"],
        name=provenance["name"],
        evalsuite=environment["evalsuite"],
        commit=environment["git_commit"] or "unknown",
        table="\n".join(["| | |", "|---|---|", *rows]),
        notes=recipe["notes"].strip(),
    )


def _judge(table: Mapping[str, Any]) -> str:
    return str(table.get("name") or next(table[key] for key in ("verifier", "task", "model") if key in table))


def _whose(chosen: Mapping[str, Any] | None) -> str:
    if chosen is None:
        return "of the last step"
    return f"of step {chosen['step']:,}, which had the best mean development score ({chosen['development_score']:.3f})"


def _overlap(certificate: Mapping[str, Any]) -> str:
    checked, unchecked = certificate.get("checked", {}), certificate.get("unchecked", {})
    contaminated = [name for name, found in checked.items() if found["contaminated"]]
    parts = [
        f"{len(checked)} tasks checked",
        f"{len(contaminated)} contaminated" + (f" ({', '.join(contaminated)})" if contaminated else ""),
    ]
    if unchecked:
        parts.append(f"{len(unchecked)} could not be checked")
    if certificate.get("override"):
        parts.append(f"accepted: {certificate['override']}")
    return ", ".join(parts)


def make_loadable(folder: Path) -> None:
    """Mend what training leaves in the configs: the key-value cache off, and a tokenizer class only new versions know.

    transformers 4 knows the fast tokenizer by its old name; 5 knows both.
    """
    config_file, tokenizer_file = folder / "config.json", folder / "tokenizer_config.json"
    if config_file.is_file():
        config = json.loads(config_file.read_text(encoding="utf-8"))
        if config.get("use_cache") is False:
            config_file.write_text(json.dumps({**config, "use_cache": True}, indent=2) + "\n", encoding="utf-8")
    if tokenizer_file.is_file():
        config = json.loads(tokenizer_file.read_text(encoding="utf-8"))
        if config.get("tokenizer_class") == "TokenizersBackend":
            config["tokenizer_class"] = "PreTrainedTokenizerFast"
        kept = {key: value for key, value in config.items() if key not in ("is_local", "local_files_only")}
        tokenizer_file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")

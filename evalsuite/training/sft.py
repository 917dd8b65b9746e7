"""Stages ``base`` and ``sft``: supervised training on completions by TRL's ``SFTTrainer``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from evalsuite.data.load import Row
from evalsuite.errors import InvalidRecipe
from evalsuite.training.lora import lora_config
from evalsuite.training.new_model import Architecture, TokenizerRecipe, build_model, build_tokenizer
from evalsuite.training.packing import require_separate_rows
from evalsuite.training.recipe import Count, Loop, Recipe
from evalsuite.training.stage import Context, Outcome
from evalsuite.training.starting_point import load_causal_lm, load_tokenizer
from evalsuite.training.trainer import base_arguments, make_config, run_trainer, trl_refusals

__all__ = ["BaseRecipe", "SftLoop", "SftRecipe", "sft_arguments", "train_base", "train_sft"]


class SftLoop(Loop):
    """``[training]`` of supervised stages."""

    max_length: Count
    """Tokens of prompt and completion; longer rows are cut at the end."""
    packing: bool | None = None
    """Put several rows into one sequence of ``max_length`` (TRL's best-fit packing); default no. Refused for models in
    which such rows would see each other."""
    learn: Literal["completion", "assistant", "all"] | None = None
    """Which tokens carry loss: the completion (default, rows with ``completion``), every assistant turn (rows with
    ``messages``; the chat template needs ``{% generation %}`` marks), or all of them."""
    reduction: Literal["mean", "sum"] | None = None
    """``mean`` over the tokens of a batch (default), or their ``sum`` divided by the rows of the batch: long answers
    then count for more (Tülu 3's sum loss at one row a device, eval spec §9.4)."""


class _Supervised(Recipe):
    columns: ClassVar = (("prompt", "completion"), ("messages",), ("text",))

    training: SftLoop

    @model_validator(mode="after")
    def _packs_whole_rows(self) -> _Supervised:
        if self.training.packing and self.training.reduction == "sum":
            raise ValueError("training.reduction = 'sum' counts rows, which packing mixes: choose one of them")
        return self


class BaseRecipe(_Supervised):
    """``stage = "base"``: a new tokenizer and a new model, trained on completions of plain text."""

    stage: Literal["base"]
    tokenizer: TokenizerRecipe
    model: Architecture


class SftRecipe(_Supervised):
    """``stage = "sft"``: an existing model, trained on the answers of conversations."""

    stage: Literal["sft"]
    init: str
    """Where to start: a bundled model (``demo_base``), a checkpoint folder or a Hub id."""
    chat_template: str | None = None
    """Jinja, stored with the tokenizer; default the one that is there. A token that the tokenizer puts in front of
    texts (BOS) is written in front of conversations, too."""


def train_base(context: Context[BaseRecipe]) -> Outcome:
    """Make a tokenizer and a model from nothing and train it."""
    recipe = context.recipe
    texts = (row.get("text", "") + row.get("prompt", "") + row.get("completion", "") for row in context.rows)
    tokenizer = build_tokenizer(recipe.tokenizer, texts, recipe.model.max_position_embeddings)
    return _train(context, build_model(recipe.model, tokenizer), tokenizer)


def train_sft(context: Context[SftRecipe]) -> Outcome:
    """Fine-tune an existing model."""
    recipe, start = context.recipe, context.start or ""
    tokenizer = load_tokenizer(start, recipe.chat_template)
    return _train(context, load_causal_lm(start, recipe), tokenizer)


def sft_arguments(context: Context[Any]) -> dict[str, Any]:
    """Return the arguments of TRL's ``SFTConfig``."""
    loop: SftLoop = context.recipe.training
    return {
        **base_arguments(context),
        "max_length": loop.max_length,
        "packing": bool(loop.packing),
        "completion_only_loss": True if loop.learn == "completion" else (False if loop.learn == "all" else None),
        "assistant_only_loss": loop.learn == "assistant",
    }


def _train(context: Context[Any], model: Any, tokenizer: Any) -> Outcome:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    batch_size = context.recipe.training.batch_size

    class SummedLoss(SFTTrainer):  # type: ignore[misc]
        """Divides the summed loss of the batch's tokens by its rows, where TRL divides by its tokens."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch=batch_size)

    if context.recipe.training.packing:
        require_separate_rows(model)
    kind = SummedLoss if context.recipe.training.reduction == "sum" else SFTTrainer
    with trl_refusals():
        trainer = kind(
            model=model,
            args=make_config(SFTConfig, sft_arguments(context), context.recipe),
            train_dataset=Dataset.from_list(_needed(context.rows, context.recipe.training.learn)),
            processing_class=tokenizer,
            peft_config=lora_config(context.recipe.peft, "CAUSAL_LM"),
        )
    return run_trainer(trainer, context)


def _needed(rows: Sequence[Row], learn: str | None) -> list[Row]:
    """Return the rows with the columns TRL takes.

    Raises:
        InvalidRecipe: ``training.learn`` names a part that they do not have.
    """
    columns = next(names for names in _Supervised.columns if set(names) <= rows[0].keys())
    if (learn == "completion" and "completion" not in columns) or (learn == "assistant" and columns == ("text",)):
        raise InvalidRecipe(f"training.learn = {learn!r}: rows of {' and '.join(columns)} have no {learn} of their own")
    return [{name: row[name] for name in columns} for row in rows]

"""The loop: draw, judge, measure, estimate, update.

Source: open-instruct's PPO with verifiable rewards (training spec §2.1) and *Is DPO Superior to PPO* (§2.2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from evalsuite.engines.sampling import row_seed
from evalsuite.training.ppo.experience import estimate
from evalsuite.training.ppo.measuring import Passes, join
from evalsuite.training.ppo.metrics import Clock, completion_metrics, sample_rows, solve_rates
from evalsuite.training.ppo.recipe import PpoRecipe
from evalsuite.training.ppo.reference import move_towards
from evalsuite.training.ppo.rollout import Collector, Episode, PendingRollouts, Prompt, Rollouts, prompts_of_step
from evalsuite.training.ppo.samplers import Completion, Sampler
from evalsuite.training.ppo.setup import Models, encode, make_models, make_sampler, open_start
from evalsuite.training.ppo.state import Progress, load_learners, load_progress, reference_of, save_model, save_state
from evalsuite.training.ppo.update import update
from evalsuite.training.ppo.value_model import ValueScale
from evalsuite.training.rewards import make_rewards, score
from evalsuite.training.stage import Context, Outcome, Step
from evalsuite.training.starting_point import load_tokenizer

__all__ = ["Trainer", "train_ppo"]


def train_ppo(context: Context[PpoRecipe]) -> Outcome:
    """Train by PPO; see :mod:`evalsuite.training.stage`.

    Raises:
        UserError: recipe, prompts, models or machine do not fit together.
        EvalsuiteError: a loss is no number any more, or a reward failed; complete checkpoints stay.
    """
    recipe, start = context.recipe, context.start or ""
    checkpoint, tokenizer = open_start(start)
    prompts = encode(context.rows, tokenizer, recipe)
    models = make_models(recipe, start, reference_of(context.resume, start))
    progress = Progress(0, recipe.kl.coefficient(), ValueScale(recipe.value.decay if recipe.value.normalize else None))
    if context.resume is not None:
        progress = load_progress(context.resume)
        load_learners(context.resume, models)
    device = str(models.policy.accelerator.device)
    judge = partial(score, make_rewards(recipe.rewards, eos_token_ids=sorted(checkpoint.eos_ids), device=device))
    sampler = make_sampler(recipe, start, tokenizer, models.policy)
    collector = Collector(sampler, judge, prompts, decode=partial(tokenizer.decode, ()), eos_ids=checkpoint.eos_ids)
    with ThreadPoolExecutor(1, "rollouts") as background:
        try:
            return Trainer(context, models, sampler, collector, prompts, background).run(progress)
        finally:
            background.shutdown(cancel_futures=True)
            collector.close()
            sampler.close()


@dataclass(frozen=True, slots=True)
class Trainer:
    """The parts of a run; :meth:`run` puts them to work. Every process of the run has one, and they go in step."""

    context: Context[PpoRecipe]
    models: Models
    sampler: Sampler
    collector: Collector
    prompts: Sequence[Prompt]
    background: ThreadPoolExecutor

    def run(self, progress: Progress) -> Outcome:
        """Take the steps that are left and leave the policy in the context's folder."""
        recipe, policy = self.context.recipe, self.models.policy
        tokenizer = load_tokenizer(self.context.start or "")
        loss = math.nan
        while progress.step < recipe.steps:
            progress, loss = self._step(progress)
            if self.context.due(progress.step):
                folder = self.context.folder.checkpoint(progress.step)
                save_state(folder, self.models, progress, tokenizer, moving=recipe.reference.ema > 0)
                self.context.saved(folder, progress.step)
                policy.accelerator.wait_for_everyone()
        save_model(policy, self.context.folder.path, tokenizer)
        return Outcome(recipe.steps, loss, int(policy.accelerator.unwrap_model(policy.model).num_parameters()))

    def _step(self, before: Progress) -> tuple[Progress, float]:
        """Take one step; return the progress after it and its loss."""
        recipe, models, clock = self.context.recipe, self.models, Clock()
        drawn = self._drawn(before)
        clock.lap("generating")
        ahead = self._draw_ahead(before.step + 1)
        share = self._measure(drawn)
        clock.lap("measuring")
        rollouts = drawn.result()
        clock.lap("waiting_for_rewards")
        episodes = self._gather(rollouts.episodes)
        lengths = [len(episode.tokens) for episode in episodes]
        measured = join(share, lengths, models.policy.accelerator, reference=models.reference is not None)
        prompts = [self.prompts[episode.prompt].tokens for episode in episodes]
        experience, scale = estimate(
            recipe, prompts, episodes, measured, beta=before.coefficient.beta, scale=before.scale
        )
        changes = update(recipe, experience, models.policy, models.value, before.step)
        if models.reference is not None and recipe.reference.ema:
            move_towards(models.reference, models.policy.model, recipe.reference.ema)
        clock.lap("updating")
        if ahead is None:
            self.sampler.synchronise(models.policy.model)
        following = None if ahead is None else self._gather(ahead.result().episodes)
        clock.lap("generating")
        numbers = {**completion_metrics(recipe, episodes, measured, experience), **changes}
        progress = Progress(
            step=before.step + 1,
            coefficient=before.coefficient.after(numbers["completion_kl"], len(episodes)),
            scale=scale,
            tokens=before.tokens + sum(lengths) + sum(map(len, prompts)),
            ahead=following,
        )
        loss = changes["policy_loss"] + recipe.value.coefficient * changes["value_loss"]
        seconds = {**clock.laps, "judging": rollouts.judging}
        self._report(before, progress, episodes, loss, numbers, seconds, clock.total)
        return progress, loss

    def _drawn(self, progress: Progress) -> PendingRollouts:
        """Return this process's episodes of the next step: those drawn ahead, or new ones."""
        if progress.ahead is None:
            return self.collector.draw(self._wanted(progress.step))
        accelerator = self.models.policy.accelerator
        return PendingRollouts(progress.ahead[accelerator.process_index :: accelerator.num_processes], (), 0.0)

    def _draw_ahead(self, step: int) -> Future[Rollouts] | None:
        """Start drawing the episodes of a later step with the policy as it is now, if the recipe says so."""
        recipe = self.context.recipe
        if not recipe.rollouts.ahead or step >= recipe.steps:
            return None
        self.sampler.synchronise(self.models.policy.model)
        return self.background.submit(lambda: self.collector.draw(self._wanted(step)).result())

    def _wanted(self, step: int) -> list[tuple[int, int]]:
        """Return this process's prompts of a step, each with the seed of its completion."""
        recipe, accelerator = self.context.recipe, self.models.policy.accelerator
        samples = recipe.rollouts.samples_per_prompt
        count = recipe.rollouts.batch_size // samples
        places = prompts_of_step(step, count, len(self.prompts), recipe.seed)
        wanted = [
            (place, row_seed(recipe.seed, f"completion {step}", number))
            for number, place in enumerate(place for place in places for _ in range(samples))
        ]
        return wanted[accelerator.process_index :: accelerator.num_processes]

    def _measure(self, drawn: PendingRollouts) -> Any:
        """Return what the models say of the completions, (4, n, t)."""
        recipe, episodes = self.context.recipe, drawn.episodes
        passes = Passes(self.models, recipe.training.micro_batch_size or len(episodes), recipe.rollouts.temperature)
        completions = drawn.completions or [Completion(episode.tokens) for episode in episodes]
        return passes.over([self.prompts[episode.prompt].tokens for episode in episodes], completions)

    def _gather(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Return all processes' episodes in the order of their places."""
        from accelerate.utils import gather_object

        processes = self.models.policy.accelerator.num_processes
        joined: list[Episode] = gather_object(list(episodes))
        count = len(episodes)
        return [joined[place % processes * count + place // processes] for place in range(len(joined))]

    def _report(
        self,
        before: Progress,
        after: Progress,
        episodes: Sequence[Episode],
        loss: float,
        numbers: Mapping[str, float],
        seconds: Mapping[str, float],
        total: float,
    ) -> None:
        recipe = self.context.recipe
        if after.step % recipe.log.every and after.step < recipe.steps:
            return
        known = ("reward", "entropy", "length", "truncated", "kl")
        more = {name: value for name, value in numbers.items() if name not in known}
        self.context.report(
            Step(
                step=after.step,
                steps=recipe.steps,
                loss=loss,
                learning_rate=self.models.policy.learning_rate(before.step * recipe.ppo.epochs * recipe.minibatches),
                grad_norm=numbers["policy_grad_norm"],
                reward=numbers["reward"],
                solved=solve_rates(episodes),
                kl=numbers["kl"] if recipe.needs_reference else None,
                entropy=numbers["entropy"],
                length=numbers["length"],
                truncated=numbers["truncated"],
                tokens=after.tokens,
                tokens_per_second=(after.tokens - before.tokens) / total,
                more={**more, "beta": before.coefficient.beta, **{f"seconds/{k}": v for k, v in seconds.items()}},
            )
        )
        self.context.keep_samples(after.step, sample_rows(recipe, self.prompts, episodes))

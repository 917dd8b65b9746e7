"""PPO beside TRL's GRPO and RLOO: the same model, prompts, verifier, number of completions and learning rate.

A step is 128 completions: four a prompt for PPO, and the groups of eight that TRL's trainers take by default. PPO
learns from them once, in four minibatches, each in two micro-batches, which spares padding; TRL's trainers do so in one
(their default) and, named ``GRPO/4`` and ``RLOO/4``, in four as well. All are in one process, on one thread, and take a
step in turn: a machine's pace changes within a minute, and steps that follow each other meet the same. Times are CPU
seconds, and wall-clock seconds beside them. What verifiers cost is told by two numbers: the share of a step that waits
for them, and the time they take for a step's completions on their own.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from evalsuite.engines.factory import resolve_model  # noqa: E402
from evalsuite.rewards import reward_function  # noqa: E402
from evalsuite.training.rewards import make_rewards, score  # noqa: E402
from tests.training.ppo.harness import Run, arithmetic_rows, recipe_of  # noqa: E402

STEPS = 60
COMPLETIONS = 128
MINIBATCHES = 4
SEEDS = 3
RATE = 3e-4


@dataclass(frozen=True)
class Found:
    """A run: reward of its last ten steps, CPU and wall-clock seconds of each, share of a step spent waiting."""

    reward: float
    cpu: tuple[float, ...]
    wall: tuple[float, ...]
    waiting: float = 0.0


class Clock:
    """Times the steps of one run, and lets the other runs take theirs after each."""

    def __init__(self, pause):
        self.steps = []
        self._pause = pause
        self._go_on()

    def _go_on(self):
        self._began = time.process_time(), time.perf_counter()

    def step_ends(self):
        """Note the step, and come back when it is this run's turn again."""
        now = time.process_time(), time.perf_counter()
        self.steps.append(tuple(end - start for start, end in zip(self._began, now, strict=True)))
        self._pause()
        self._go_on()

    def found(self, rewards, waiting=0.0):
        assert len(rewards) == len(self.steps) == STEPS
        # The first step has the start in it.
        cpu, wall = zip(*self.steps[1:], strict=True)
        return Found(statistics.mean(rewards[-10:]), cpu, wall, waiting)


def in_turn(jobs):
    """Call every job with a clock of its own in a thread of its own; only one is running at any time."""
    gates = {name: threading.Semaphore(0) for name in jobs}
    turns = deque(jobs)

    def pause():
        mine = turns[0]
        numbers = torch.get_rng_state(), random.getstate(), numpy.random.get_state()
        turns.rotate(-1)
        gates[turns[0]].release()
        gates[mine].acquire()
        for restore, state in zip((torch.set_rng_state, random.setstate, numpy.random.set_state), numbers, strict=True):
            restore(state)

    def work(name):
        gates[name].acquire()
        try:
            torch.set_num_threads(1)
            return jobs[name](Clock(pause))
        finally:
            turns.remove(name)
            if turns:
                gates[turns[0]].release()

    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = {name: pool.submit(work, name) for name in jobs}
        gates[turns[0]].release()
        return {name: future.result() for name, future in futures.items()}


def ppo(folder, rows, seed, clock):
    recipe = recipe_of(
        seed=seed,
        data={"rows": len(rows)},
        training={
            "steps": STEPS,
            "batch_size": COMPLETIONS // MINIBATCHES,
            "micro_batch_size": COMPLETIONS // MINIBATCHES // 2,
        },
        rollouts={"batch_size": COMPLETIONS, "samples_per_prompt": 4, "max_tokens": 14},
        scores={"without_eos": None},
        optimizer={"learning_rate": RATE, "beta2": 0.95},
        value={"learning_rate": 1e-3, "coefficient": 0.5},
        kl={"beta": 0.0},
        ppo={"epochs": 1},
        checkpoints={"every": 10**6},
    )

    class Timed(Run):
        def report(self, step):
            super().report(step)
            clock.step_ends()

    steps = Timed(folder, resolve_model("demo"), recipe, rows=rows).steps
    names = ("generating", "measuring", "waiting_for_rewards", "updating")
    waiting = [s.more["seconds/waiting_for_rewards"] / sum(s.more[f"seconds/{name}"] for name in names) for s in steps]
    return clock.found([step.reward for step in steps], statistics.mean(waiting))


def judging(rows):
    """Return the CPU seconds of judging as many right answers as a step has completions, with nothing beside it."""
    rewards = make_rewards(recipe_of().rewards, eos_token_ids=[2])
    rows = rows[:COMPLETIONS]
    taken = []
    for _ in range(20):
        began = time.process_time()
        scored = score(rewards, rows, [row["answer"] for row in rows], [[2]] * len(rows))
        taken.append(time.process_time() - began)
        assert scored.totals == [1.0] * COMPLETIONS
    return statistics.median(taken)


def trl(kind, minibatches):
    """The same of one of TRL's trainers, with groups of 8 completions."""

    def run(folder, rows, seed, clock):
        import trl
        from datasets import Dataset
        from transformers import PrinterCallback, TrainerCallback

        class Listener(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if state.global_step % minibatches == 0:
                    clock.step_ends()

            def on_log(self, args, state, control, logs=None, **_):
                if "reward" in logs:
                    rewards.append(float(logs["reward"]))

        rewards: list[float] = []
        arguments = getattr(trl, f"{kind}Config")(
            output_dir=str(folder),
            seed=seed,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            max_steps=STEPS * minibatches,
            model_init_kwargs={"dtype": "float32"},
            num_generations=8,
            per_device_train_batch_size=COMPLETIONS // minibatches,
            steps_per_generation=minibatches,
            max_completion_length=14,
            learning_rate=RATE,
            adam_beta2=0.95,
            beta=0.0,
            logging_steps=minibatches,
        )
        trainer = getattr(trl, f"{kind}Trainer")(
            model=resolve_model("demo"),
            reward_funcs=[reward_function("exact_match", reference="answer")],
            args=arguments,
            train_dataset=Dataset.from_list([{"prompt": row["prompt"], "answer": row["answer"]} for row in rows]),
            callbacks=[Listener()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return clock.found(rewards)

    return run


RUNS = {
    "PPO": ppo,
    "GRPO": trl("GRPO", 1),
    "RLOO": trl("RLOO", 1),
    "GRPO/4": trl("GRPO", MINIBATCHES),
    "RLOO/4": trl("RLOO", MINIBATCHES),
}


@pytest.mark.benchmark
@pytest.mark.timeout(3600)
def test_ppo_learns_as_much_as_grpo_and_rloo_in_hardly_more_time(tmp_path):
    threads = torch.get_num_threads()
    rows = arithmetic_rows()
    found: dict[str, list[Found]] = {name: [] for name in RUNS}
    for seed in range(1, SEEDS + 1):
        folders = {name: tmp_path / f"{name.replace('/', '-')}-{seed}" for name in RUNS}
        for name, one in in_turn({name: partial(run, folders[name], rows, seed) for name, run in RUNS.items()}).items():
            found[name].append(one)
    for name, runs in found.items():
        each = ", ".join(f"{one.reward:.3f}" for one in runs)
        cpu, wall = (ratio(runs, found["GRPO"], clock) for clock in ("cpu", "wall"))
        taken = statistics.median(seconds for one in runs for seconds in one.cpu)
        print(
            f"{name:7} reward {statistics.mean(one.reward for one in runs):.3f} ({each}),",
            f"{1e3 * taken / COMPLETIONS:.2f} ms of CPU a completion,",
            f"GRPO's CPU time x {cpu:.2f}, wall-clock x {wall:.2f}",
        )
    torch.set_num_threads(1)
    waiting = statistics.mean(one.waiting for one in found["PPO"])
    alone = judging(rows) / statistics.median(seconds for one in found["PPO"] for seconds in one.cpu)
    torch.set_num_threads(threads)
    print(f"verifiers: {waiting:.2%} of a step is waiting for them, alone they take {alone:.2%} of a step's CPU time")
    rewards = {name: statistics.mean(one.reward for one in runs) for name, runs in found.items()}
    assert rewards["PPO"] >= max(rewards["GRPO"], rewards["RLOO"])
    assert rewards["PPO"] >= max(rewards.values()) - 0.01  # less than seeds are apart
    assert ratio(found["PPO"], found["GRPO"], "cpu") <= 1.3
    assert waiting < 0.03 and alone < 0.03


def ratio(runs, others, clock):
    """Median over all steps of one's time by the other's in the same turn."""
    return statistics.median(
        mine / theirs
        for one, two in zip(runs, others, strict=True)
        for mine, theirs in zip(getattr(one, clock), getattr(two, clock), strict=True)
    )

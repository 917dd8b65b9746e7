"""Whole runs of a tiny model: reproducible, resumable, and stopped by what must stop them."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from evalsuite.errors import EvalsuiteError, InvalidRecipe  # noqa: E402
from evalsuite.training.ppo.learner import Learner  # noqa: E402
from evalsuite.training.ppo.state import load_progress  # noqa: E402
from evalsuite.verifiers.base import TextVerifier  # noqa: E402
from evalsuite.verifiers.verdict import Verdict  # noqa: E402
from tests.training.ppo.harness import ROWS, Run, Stopped, recipe_of  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]

#: Everything that has a state of its own: value scale, adaptive β, moving reference, epochs, warm-up.
EVERYTHING = {
    "value": {"normalize": True, "decay": 0.9},
    "kl": {"beta": 0.1, "target": 0.01, "horizon": 64, "estimator": "k3"},
    "reference": {"ema": 0.2},
    "optimizer": {"learning_rate": 1e-2, "schedule": "cosine", "warmup_ratio": 0.25, "weight_decay": 0.1},
    "rollouts": {"samples_per_prompt": 2},
    "scores": {"without_eos": -1.0, "clip": 5, "whiten": True},
}


def weights(folder):
    from safetensors.torch import load_file

    return load_file(Path(folder) / "model.safetensors")


def assert_equal_weights(one, other):
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    different = [name for name, tensor in first.items() if not torch.equal(tensor, second[name])]
    assert not different


def without_time(step):
    row = step.to_json()
    row.pop("tokens_per_second")
    row["more"] = {name: value for name, value in row["more"].items() if not name.startswith("seconds/")}
    return row


def test_a_run_reports_every_step_and_leaves_a_checkpoint_that_loads(tiny, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = Run(tmp_path, tiny, recipe_of())
    assert [step.step for step in run.steps] == [1, 2, 3, 4] and run.steps[-1].steps == 4
    assert run.outcome.steps == 4 and run.outcome.loss == run.steps[-1].loss
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert model.num_parameters() == run.outcome.parameters
    assert tokenizer("Q:")["input_ids"]
    last = run.steps[-1]
    assert last.kl is not None and 0 < last.entropy < math.log(model.config.vocab_size)
    assert 1 <= last.length <= 4 and 0 <= last.truncated <= 1 and last.solved.keys() == {"exact_match"}
    assert {"clip_fraction", "value_loss", "ratio", "explained_variance", "beta"} <= last.more.keys()
    assert run.samples[0]["prompt"].startswith("Q: What is") and "completion" in run.samples[0]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_first_update_sees_ratios_of_one(tiny, tmp_path, temperature):
    """One epoch of one minibatch: sampled, measured and updated policies are one, or something leaks between them."""
    rollouts = {"temperature": temperature}
    recipe = recipe_of(training={"steps": 1, "batch_size": 8}, ppo={"epochs": 1}, rollouts=rollouts)
    (step,) = Run(tmp_path, tiny, recipe).steps
    assert step.more["ratio"] == pytest.approx(1, abs=1e-5)
    assert step.more["policy_change"] == pytest.approx(0, abs=1e-9)
    assert step.kl == pytest.approx(0, abs=1e-5)
    assert step.more["clip_fraction"] == 0


def test_every_update_has_its_place_in_the_schedule(tiny, tmp_path, monkeypatch):
    """Two steps of two epochs of two minibatches: eight updates, and the optimizer takes what the schedule says."""
    used: dict[str, list[float]] = {"policy": [], "value model": []}
    original = Learner.descend

    def noted(self, *arguments):
        found = original(self, *arguments)
        used[self.name].append(self.optimizer.param_groups[0]["lr"])
        return found

    monkeypatch.setattr(Learner, "descend", noted)
    optimizer = {"learning_rate": 8e-4, "warmup_ratio": 0.25, "schedule": "linear"}
    Run(tmp_path, tiny, recipe_of(training={"steps": 2}, optimizer=optimizer, value={"learning_rate": 8e-3}))
    shares = [0, 1 / 2, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert used["policy"] == pytest.approx([8e-4 * share for share in shares])
    assert used["value model"] == pytest.approx([8e-3 * share for share in shares])


def test_the_same_seed_gives_the_same_run_and_another_one_another(tiny, tmp_path):
    first, again = (Run(tmp_path / name, tiny, recipe_of()) for name in ("first", "again"))
    assert [without_time(step) for step in first.steps] == [without_time(step) for step in again.steps]
    assert_equal_weights(tmp_path / "first", tmp_path / "again")
    Run(tmp_path / "other", tiny, recipe_of(seed=2))
    with pytest.raises(AssertionError):
        assert_equal_weights(tmp_path / "first", tmp_path / "other")


def test_micro_batches_change_nothing_but_rounding(tiny, tmp_path):
    Run(tmp_path / "whole", tiny, recipe_of(training={"micro_batch_size": 4}))
    Run(tmp_path / "single", tiny, recipe_of(training={"micro_batch_size": 1}))
    whole, single = weights(tmp_path / "whole"), weights(tmp_path / "single")
    for name, tensor in whole.items():
        torch.testing.assert_close(single[name], tensor, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_resumed_run_equals_one_that_was_never_stopped(tiny, tmp_path, ahead):
    changes = {**EVERYTHING, "rollouts": {"samples_per_prompt": 2, "ahead": ahead}}
    recipe = recipe_of(training={"steps": 5}, **changes)
    whole = Run(tmp_path / "whole", tiny, recipe)
    with pytest.raises(Stopped):
        Run(tmp_path / "parts", tiny, recipe, stop_after=2)
    checkpoint = tmp_path / "parts" / "checkpoints" / "checkpoint-2"
    assert load_progress(checkpoint).step == 2
    torch.manual_seed(999)  # a new process has other random states
    rest = Run(tmp_path / "parts", tiny, recipe, resume=checkpoint)
    assert [without_time(step) for step in rest.steps] == [without_time(step) for step in whole.steps[2:]]
    assert_equal_weights(tmp_path / "whole", tmp_path / "parts")


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training.ppo.harness import Run, recipe_of
class Killed(Run):
    def saved(self, checkpoint, step):
        super().saved(checkpoint, step)
        if step == 4:
            os.kill(os.getpid(), signal.SIGKILL)
import torch
torch.set_num_threads(1)
Killed(Path(sys.argv[2]), Path(sys.argv[1]), recipe_of(training={"steps": 6}))
"""


@pytest.mark.slow
def test_a_killed_process_is_gone_on_from(tiny, tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tiny), str(tmp_path / "killed")], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    recipe = recipe_of(training={"steps": 6})
    whole = Run(tmp_path / "whole", tiny, recipe)
    rest = Run(tmp_path / "killed", tiny, recipe, resume=tmp_path / "killed" / "checkpoints" / "checkpoint-4")
    assert [without_time(step) for step in rest.steps] == [without_time(step) for step in whole.steps[4:]]
    assert_equal_weights(tmp_path / "whole", tmp_path / "killed")


def test_drawing_ahead_learns_from_the_policy_before(tiny, tmp_path):
    """Step 2's completions are those of the policy that step 1 began with, as if it had never moved."""
    still = {"optimizer": {"learning_rate": 1e-12}, "value": {"learning_rate": 1e-12}}
    fast = {"optimizer": {"learning_rate": 0.05}, "value": {"learning_rate": 1e-12}}
    texts = {}
    for name, changes in {"still": still, "ahead": fast, "exact": fast}.items():
        recipe = recipe_of(
            training={"steps": 3}, rollouts={"ahead": int(name == "ahead")}, log={"samples": 8}, **changes
        )
        run = Run(tmp_path / name, tiny, recipe)
        texts[name] = [[row["completion"] for row in run.samples if row["step"] == step] for step in (1, 2, 3)]
    assert texts["ahead"][:2] == texts["still"][:2]
    assert texts["exact"][1] != texts["still"][1]
    assert texts["ahead"][2] != texts["still"][2]


def test_a_reference_that_follows_all_the_way_is_the_policy(tiny, tmp_path):
    """With a share of 1 the reference is the last policy, so the divergence at the next step's start is 0."""
    follows = Run(tmp_path / "follows", tiny, recipe_of(reference={"ema": 1.0}, optimizer={"learning_rate": 1e-2}))
    stays = Run(tmp_path / "stays", tiny, recipe_of(optimizer={"learning_rate": 1e-2}))
    assert all(abs(step.kl) < 1e-5 for step in follows.steps)
    assert stays.steps[-1].kl != pytest.approx(0, abs=1e-3)


def test_the_price_follows_the_divergence_of_whole_completions(tiny, tmp_path):
    """With what the second step will measure as its target, the price after it is the one before."""
    moving = {"training": {"steps": 3}, "optimizer": {"learning_rate": 1e-2}}
    second = Run(tmp_path / "fixed", tiny, recipe_of(kl={"estimator": "k3"}, **moving)).steps[1]
    target = second.more["completion_kl"]
    assert target == pytest.approx(second.kl * second.length) and target > 1.25 * second.kl > 0
    kl = {"estimator": "k3", "target": target, "horizon": 80}
    betas = [step.more["beta"] for step in Run(tmp_path / "adaptive", tiny, recipe_of(kl=kl, **moving)).steps]
    assert betas == pytest.approx([0.05, 0.05 * (1 - 0.2 * 8 / 80), 0.05 * (1 - 0.2 * 8 / 80)])


def test_without_a_price_no_reference_is_loaded(tiny, tmp_path):
    run = Run(tmp_path, tiny, recipe_of(kl={"beta": 0.0}, training={"steps": 1}))
    assert run.steps[0].kl is None and run.steps[0].more["completion_kl"] == 0


def test_what_is_learned_is_rewarded(tiny, tmp_path):
    """A verifier that likes short answers: completions get shorter, and its rewards go up."""
    recipe = recipe_of(
        training={"steps": 25, "batch_size": 16, "micro_batch_size": 16},
        rollouts={"batch_size": 16, "max_tokens": 6},
        rewards=[{"verifier": "length", "params": {"maximum": 4, "unit": "characters"}, "reference": "answer"}],
        optimizer={"learning_rate": 1e-2},
        kl={"beta": 0.0},
    )
    steps = Run(tmp_path, tiny, recipe).steps
    assert sum(step.reward for step in steps[-5:]) > sum(step.reward for step in steps[:5]) + 2


@dataclass(frozen=True)
class Broken(TextVerifier):
    """Fails on every completion."""

    def judge(self, completion, reference):
        raise RuntimeError("no such tool")


@dataclass(frozen=True)
class Choosy(TextVerifier):
    """Has a verdict on some references only."""

    def judge(self, completion, reference):
        return Verdict.error("no idea") if int(reference) % 2 else Verdict.correct(completion)


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_reward_that_fails_everywhere_stops_the_run_and_keeps_the_checkpoint(tiny, tmp_path, ahead):
    Run(tmp_path, tiny, recipe_of(training={"steps": 3}))
    broken = [{"verifier": f"{__name__}:Broken", "reference": "answer"}]
    with pytest.raises(EvalsuiteError, match="Broken"):
        Run(
            tmp_path,
            tiny,
            recipe_of(rewards=broken, rollouts={"ahead": ahead}),
            resume=tmp_path / "checkpoints" / "checkpoint-2",
        )
    assert (tmp_path / "checkpoints" / "checkpoint-2" / "provenance.json").is_file()


def test_completions_without_a_verdict_carry_no_loss(tiny, tmp_path):
    recipe = recipe_of(
        rewards=[{"verifier": f"{__name__}:Choosy", "reference": "answer"}],
        scores={"without_eos": None},
        training={"steps": 2},
    )
    steps = Run(tmp_path, tiny, recipe).steps
    odd = sum(int(row["answer"]) % 2 for row in ROWS) / len(ROWS)
    assert 0 < steps[0].more["unjudged"] < 1 and odd == 0.5
    assert list(steps[0].solved.values()) == [1.0]


def test_a_loss_that_is_no_number_stops_the_run_before_it_reaches_the_weights(tiny, tmp_path):
    with pytest.raises(EvalsuiteError, match=r"the loss of the (policy|value model) is (nan|inf) after \d+ updates"):
        Run(tmp_path, tiny, recipe_of(optimizer={"learning_rate": 1e30}))
    assert not (tmp_path / "model.safetensors").exists()


def test_batches_that_cannot_be_spread_are_refused(tiny, tmp_path):
    with pytest.raises(InvalidRecipe, match=r"batch_size 4 cannot be spread over 1 processes in portions .* 3"):
        Run(
            tmp_path,
            tiny,
            recipe_of().model_copy(
                update={"training": recipe_of().training.model_copy(update={"micro_batch_size": 3})}
            ),
        )


def test_prompts_that_are_too_long_are_left_out(tiny, tmp_path, caplog):
    long = [*ROWS, {"prompt": "word " * 200, "answer": "1"}]
    run = Run(tmp_path, tiny, recipe_of(training={"steps": 1}), rows=long)
    assert "1 of 25 prompts" in caplog.text and run.steps
    with pytest.raises(InvalidRecipe, match="no prompt has at most 1 tokens"):
        Run(tmp_path / "none", tiny, recipe_of(rollouts={"max_prompt_tokens": 1}), rows=long)


@pytest.mark.parametrize(
    ("rollouts", "said"),
    [
        ({"max_tokens": 500}, "prompts of 1 and completions of 500 tokens do not fit into the model's context of 128"),
        ({"max_tokens": 100, "max_prompt_tokens": 29}, "prompts of 29 and completions of 100 tokens do not fit"),
    ],
)
def test_lengths_beyond_the_models_context_are_refused(tiny, tmp_path, rollouts, said):
    with pytest.raises(InvalidRecipe, match=said):
        Run(tmp_path, tiny, recipe_of(rollouts=rollouts))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from tests.training.ppo.harness import Run, recipe_of
import torch
torch.set_num_threads(1)
class Filling(Run):
    def saved(self, checkpoint, step):
        super().saved(checkpoint, step)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
Filling(Path(sys.argv[2]), Path(sys.argv[1]), recipe_of())
"""


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tiny, tmp_path):
    """Files may not grow any more after the first checkpoint, as on a full disk."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tiny), str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    complete = [path.name for path in (tmp_path / "checkpoints").iterdir() if (path / "provenance.json").is_file()]
    assert complete == ["checkpoint-2"]
    Run(tmp_path, tiny, recipe_of(), resume=tmp_path / "checkpoints" / "checkpoint-2")

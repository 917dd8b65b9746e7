"""What fits: counted by hand for known models, and refused in one line where it cannot."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from evalsuite.errors import InvalidInput
from evalsuite.training.estimate import Machine, estimate, lost_updates, model_size
from evalsuite.training.library import load_recipe

pytest.importorskip("transformers")

GB = 1e9
LLAMA_8B = 8_030_261_248
LAPTOP = Machine(16 * GB, None, 1, frozenset())
NODE = Machine(80 * GB, "8 × H100", 8, frozenset({"weights", "gradients", "optimizer"}))


def test_the_size_of_a_new_model_is_that_of_the_model_it_becomes():
    base = load_recipe("demo/base")
    made = model_size(load_recipe("demo/sft"))
    assert model_size(base).parameters == pytest.approx(made.parameters, rel=0.001)
    assert made.parameters == 623_232  # as the model's card says


def test_the_state_of_full_fine_tuning_is_four_copies():
    """Weights, gradients and two moments, in 16 bits: 8 bytes a parameter; DPO keeps a reference beside them."""
    sft, dpo = (estimate(load_recipe(f"tulu3_8b/{stage}"), LAPTOP) for stage in ("sft", "dpo"))
    assert sft.state == 8 * LLAMA_8B
    assert dpo.state == 10 * LLAMA_8B
    assert not sft.fits


def test_a_pair_is_two_sequences():
    changes = {"training.max_length": 1024, "training.batch_size": 2, "training.micro_batch_size": 2}
    sft, dpo = (estimate(load_recipe(f"tulu3_8b/{stage}", changes), LAPTOP) for stage in ("sft", "dpo"))
    assert dpo.parts["activations"] == 2 * sft.parts["activations"] > 0


def test_processes_share_the_state_and_keep_a_copy_in_single_precision():
    """Weights and gradients in 16 bits, copy and moments in 32, the reference in 16: 2 + 2 + 12 + 2 bytes."""
    found = estimate(load_recipe("tulu3_8b/dpo"), NODE)
    assert found.state == pytest.approx(18 * LLAMA_8B / 8)
    assert found.fits


def test_ppo_has_a_value_model_that_learns():
    found = estimate(load_recipe("tulu3_8b/rlvr"), NODE)
    assert found.parts["value"] == pytest.approx(8 * found.parts["reference"])


@pytest.mark.parametrize(
    ("recipe", "changes", "machine", "warned"),
    [
        ("tulu3_8b/dpo", {}, LAPTOP, True),
        ("tulu3_8b/dpo", {}, NODE, False),
        ("tulu3_8b/dpo", {"peft": {"r": 16}}, LAPTOP, False),
        ("tulu3_8b/dpo", {"training.dtype": "float32"}, LAPTOP, False),
        ("demo/sft", {}, LAPTOP, False),
    ],
)
def test_updates_that_would_be_rounded_away_are_told(recipe, changes, machine, warned):
    said = lost_updates(load_recipe(recipe, changes), machine)
    assert (said is not None) == warned and (not warned or "learning rate 5e-07" in said)


def test_such_updates_are_indeed_lost():
    torch = pytest.importorskip("torch")
    weight = torch.full((1000,), 0.02, dtype=torch.bfloat16)
    assert torch.equal(weight - 5e-7, weight) and torch.equal(weight - 0.02 / 520, weight)
    assert not torch.equal(weight - 0.02 / 200, weight)


def test_a_value_model_of_another_size_counts_as_large_as_it_is():
    """The 8B reward model's values for a policy of 70B: weights, gradients and two moments in 16 bits."""
    found = estimate(load_recipe("tulu3_70b/rlvr"), LAPTOP)
    assert found.parts["value"] == 8 * LLAMA_8B and found.parts["reference"] == 2 * found.parameters
    assert estimate(load_recipe("tulu3_8b/rlvr"), LAPTOP).parts["value"] == 8 * LLAMA_8B


def test_adapters_need_little_beside_the_weights():
    found = estimate(load_recipe("tulu3_8b/sft", {"peft": {"r": 16}}), LAPTOP)
    assert found.trained < found.parameters / 100
    assert found.parts["optimizer"] < found.parts["weights"] / 20


def test_what_cannot_fit_is_refused_in_one_line():
    """8 bytes a parameter: 16 GB hold the state of two billion, and their activations besides would need more."""
    said = r"8\.0 B parameters need about .* GB .*no GPU, 16 GB.*will not fit \(2\.0 B would\); take"
    with pytest.raises(InvalidInput, match=said):
        estimate(load_recipe("tulu3_8b/sft"), LAPTOP).require()


def test_a_model_of_unknown_size_is_said_to_be_that():
    assert estimate(load_recipe("demo/sft", {"init": "nobody/nothing"}), LAPTOP) is None


def test_the_command_says_so_before_it_reads_any_data(tmp_path):
    command = [sys.executable, "-m", "evalsuite", "train", "tulu3_70b/dpo", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert "will not fit" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_dry_run_shows_everything_it_can(tmp_path):
    command = [sys.executable, "-m", "evalsuite", "train", "tulu3_8b/rlvr", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["steps"] == 447 and shown["data"]["promised_rows"] == 29_946
    assert "cannot be loaded" in shown["data"]["unavailable"]
    assert shown["memory"]["parameters"] == LLAMA_8B
    assert "29,946 rows that cannot be read here, 447 steps, a checkpoint every 100" in done.stderr

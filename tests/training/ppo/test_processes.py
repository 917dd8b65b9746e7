"""Two processes over gloo, of one launcher or two, take the same steps as one with the whole batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.architectures import build  # noqa: E402
from tests.training.ppo.harness import Run, norms, recipe_of  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]

CHANGES = {
    "training": {"steps": 3, "batch_size": 8, "micro_batch_size": 2},
    "rollouts": {"batch_size": 16, "max_tokens": 5},
    "kl": {"beta": 0.05, "target": 0.01},
    "reference": {"ema": 0.1},
    "value": {"normalize": True, "decay": 0.9},
    "optimizer": {"learning_rate": 1e-3},
}

PROCESS = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.training.ppo.harness import Run, norms, recipe_of
start, folder, changes, *checkpoint = sys.argv[1:]
resume = Path(checkpoint[0]) if checkpoint else None
run = Run(Path(folder), Path(start), recipe_of(**json.loads(changes)), resume=resume)
if os.environ["RANK"] == "0":
    (Path(folder) / "norms.json").write_text(json.dumps(norms(run)))
torch.distributed.destroy_process_group()
"""


SHARDED = """
from accelerate.state import AcceleratorState, DistributedType, PartialState
original = AcceleratorState.__init__
def sharded(self, *args, fsdp_plugin=None, **kwargs):
    original(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
    if fsdp_plugin is not None:
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
AcceleratorState.__init__ = sharded
import evalsuite.training.ppo.trainer as trainer
from torch.distributed.tensor import DTensor
make_models = trainer.make_models
def checked(*args):
    models = make_models(*args)
    for model in (models.policy.model, models.value.model, models.reference):
        assert all(isinstance(weights, DTensor) for weights in model.parameters())
    return models
trainer.make_models = checked
"""
FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}

#: accelerate starts DeepSpeed on accelerators only, so the script tells it to do so here, too.
ZERO = """
import os
from accelerate.state import AcceleratorState, DistributedType, PartialState
original = AcceleratorState.__init__
def zero(self, *args, deepspeed_plugin=None, **kwargs):
    original(self, *args, deepspeed_plugin=deepspeed_plugin, **kwargs)
    if deepspeed_plugin is not None and self.deepspeed_plugins is None:
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.DEEPSPEED
        deepspeed_plugin.set_mixed_precision(os.environ["ACCELERATE_MIXED_PRECISION"])
        deepspeed_plugin.select(_from_accelerator_state=True)
        self.deepspeed_plugins = deepspeed_plugin
AcceleratorState.__init__ = zero
import evalsuite.training.ppo.trainer as trainer
make_models = trainer.make_models
def checked(*args):
    from deepspeed import DeepSpeedEngine
    models = make_models(*args)
    assert isinstance(models.policy.model, DeepSpeedEngine) and isinstance(models.value.model, DeepSpeedEngine)
    return models
trainer.make_models = checked
"""


def zero(stage, precision="no"):
    """The environment that ``accelerate launch`` makes of a file like ``train/tulu3_8b/accelerate.yaml``."""
    return {
        "DS_ACCELERATOR": "cpu",
        "ACCELERATE_USE_DEEPSPEED": "true",
        "ACCELERATE_DEEPSPEED_ZERO_STAGE": str(stage),
        "ACCELERATE_DEEPSPEED_ZERO3_INIT": "true",
        "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL": "true",
        "ACCELERATE_MIXED_PRECISION": precision,
    }


def launch(script, *arguments, processes=2, **more):
    """Run a script in several processes of one machine, as ``torchrun`` does; return the finished launcher."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", str(script),
    ]  # fmt: skip
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "ACCELERATE_USE_CPU": "true", **more}
    return subprocess.run([*command, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True)


def launch_twice(script, *arguments):
    """Run a script by two launchers that meet over the network, as on two machines, each with one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--nnodes=2", "--nproc_per_node=1", "--master_addr=127.0.0.1", f"--master_port={port}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    launchers = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *place, f"--node_rank={rank}", script, *arguments],
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        return [(launcher.communicate(timeout=200)[1], launcher.returncode) for launcher in launchers]
    finally:
        for launcher in launchers:
            launcher.kill()


def assert_equal(start, run, two):
    """Sums in another order differ in the last bits of float32, and Adam's first steps amplify them: 1e-4 of 1e-3.

    Adam does not care how large gradients are, so their norms are compared as well.
    """
    from safetensors.torch import load_file

    assert json.loads((two / "norms.json").read_text()) == pytest.approx(norms(run), rel=1e-3)
    before, alone, together = (load_file(folder / "model.safetensors") for folder in (start, run.folder.path, two))
    assert before.keys() == alone.keys() == together.keys()
    moved = max(float((alone[name] - before[name]).abs().max()) for name in before)
    apart = max(float((alone[name] - together[name]).abs().max()) for name in before)
    assert moved > 1e-3 and apart < 1e-4


@pytest.mark.parametrize("ahead", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_two_processes_equal_one(tiny, tmp_path, ahead):
    changes = {**CHANGES, "rollouts": {**CHANGES["rollouts"], "ahead": ahead}}
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    done = launch(script, tiny, tmp_path / "two", json.dumps(changes))
    assert done.returncode == 0, done.stderr[-3000:]
    alone = Run(tmp_path / "one", tiny, recipe_of(**changes))
    assert_equal(tiny, alone, tmp_path / "two")


@pytest.mark.slow
def test_two_launchers_equal_one_process(tiny, tmp_path):
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    for said, code in launch_twice(str(script), str(tiny), str(tmp_path / "two"), json.dumps(CHANGES)):
        assert code == 0, said[-3000:]
    alone = Run(tmp_path / "one", tiny, recipe_of(**CHANGES))
    assert_equal(tiny, alone, tmp_path / "two")


@pytest.mark.slow
def test_two_processes_that_share_the_weights_equal_one(tiny, tmp_path):
    """FSDP 2 over gloo. accelerate shards on accelerators only, so the script tells it to do so here, too."""
    script = tmp_path / "process.py"
    script.write_text(SHARDED + PROCESS)
    done = launch(script, tiny, tmp_path / "two", json.dumps(CHANGES), **FSDP)
    assert done.returncode == 0, done.stderr[-3000:]
    alone = Run(tmp_path / "one", tiny, recipe_of(**CHANGES))
    assert_equal(tiny, alone, tmp_path / "two")
    assert_goes_on(script, tiny, tmp_path / "two", CHANGES, FSDP)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_two_processes_under_deepspeed_equal_one(tiny, tmp_path, stage):
    """ZeRO over gloo, gradients clipped and reference moving; then a second run goes on from a checkpoint."""
    pytest.importorskip("deepspeed")
    changes = {**CHANGES, "optimizer": {"learning_rate": 1e-3, "max_grad_norm": 0.5}}
    script = tmp_path / "process.py"
    script.write_text(ZERO + PROCESS)
    done = launch(script, tiny, tmp_path / "two", json.dumps(changes), **zero(stage))
    assert done.returncode == 0, done.stderr[-3000:]
    alone = Run(tmp_path / "one", tiny, recipe_of(**changes))
    assert_equal(tiny, alone, tmp_path / "two")
    assert_goes_on(script, tiny, tmp_path / "two", changes, zero(stage))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "prelude", "environment"), [("Olmo2", SHARDED, FSDP), ("Olmoe", ZERO, zero(3))], ids=["FSDP", "ZeRO 3"]
)
def test_other_architectures_are_shared_alike(name, prelude, environment, tmp_path):
    """A value model whose class is made here; experts, which checkpoints have in parts that only one process holds."""
    if prelude is ZERO:
        pytest.importorskip("deepspeed")
    start, script = build(tmp_path / "start", name), tmp_path / "process.py"
    script.write_text(prelude + PROCESS)
    done = launch(script, start, tmp_path / "two", json.dumps(CHANGES), **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    alone = Run(tmp_path / "one", start, recipe_of(**CHANGES))
    assert_equal(start, alone, tmp_path / "two")


@pytest.mark.slow
def test_deepspeed_in_half_precision(tiny, tmp_path):
    """It runs, and a reference that would be rounded to a standstill is refused."""
    pytest.importorskip("deepspeed")
    script = tmp_path / "process.py"
    script.write_text(ZERO + PROCESS)
    still = {**CHANGES, "reference": {"ema": 0.0}, "rollouts": {**CHANGES["rollouts"], "ahead": 1}}
    done = launch(script, tiny, tmp_path / "still", json.dumps(still), **zero(3, "bf16"))
    assert done.returncode == 0 and (tmp_path / "still" / "model.safetensors").is_file(), done.stderr[-3000:]
    done = launch(script, tiny, tmp_path / "moving", json.dumps(CHANGES), **zero(3, "bf16"))
    assert done.returncode != 0 and "cannot move a reference in half precision" in done.stderr


def assert_goes_on(script, start, folder, changes, environment):
    """From its checkpoint, a run ends in the same bits."""
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    checkpoint = folder / "checkpoints" / "checkpoint-2"
    done = launch(script, start, folder, json.dumps(changes), checkpoint, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "model.safetensors").read_bytes() == whole

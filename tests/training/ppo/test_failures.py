"""Whatever goes wrong in PPO is one line that names the last good checkpoint, and --resume goes on from that."""

from __future__ import annotations

import errno
import json
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from evalsuite.errors import EngineError, EvalsuiteError  # noqa: E402
from evalsuite.training.folder import TrainingFolder  # noqa: E402
from evalsuite.training.ppo import setup, state, trainer, update  # noqa: E402
from evalsuite.training.run import train  # noqa: E402

RECIPE = """
title = "Small"
stage = "ppo"
init = "{tiny}"
allow_overlap = "made-up sums"
[data]
generator = "demo_prompts"
params = {{ count = 32, seed = 1 }}
rows = 32
[rollouts]
batch_size = 8
max_tokens = 4
[[rewards]]
verifier = "{verifier}"
reference = "answer"
name = "mine"
timeout = 1
[scores]
without_eos = -1.0
[optimizer]
learning_rate = 1e-3
[training]
steps = 5
batch_size = 8
threads = 1
[ppo]
epochs = 1
[checkpoints]
every = 2
"""


@pytest.fixture
def recipe(tiny, tmp_path):
    def write(verifier="exact_match"):
        path = tmp_path / "mine.toml"
        path.write_text(RECIPE.format(tiny=tiny, verifier=verifier))
        return str(path)

    return write


@pytest.fixture
def verifier(tmp_path, monkeypatch):
    """Write a verifier of one's own: ``body`` runs at every judgement, the ``called``-th so far; returns its name."""

    def write(body):
        name = f"grader_of_{tmp_path.name}".replace("-", "_")
        source = f"""
            import time
            from dataclasses import dataclass
            from pathlib import Path
            from evalsuite.verifiers.base import TextVerifier
            from evalsuite.verifiers.verdict import Verdict

            @dataclass(frozen=True)
            class Mine(TextVerifier):
                def judge(self, completion, reference):
                    calls = Path({str(tmp_path / "calls")!r})
                    called = int(calls.read_text() if calls.exists() else 0) + 1
                    calls.write_text(str(called))
                    {body}
                    return Verdict.incorrect(completion)
        """
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(tmp_path)
        return f"{name}:Mine"

    return write


def at_call(number, original, problem):
    """``original``, whose call of this number raises ``problem`` (or returns what it makes of the result)."""
    calls = []

    def patched(*args, **kwargs):
        calls.append(1)
        if len(calls) == number and isinstance(problem, BaseException):
            raise problem
        result = original(*args, **kwargs)
        return problem(result) if len(calls) == number and callable(problem) else result

    return patched


def assert_stops_after(step, recipe, folder, said, changes=None):
    """The run ends with one line that says so, only complete checkpoints stay, and it can be gone on with."""
    with pytest.raises(EvalsuiteError, match=said) as caught:
        train(recipe, folder, changes)
    text = str(caught.value)
    assert "\n" not in text and f"the last good checkpoint is {folder}" in text and f"checkpoint-{step} " in text
    known = TrainingFolder(folder)
    assert set(known.checkpoints.glob("checkpoint-*")) == set(known.complete().values())
    seen = []
    train(recipe, folder, changes, lambda one: seen.append(one.step), resume=True)
    assert seen == list(range(step + 1, 6)) and (folder / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("place", "who"),
    [("policy_losses", "policy"), pytest.param("value_losses", "value model", marks=pytest.mark.slow)],
    ids=["policy", "value"],
)
def test_a_loss_that_is_no_number(recipe, tmp_path, monkeypatch, place, who):
    monkeypatch.setattr(update, place, at_call(4, getattr(update, place), lambda losses: losses * float("nan")))
    assert_stops_after(2, recipe(), tmp_path / "run", f"the loss of the {who} is nan after 3 updates: lower its learn")


def test_a_gradient_that_is_no_number_though_the_loss_is_one(recipe, tmp_path, monkeypatch):
    """Clipped by such a norm, every weight would be no number, and the checkpoint at step 4 hold them."""

    def steep(losses):
        return losses + (losses - losses.detach()).sqrt()

    monkeypatch.setattr(update, "policy_losses", at_call(4, update.policy_losses, steep))
    said = r"the gradient's norm of the policy is (nan|inf) after 3 updates: lower its learning rate"
    assert_stops_after(2, recipe(), tmp_path / "run", said)


@pytest.mark.slow
def test_a_reward_that_fails_on_everything(recipe, verifier, tmp_path):
    name = verifier("if 24 < called <= 32: raise RuntimeError('gone')")
    assert_stops_after(2, recipe(name), tmp_path / "run", "reward 'mine' failed on all 8 completions.*gone")


@pytest.mark.parametrize("ahead", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_verifier_that_hangs(recipe, verifier, tmp_path, ahead):
    name = verifier("if called == 30: time.sleep(20)")
    began = time.monotonic()
    with pytest.raises(EvalsuiteError, match=r"reward 'mine' did not judge a batch within 1 s .*checkpoint-2"):
        train(recipe(name), tmp_path / "run", {"rollouts.ahead": ahead})
    assert time.monotonic() - began < 18


@pytest.mark.parametrize("place", ["policy_losses", pytest.param("value_losses", marks=pytest.mark.slow)])
def test_out_of_memory_in_an_update(recipe, tmp_path, monkeypatch, place):
    problem = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nMore.")
    monkeypatch.setattr(update, place, at_call(4, getattr(update, place), problem))
    assert_stops_after(
        2, recipe(), tmp_path / "run", r"out of memory after step 3 of 5: lower training\.micro_batch_size"
    )


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), marks=pytest.mark.slow),
        RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file data/3"),
    ],
    ids=["files", "tensors"],
)
def test_a_disk_that_fills_up_at_a_checkpoint(recipe, tmp_path, monkeypatch, problem):
    """At the second checkpoint, when its model lies there already."""

    def fails(folder, models, progress, tokenizer, *, moving):
        state.save_model(models.policy, folder, tokenizer)
        raise problem

    whole = trainer.save_state

    def second(folder, *args, **kwargs):
        (fails if folder.name == "checkpoint-4" and not failed else whole)(folder, *args, **kwargs)

    failed: list[bool] = []
    monkeypatch.setattr(trainer, "save_state", second)
    with pytest.raises(EvalsuiteError, match=r"the disk is full after step 4 of 5.*checkpoint-2 \(--resume"):
        train(recipe(), tmp_path / "run")
    known = TrainingFolder(tmp_path / "run")
    assert [path.name for path in known.checkpoints.glob("checkpoint-*")] == ["checkpoint-2"]
    failed.append(True)
    train(recipe(), tmp_path / "run", resume=True)
    assert sorted(known.complete()) == [2, 4]


@pytest.mark.parametrize("ahead", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_an_engine_that_dies(recipe, tmp_path, monkeypatch, ahead):
    class EngineDeadError(RuntimeError):
        """Named as vLLM's is."""

    def samplers(*args):
        sampler = original(*args)
        died = EngineDeadError("EngineCore encountered an issue. See stack trace (above) for the root cause.")
        sampler.generate = at_call(4, sampler.generate, died)
        return sampler

    original = setup._sampler
    monkeypatch.setattr(setup, "_sampler", samplers)
    with pytest.raises(EngineError, match=r"the generation engine died after step [23] of 5 .*checkpoint-2 \(--resume"):
        train(recipe(), tmp_path / "run", {"rollouts.ahead": ahead})


class Server(BaseHTTPRequestHandler):
    """Just enough of ``vllm serve``: every completion is its prompt's last token and the end of sequence."""

    answers = 20

    def do_GET(self):
        self._reply({"data": [{"id": "tiny"}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        if len(self.server.asked) > self.answers:
            self.server.fate(self)
            return
        tokens = [asked["prompt"][0][-1], asked["stop_token_ids"][0]]
        self._reply({"choices": [{"prompt_token_ids": asked["prompt"][0], "token_ids": tokens, "logprobs": None}]})

    def _reply(self, body, status=200):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


def refuses(handler):
    handler._reply({"error": "the model is gone"}, 404)


def hangs_up(handler):
    handler.close_connection = True
    handler.server.socket.close()


@pytest.mark.vllm
@pytest.mark.parametrize("fate", [refuses, hangs_up])
def test_a_server_that_is_killed(recipe, tmp_path, monkeypatch, fate):
    """Answers 20 requests, two steps and a half, and then no more; the client asks again for about a minute."""
    pytest.importorskip("vllm")
    from evalsuite.training.ppo.vllm_server import VllmServerSampler

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.asked, server.fate = [], fate
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"

    def remote(recipe, start, tokenizer, policy, sampling):
        another = SimpleNamespace(is_main_process=False, wait_for_everyone=lambda: None)
        return VllmServerSampler(url, sampling, tokenizer.checkpoint.eos_ids, another)

    monkeypatch.setattr(setup, "_sampler", remote)
    with pytest.raises(EngineError, match=rf"the vLLM server at {url} cannot be used: .*checkpoint-2 \(--resume"):
        train(recipe(), tmp_path / "run")
    assert len({asked["seed"] for asked in server.asked[:20]}) == 20
    server.shutdown()

"""What the tests of training share: recipes that take a second, on the bundled model."""

from __future__ import annotations

import time
import urllib.request

import pytest


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch):
    """Tests train in seconds; reading every benchmark for the overlap check would take longer than training does."""
    monkeypatch.delenv("EVALSUITE_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def weights_server(tmp_path):
    """A ``vllm serve`` of the demo model that loads weights from folders, and its address."""
    from evalsuite.engines.factory import resolve_model
    from tests.engines.conftest import start_vllm

    options = ("--worker-extension-cls", "evalsuite.engines.vllm_weights.LoadsFolders")
    server, url = start_vllm(resolve_model("demo"), tmp_path / "server.log", 128, *options)
    deadline = time.monotonic() + 600
    while not answers(f"{url}/models"):
        assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text()[-3000:]
        time.sleep(1)
    yield server, url.removesuffix("/v1")
    server.terminate()
    server.wait(60)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:
        return False

"""A tiny random Llama that both Transformers and vLLM can run, made on the fly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from evalsuite.engines.base import ChatPrompt

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] }}"
    "{{ (eos_token if message['role'] == 'assistant' else '') + '\\n' }}{% endfor %}"
    "{{ '<|assistant|>\\n' if add_generation_prompt else '' }}"
)
CORPUS = (
    "Question: Natalia sold clips to 48 of her friends in April, and then half as many in May. Answer: 72\n\n",
    "The answer is 42. Therefore, the answer is: (B) yes. How many did she sell? Let's think step by step.\n",
    "def add(a, b):\n    return a + b\n\nassert add(1, 2) == 3\n",
    "<|user|>\n<|assistant|>\n<|system|>\n",
)


def build_tokenizer():
    """A byte-level BPE tokenizer that adds BOS to raw text, with a chat template that writes BOS itself."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<s>", "</s>", "<pad>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
    )


def build_model(folder: Path, **overrides) -> Path:
    """Save a random Llama with its tokenizer to ``folder``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = build_tokenizer()
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
        **overrides,
    }
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**settings))
    # Larger than a fresh model's weights, so that completions vary, end, and do not hang on rounding.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
        model.lm_head.weight[tokenizer.eos_token_id] *= 1.5
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory) -> Path:
    """The folder of a random two-layer Llama in float32."""
    return build_model(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """File digests go to a temporary folder, threads to one."""
    import torch

    torch.set_num_threads(1)
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


class Library:
    """What the libraries answer, one unpadded prompt at a time: the engines' yardstick."""

    def __init__(self, folder):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def prompt_ids(self, prompt):
        """Token ids through the library's own path."""
        if isinstance(prompt, ChatPrompt):
            messages = [{"role": turn.role, "content": turn.content} for turn in prompt.messages]
            text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            return self.tokenizer(text + prompt.assistant_prefix, add_special_tokens=False)["input_ids"]
        return self.tokenizer(prompt.text)["input_ids"]

    def generate(self, prompt, max_tokens, stop):
        """Greedy text from ``model.generate``, cut at the first stop string."""
        import torch

        ids = torch.tensor([self.prompt_ids(prompt)])
        output = self.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False
        )[0, ids.shape[1] :].tolist()
        special = [self.tokenizer.convert_tokens_to_ids(text) for text in stop if text.startswith("<|")]
        ends = [index for index, token in enumerate(output) if token in special]
        text = self.tokenizer.decode(output[: min(ends, default=None)], skip_special_tokens=True)
        return text[: min((text.index(string) for string in stop if string in text), default=None)]

    def loglikelihood(self, prompt, choices):
        """Summed log-probability, length and greediness of each choice, split as lm-eval does, from a forward pass."""
        import torch
        from lm_eval.models.huggingface import HFLM

        harness = HFLM(pretrained=self.model, tokenizer=self.tokenizer, batch_size=1)
        text = getattr(prompt, "text", "")
        if isinstance(prompt, ChatPrompt):
            turns = [{"role": turn.role, "content": turn.content} for turn in prompt.messages]
            text = harness.apply_chat_template(turns) + prompt.assistant_prefix
        answers = []
        for choice in choices:
            context, continuation = (
                harness._encode_pair(text, choice) if text else ([0], harness.tok_encode(choice)[1:])
            )
            with torch.inference_mode():
                logits = self.model(torch.tensor([context + continuation])).logits[0].log_softmax(-1)
            places = range(len(context) - 1, len(context) + len(continuation) - 1)
            value = sum(float(logits[place, token]) for place, token in zip(places, continuation, strict=True))
            greedy = logits[list(places)].argmax(-1).tolist() == list(continuation)
            answers.append((value, len(continuation), greedy))
        return answers


@pytest.fixture(scope="session")
def library(tiny_llama):
    """The yardstick for ``tiny_llama``."""
    return Library(tiny_llama)


@pytest.fixture(scope="session")
def model_tools():
    """The builders above, for tests that make models of their own."""
    return SimpleNamespace(build_tokenizer=build_tokenizer, build_model=build_model, Library=Library)


@pytest.fixture(scope="module")
def serve_vllm(tmp_path_factory):
    """Start ``vllm serve`` on a checkpoint, called ``tiny``, and return its address once it answers."""
    from evalsuite.engines.openai import OpenAIEngine, OpenAIOptions
    from evalsuite.errors import EngineError

    servers = []

    def serve(folder, context=256):
        log = tmp_path_factory.mktemp("vllm") / "server.log"
        server, url = start_vllm(folder, log, context)
        servers.append(server)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            try:
                OpenAIEngine("tiny", OpenAIOptions(base_url=url)).identity()
            except EngineError:
                assert server.poll() is None, log.read_text()[-3000:]
                time.sleep(2)
            else:
                return url
        pytest.fail(f"vLLM did not start: {log.read_text()[-3000:]}")

    yield serve
    for server in servers:
        server.terminate()
        server.wait(60)


def start_vllm(folder: Path, log: Path, context: int, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    command += ["--max-model-len", str(context), "--enforce-eager", "--seed", "0"]
    # A seeded request whose prompt is read in pieces rewinds its generator, which a CPU generator cannot.
    command += ["--no-enable-chunked-prefill", *options]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_SERVER_DEV_MODE": "1",
    }
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    return server, f"http://127.0.0.1:{port}/v1"

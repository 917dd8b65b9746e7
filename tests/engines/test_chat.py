"""Rendering, encoding and decoding: BOS once, prefixes, log-likelihood pairs as lm-eval splits them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.engines.base import ChatPrompt, LogLikelihoodRequest, Message, TextPrompt
from evalsuite.engines.chat import EncodedChoices, PromptTokenizer, fit
from evalsuite.engines.checkpoint import open_checkpoint
from evalsuite.errors import InvalidInput


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return PromptTokenizer(open_checkpoint(str(tiny_llama), revision=None, trust_remote_code=False, purpose="a test"))


def variant(tiny_llama, *, chat_template=None, post_processor="<s> $A"):
    """The tiny checkpoint's tokenizer with another template or other special tokens."""
    from tokenizers import processors

    checkpoint = open_checkpoint(str(tiny_llama), revision=None, trust_remote_code=False, purpose="a test")
    checkpoint.tokenizer.chat_template = chat_template
    ids = [(token, checkpoint.tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    checkpoint.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=post_processor, special_tokens=ids
    )
    return PromptTokenizer(checkpoint)


CHAT = ChatPrompt((Message("user", "How many clips?"),))


def test_a_chat_is_rendered_with_generation_prompt_and_prefix(tokenizer):
    prompt = ChatPrompt(
        (Message("user", "1 + 1?"), Message("assistant", "Answer: 2"), Message("user", "2 + 2?")), "Answer:"
    )
    assert tokenizer.render(prompt) == (
        "<s><|user|>\n1 + 1?\n<|assistant|>\nAnswer: 2</s>\n<|user|>\n2 + 2?\n<|assistant|>\nAnswer:"
    )


@pytest.mark.parametrize("writes_bos", [True, False])
@pytest.mark.parametrize("post_processor", ["<s> $A", "$A", "<s> $A </s>"])
def test_bos_is_never_doubled_never_missing_and_eos_never_added(tiny_llama, writes_bos, post_processor):
    template = "{{ bos_token }}" * writes_bos + "{{ messages[0]['content'] }}<|assistant|>"
    tokenizer = variant(tiny_llama, chat_template=template, post_processor=post_processor)
    bos, eos = 0, 1
    adds_bos = post_processor.startswith("<s>")
    chat, text, empty = tokenizer.encode_prompts([CHAT, TextPrompt("How many?"), TextPrompt("")])
    assert chat.count(bos) == (writes_bos or adds_bos)
    assert text.count(bos) == adds_bos
    assert empty == [bos]
    assert eos not in chat + text
    if chat.count(bos):
        assert chat[0] == bos


def test_a_template_that_refuses_a_role_is_one_line(tiny_llama):
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    tokenizer = variant(tiny_llama, chat_template=template)
    with pytest.raises(InvalidInput, match=r"refuses the turns system, user: no system role"):
        tokenizer.render(ChatPrompt((Message("system", "Be short."), *CHAT.messages)))


def test_a_chat_without_template_is_one_line(tiny_llama):
    with pytest.raises(InvalidInput, match="has no chat template"):
        variant(tiny_llama).render(CHAT)


CONTEXTS = [
    "Question: How many clips?\nAnswer:",
    "Question: How many clips?\nAnswer: ",
    "clip",
    "The answer is (B) yes.\n\n",
]


@pytest.mark.parametrize("context", CONTEXTS)
def test_pairs_are_split_as_by_lm_eval(tokenizer, library, context):
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(pretrained=library.model, tokenizer=library.tokenizer, batch_size=1)
    continuations = (" yes", "s", " 48", "\n\nno", "  two spaces")
    choices = tokenizer.encode_choices(LogLikelihoodRequest("a", TextPrompt(context), continuations))
    for continuation, ids in zip(continuations, choices.continuations, strict=True):
        expected_context, expected = harness._encode_pair(context, continuation)
        assert list(choices.context) == expected_context
        assert list(ids) == (expected or library.tokenizer(continuation, add_special_tokens=False)["input_ids"])


def test_a_continuation_in_a_chat_is_scored_as_it_is_given(tokenizer):
    def decoded(prefix, continuation):
        request = LogLikelihoodRequest("a", ChatPrompt(CHAT.messages, prefix), (continuation,))
        choices = tokenizer.encode_choices(request)
        return tokenizer.checkpoint.tokenizer.decode(choices.continuations[0])

    assert decoded("", "Yes") == "\nYes"
    assert decoded("", " Yes") == "\n Yes"
    assert decoded("Answer:", " Yes") == " Yes"


@given(context=st.text(max_size=20), continuations=st.lists(st.text(max_size=9), min_size=1, max_size=3))
def test_any_pair_has_a_context_and_continuations(tokenizer, context, continuations):
    choices = tokenizer.encode_choices(LogLikelihoodRequest("a", TextPrompt(context), tuple(continuations)))
    assert choices.context
    assert all(choices.continuations)
    for continuation, ids in zip(continuations, choices.continuations, strict=True):
        if context.strip() and continuation:
            alone, joined = tokenizer.encode([context, context + continuation])
            merged_across = joined[: len(alone)] != alone or len(joined) == len(alone)
            whole = tokenizer.checkpoint.tokenizer.decode([*choices.context[1:], *ids])
            assert whole.endswith(continuation) or merged_across


@given(prompt=st.text(max_size=12), completion=st.text(max_size=20))
def test_decoding_gives_back_the_text(tokenizer, prompt, completion):
    plain = tokenizer.checkpoint.tokenizer
    ids = plain(completion, add_special_tokens=False)["input_ids"]
    text = plain.decode(ids, skip_special_tokens=True)
    assert tokenizer.decode(tokenizer.encode([prompt])[0], ids) == text


def test_a_sentencepiece_completion_keeps_its_first_space(tiny_llama):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<s>": 0, "▁Answer": 1, ":": 2, "▁42": 3, "<unk>": 4}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    checkpoint = open_checkpoint(str(tiny_llama), revision=None, trust_remote_code=False, purpose="a test")
    object.__setattr__(checkpoint, "tokenizer", PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>"))
    tokenizer = PromptTokenizer(checkpoint)
    assert tokenizer.decode([0, 1, 2], [3]) == " 42"
    assert tokenizer.decode([0], [1]) == "Answer"


@given(length=st.integers(1, 50), max_tokens=st.integers(1, 60), max_length=st.integers(2, 40))
def test_a_fitted_prompt_leaves_room(length, max_tokens, max_length):
    prompt = list(range(length))
    kept, room = fit(prompt, max_tokens, max_length)
    assert kept == prompt[length - len(kept) :]
    assert 1 <= room <= max_tokens
    assert len(kept) + room <= max_length
    if max_tokens <= max_length // 2:
        assert room == max_tokens
        assert len(kept) == min(length, max_length - max_tokens)


def test_a_context_is_cut_for_its_longest_continuation():
    choices = EncodedChoices(tuple(range(10)), ((1,), (1, 2, 3)))
    assert choices.fit(8).context == (5, 6, 7, 8, 9)
    assert choices.fit(3).context == (9,)

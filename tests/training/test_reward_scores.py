"""A reward model judges a completion by what it says at the end of the conversation, whatever shares its batch."""

from __future__ import annotations

import pytest

from evalsuite.engines.factory import resolve_model
from evalsuite.training.reward_scores import RewardModelJudge

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ROWS = [{"prompt": f"Q: Max of {number} 1?\nA:"} for number in range(20)]
ANSWERS = [" 1" * (number % 5 + 1) for number in range(20)]


def test_scores_are_those_of_each_conversation_alone_up_to_its_end(tmp_path):
    """Twenty are more than a batch, and of five lengths; the end of sequence is what the model was trained to read."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("demo"))
    model = AutoModelForSequenceClassification.from_pretrained(resolve_model("demo"), num_labels=1).eval()
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    expected = []
    for row, answer in zip(ROWS, ANSWERS, strict=True):
        ids = tokenizer(row["prompt"] + answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        with torch.no_grad():
            last = model.base_model(torch.tensor([ids])).last_hidden_state[0, -1]
            expected.append(-2.0 * float(model.score(last)))
    found = RewardModelJudge(str(tmp_path), -2.0, "cpu")(ROWS, ANSWERS, None)
    assert found.rewards == pytest.approx(expected, abs=1e-5) and len(set(expected)) == 20
    assert found.solved == [None] * 20 and not any(found.reasons)

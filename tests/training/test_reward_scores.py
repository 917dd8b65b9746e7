"""A reward model judges a completion by what it says at the end of the conversation, whatever shares its batch."""

from __future__ import annotations

import pytest

from evalsuite.engines.factory import resolve_model
from evalsuite.errors import InvalidInput
from evalsuite.training.reward_scores import RewardModelJudge, require_reward_model

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ROWS = [{"prompt": f"Q: Max of {number} 1?\nA:"} for number in range(20)]
ANSWERS = [" 1" * (number % 5 + 1) for number in range(20)]


@pytest.fixture
def saved(tmp_path):
    """Save a random reward model with this padding token, and return it, its tokenizer and the folder."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    def save(pad_token_id, **options):
        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(resolve_model("demo"))
        options = {"num_labels": 1, **options}
        model = AutoModelForSequenceClassification.from_pretrained(resolve_model("demo"), **options).eval()
        model.config.pad_token_id = pad_token_id
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return model, tokenizer, str(tmp_path)

    return save


@pytest.mark.parametrize(
    "pad_token_id", [0, None, -1, 7], ids=["the tokenizer's", "none", "no token", "another than the tokenizer's"]
)
def test_scores_are_those_of_each_conversation_alone_up_to_its_end(saved, pad_token_id):
    """Twenty are more than a batch, and of five lengths; the end of sequence is what the model was trained to read."""
    model, tokenizer, folder = saved(pad_token_id)
    expected = []
    for row, answer in zip(ROWS, ANSWERS, strict=True):
        ids = tokenizer(row["prompt"] + answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        assert pad_token_id not in ids
        with torch.no_grad():
            last = model.base_model(torch.tensor([ids])).last_hidden_state[0, -1]
            expected.append(-2.0 * float(model.score(last)))
    found = RewardModelJudge(folder, -2.0, "cpu")(ROWS, ANSWERS, None)
    assert found.rewards == pytest.approx(expected, abs=1e-5) and len(set(expected)) == 20
    assert found.solved == [None] * 20 and not any(found.reasons)


def test_a_language_model_is_no_reward_model():
    """Transformers would give it a random head, and say so in a warning."""
    with pytest.raises(
        InvalidInput, match=r"'demo' is LlamaForCausalLM, no reward model: give one that .* reward_model"
    ):
        require_reward_model("demo")


def test_a_reward_model_without_a_head_is_refused(saved):
    from safetensors.torch import load_file, save_file

    folder = saved(0)[2]
    weights = {name: w for name, w in load_file(f"{folder}/model.safetensors").items() if name != "score.weight"}
    save_file(weights, f"{folder}/model.safetensors", {"format": "pt"})
    with pytest.raises(InvalidInput, match=r"reward model .* lacks the weights score\.weight"):
        RewardModelJudge(folder, 1.0, "cpu")(ROWS, ANSWERS, None)


def test_a_classifier_of_several_classes_is_refused(saved):
    folder = saved(0, num_labels=3)[2]
    with pytest.raises(InvalidInput, match=r"reward model .* cannot be loaded: "):
        RewardModelJudge(folder, 1.0, "cpu")(ROWS, ANSWERS, None)

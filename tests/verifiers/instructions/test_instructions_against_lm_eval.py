"""Verdict for verdict the same as lm-eval's IFEval, on made-up, mutilated and real responses."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from evalsuite.verifiers.instructions import Instructions

#: For these "letters" lm-eval draws another at random.
NOT_LETTERS = {"!", "#"}
INSERTED = [
    *[", ", "*", "**", "***", "\n\n", "******", " P.S. ", "p. p. s ", "[x]", "<<y>>", "<< >>", "\n- a\n", "\n* b\n"],
    *["SECTION 1", "KEY WORDS", "CANNOT", "U.S. ", "Mr. ", '"', "'", "1\u00bd ", "\u2764\ufe0f ", "{", "http://a.b/c "],
]


CHANGES = [
    lambda text, _: f"Sure, here it is:\n{text}",
    lambda text, _: f"{text}\nHope this helps!",
    lambda text, _: "\n".join(f"**{line}**" for line in text.split("\n")),
    lambda text, chance: "\n".join(chance.sample(lines := text.split("\n"), len(lines))),
    lambda text, _: text.upper(),
    lambda text, _: text.lower(),
    lambda text, chance: text[: chance.randrange(len(text) + 1)],
    lambda text, _: f"```json\n{text}\n```",
]


def mutilated(text: str, chance: random.Random) -> str:
    if chance.random() < 0.7:
        return chance.choice(CHANGES)(text, chance)
    for _ in range(3):
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice(INSERTED) + text[place:]
    return text


@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_every_type_agrees_on_made_up_and_real_responses(lm_eval_ifeval, ifeval_rows, responses, mode):
    chance = random.Random(mode)
    verifier, maker = Instructions(mode=mode), Instructions(mode="loose")
    reference = getattr(lm_eval_ifeval, mode)
    judged, passed, disagreements = Counter(), Counter(), []
    for row in ifeval_rows:
        if any(given.get("letter") in NOT_LETTERS for given in row["kwargs"]):
            continue
        gold = maker.gold(row)
        for text in (
            gold,
            mutilated(gold, chance),
            mutilated(mutilated(gold, chance), chance),
            chance.choice(responses),
        ):
            expected, found = reference(row, text), verifier.followed(text, row)
            judged.update(row["instruction_id_list"])
            passed.update(name for name, good in zip(row["instruction_id_list"], expected, strict=True) if good)
            if expected != found:
                disagreements.append((row["key"], row["instruction_id_list"], expected, found, text))
    assert disagreements == []
    assert set(judged) == set(lm_eval_ifeval.registry)
    assert all(0 < passed[name] < judged[name] for name in judged), "every type must have passed and failed"


def test_rows_with_one_type_have_the_same_verdict_as_a_whole(lm_eval_ifeval, ifeval_rows, responses):
    for row, text in zip(ifeval_rows, responses, strict=False):
        if any(given.get("letter") in NOT_LETTERS for given in row["kwargs"]):
            continue
        assert Instructions().verify(text, row).score == float(all(lm_eval_ifeval.strict(row, text)))

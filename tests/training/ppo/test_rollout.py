"""Which prompts come when, with which seeds, and whose score is whose."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from evalsuite.training.ppo.rollout import Collector, Prompt, prompts_of_step  # noqa: E402
from evalsuite.training.ppo.samplers import Completion  # noqa: E402
from evalsuite.training.ppo.trainer import Trainer  # noqa: E402
from evalsuite.training.rewards import Judged, Scored  # noqa: E402
from tests.training.ppo.harness import recipe_of  # noqa: E402

EOS = 2


def test_every_pass_over_the_prompts_takes_each_once_in_an_order_of_its_own():
    """Six prompts by four: a step may begin in one pass and end in the next."""
    places = [place for step in range(9) for place in prompts_of_step(step, 4, 6, seed=1)]
    passes = [tuple(places[at : at + 6]) for at in range(0, 36, 6)]
    assert all(sorted(one) == list(range(6)) for one in passes) and len(set(passes)) == 6


def wanted(step, process=0, processes=1):
    recipe = recipe_of(rollouts={"samples_per_prompt": 2})
    accelerator = SimpleNamespace(process_index=process, num_processes=processes)
    models = SimpleNamespace(policy=SimpleNamespace(accelerator=accelerator))
    return Trainer(SimpleNamespace(recipe=recipe), models, None, None, [None] * 24, None)._wanted(step)


def test_every_completion_of_a_run_has_a_seed_of_its_own():
    steps = [wanted(step) for step in range(4)]
    assert [place for one in steps for place, _ in one[::2]] == [place for one in steps for place, _ in one[1::2]]
    assert len({seed for one in steps for _, seed in one}) == 4 * 8
    assert wanted(3) == steps[3]
    assert [wanted(3, process, 2) for process in (0, 1)] == [steps[3][::2], steps[3][1::2]]


class Sampler:
    """Finishes in an order of its own; a completion is its prompt's token and its seed, every third without an end."""

    def generate(self, draws):
        order = list(range(len(draws)))
        random.Random(0).shuffle(order)
        for place in order:
            end = () if place % 3 == 0 else (EOS,)
            yield place, Completion((draws[place].prompt[0], draws[place].seed, *end))


def test_every_completion_gets_the_score_of_its_own_row_and_text():
    """In portions, judged while others are drawn; a row's tenths and a completion's hundreds tell whose a score is."""
    prompts = [Prompt({"tenth": place / 10}, (100 + place,), f"prompt {place}") for place in range(5)]
    asked = [(place % 5, 1000 * (place + 1)) for place in range(300)]
    portions = []

    def judge(rows, texts, ids):
        portions.append(len(rows))
        totals = [row["tenth"] + int(text.split()[1]) for row, text in zip(rows, texts, strict=True)]
        assert [one[1] for one in ids] == [int(text.split()[1]) for text in texts]
        solved = [None if total % 7000 < 1 else total % 2000 < 1 for total in totals]
        return Scored(totals, {}, {"mine": Judged(totals, solved, [""] * len(rows))})

    collector = Collector(
        Sampler(), judge, prompts, decode=lambda ids: " ".join(map(str, ids)), eos_ids=frozenset([EOS])
    )
    found = collector.draw(asked).result().episodes
    collector.close()
    assert len(portions) > 1 and sum(portions) == 300
    for place, (episode, (prompt, seed)) in enumerate(zip(found, asked, strict=True)):
        assert (episode.prompt, episode.ended) == (prompt, place % 3 != 0)
        assert episode.tokens[:2] == (100 + prompt, seed) and episode.text == f"{100 + prompt} {seed}"
        assert episode.score == pytest.approx(seed + prompt / 10)
        assert episode.solved == ({} if seed % 7000 == 0 else {"mine": seed % 2000 == 0})

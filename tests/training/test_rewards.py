"""What a completion is worth in all: sums over rewards, each for its rows, and never a number where one failed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from evalsuite.errors import EvalsuiteError, InvalidRecipe
from evalsuite.training.grpo import TrlReward
from evalsuite.training.rewards import RewardTable, check_rewards, make_rewards, score
from evalsuite.verifiers.base import TextVerifier
from evalsuite.verifiers.verdict import Verdict

ROWS = [
    {"prompt": "p", "answer": "4", "dataset": "sums"},
    {"prompt": "p", "answer": "5", "dataset": "sums"},
    {"prompt": "p", "answer": "6", "dataset": "other"},
]


@dataclass(frozen=True)
class Moody(TextVerifier):
    """Fails on the answer ``bad``, and takes its time."""

    bad: str = ""
    seconds: float = 0.0

    def judge(self, completion, reference):
        time.sleep(self.seconds)
        return Verdict.error("no idea") if reference == self.bad else Verdict.correct(completion)


def rewards(*tables):
    return make_rewards(
        [RewardTable.model_validate({"reference": "answer", **table}) for table in tables], eos_token_ids=[2]
    )


def moody(**table):
    return {"verifier": f"{__name__}:Moody", "name": "moody", **table}


def test_rewards_are_added_up_each_for_its_rows():
    exact = {"verifier": "exact_match", "where": {"dataset": "sums"}, "correct": 10.0, "incorrect": -1.0}
    found = score(rewards(exact, moody(where={"dataset": ["sums", "more"]}, weight=0.5)), ROWS, ["4", "4", "6"])
    assert found.totals == [10.5, -0.5, None]
    assert found.solved == {"exact_match": 0.5, "moody": 1.0}


def test_what_is_said_of_some_rows_stays_with_them():
    """Places among the rows a reward is for are not places in the batch."""
    table = {"verifier": "exact_match", "where": {"dataset": "sums"}, "correct": 10.0, "without_eos": -10.0}
    rows = [ROWS[2], ROWS[0], ROWS[2], ROWS[1]]
    found = score(rewards(table), rows, ["6", "4", "6", "5"], [[7, 2], [7, 2], [7, 2], [7, 8]])
    assert found.totals == [None, 10.0, None, -10.0]
    assert found.judged["exact_match"].solved == [None, True, None, True]


def test_a_failed_reward_leaves_no_total_whatever_the_others_say():
    found = score(rewards({"verifier": "exact_match"}, moody(params={"bad": "5"})), ROWS, ["4", "5", "6"])
    assert found.totals == [2.0, None, 2.0]
    assert found.judged["moody"].failed(1) and not found.judged["moody"].failed(0)
    assert found.solved == {"exact_match": 1.0, "moody": 1.0}


def test_trl_is_given_sums_and_none_where_a_reward_failed():
    """TRL leaves a completion out that no reward function judged, but adds up what is left of several."""
    logged, kept = {}, []
    both = TrlReward(
        rewards({"verifier": "exact_match"}, moody(params={"bad": "5"}, weight=2.0)),
        ROWS,
        lambda step, rows: kept.extend(rows),
    )
    state = SimpleNamespace(global_step=3)
    said = both(
        ["p"] * 3, ["4", "5", "7"], [[2]] * 3, row=[0, 1, 2], trainer_state=state, log_metric=logged.__setitem__
    )
    assert said == [3.0, None, 2.0]
    means = {"rewards/exact_match/mean": pytest.approx(2 / 3), "rewards/moody/mean": 2.0}
    assert logged == {"solved/exact_match": pytest.approx(2 / 3), "solved/moody": 1.0} | means
    assert [(row["by"], row["reward"]) for row in kept] == [
        *(("exact_match", reward) for reward in (1.0, 1.0, 0.0)),
        *(("moody", reward) for reward in (2.0, None, 2.0)),
    ]
    assert both.__name__ == "exact_match+moody"


def test_a_completion_without_an_end_earns_what_is_said_of_that():
    found = score(rewards({"verifier": "exact_match", "without_eos": -10.0}), ROWS[:2], ["4", "5"], [[7, 2], [7, 8]])
    assert found.totals == [1.0, -10.0]


def test_a_batch_that_takes_too_long_stops_training():
    with pytest.raises(EvalsuiteError, match="'moody' did not judge a batch within 1 s"):
        score(rewards(moody(params={"seconds": 3.0}, timeout=1)), ROWS[:1], ["4"])


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (["Sums"], r"'exact_match' is for none of the 3 rows: where = .*Sums.*, they have .*'other', 'sums'"),
        (["sums"], r"1 of 3 rows are for no reward, the first with .*'other'.*\[\[rewards\]\].*data\.where"),
    ],
)
def test_rewards_and_rows_that_do_not_meet_are_refused_before_training(datasets, message):
    table = {"verifier": "exact_match", "reference": "answer", "where": {"dataset": datasets}}
    with pytest.raises(InvalidRecipe, match=message):
        check_rewards([RewardTable.model_validate(table)], ROWS)
    whole = table | {"where": {"dataset": ["sums", "other"]}}
    check_rewards([RewardTable.model_validate(whole)], ROWS)

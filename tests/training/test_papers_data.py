"""The ``[data]`` tables of the papers' recipes, on rows with the columns of the data sets they name."""

from __future__ import annotations

import re

import pytest

from evalsuite.errors import DataMismatch
from evalsuite.training.library import load_recipe, recipe_paths
from evalsuite.training.rewards import make_rewards, score
from evalsuite.training.run import plan
from tests.training.papers_mirror import PROBLEMS, SAFETY, VERIFIABLE, write_mirror

PAPERS = [name for name in recipe_paths() if not name.startswith("demo/")]
SOLUTIONS = {asked: program for asked, program, _ in PROBLEMS}


@pytest.fixture(scope="module")
def papers_mirror(tmp_path_factory):
    return write_mirror(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def rows_of(papers_mirror):
    """The rows of a recipe; how many there are is what its first run tells."""

    def read(name):
        with pytest.raises(DataMismatch) as told:
            plan(name, {"data.rows": 1}, papers_mirror)
        count = int(re.search(r"--set data\.rows=(\d+)$", str(told.value))[1])
        return plan(name, {"data.rows": count}, papers_mirror).data.rows

    return read


def asked_in(row):
    """The problem of a row, without the words that the recipes put before it."""
    return row["prompt"][-1]["content"].rpartition("\n\n")[2]


@pytest.mark.parametrize("name", PAPERS)
def test_a_recipe_reads_its_data_set(name, rows_of):
    assert rows_of(name)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("apps/sft", len(PROBLEMS) + 1),  # with the case in lines; less the problems without tests, solution, or stdin
        ("apps/ppo", len(PROBLEMS) + 2),  # no solution is needed
        ("code_contests/sft", len(PROBLEMS) - 1),  # one has no program in Python 3
        ("code_contests/dpo", len(PROBLEMS) - 2),  # nor, another, a wrong one
        ("code_contests/ppo", len(PROBLEMS)),
        ("safe_rlhf/sft_safe", 2 * sum(sum(safe) for *_, safe, _ in SAFETY)),
        ("safe_rlhf/ablations/dpo_filtered", 2 * sum(sum(safe) == 1 for *_, safe, _ in SAFETY)),
    ],
)
def test_a_rule_leaves_out_what_its_comment_says(name, count, rows_of):
    assert len(rows_of(f"dpo_vs_ppo/{name}")) == count


def test_the_safer_answer_is_preferred_unless_both_are_safe(rows_of):
    preferred = {prompt: (better, worse) for prompt, better, worse, _, _ in SAFETY}
    for row in rows_of("dpo_vs_ppo/safe_rlhf/dpo"):
        assert preferred[asked_in(row)] == (row["chosen"][0]["content"], row["rejected"][0]["content"])


@pytest.mark.parametrize("name", ["apps/iterative_dpo", "apps/ppo", "code_contests/iterative_dpo", "code_contests/ppo"])
def test_the_data_sets_solution_passes_the_tests_of_its_row(name, rows_of):
    """And a program for another problem does not: each is judged by its own tests."""
    rows = [row for row in rows_of(f"dpo_vs_ppo/{name}") if asked_in(row) in SOLUTIONS and row["reference"]["inputs"]]
    rewards = make_rewards(load_recipe(f"dpo_vs_ppo/{name}").rewards, eos_token_ids=())
    right = [SOLUTIONS[asked_in(row)] for row in rows]
    assert score(rewards, rows, right).totals == [10.0] * len(rows)
    assert score(rewards, rows, [*right[1:], right[0]]).totals == [0.0] * len(rows)
    assert len(rows) >= len(PROBLEMS) - 1


def test_a_problem_without_tests_earns_nothing_and_is_not_wrong(rows_of):
    rows = rows_of("dpo_vs_ppo/code_contests/ppo")
    rewards = make_rewards(load_recipe("dpo_vs_ppo/code_contests/ppo").rewards, eos_token_ids=())
    totals = score(rewards, rows, ["pass"] * len(rows)).totals
    assert [total for row, total in zip(rows, totals, strict=True) if not row["reference"]["inputs"]] == [None]
    assert totals.count(0.0) == len(rows) - 1


def test_every_verifiable_prompt_has_its_verifier(rows_of):
    rows = rows_of("tulu3_8b/rlvr")
    rewards = make_rewards(load_recipe("tulu3_8b/rlvr").rewards, eos_token_ids=())
    found = score(rewards, rows, [answer for _, _, answer, _ in VERIFIABLE])
    assert found.totals == [10.0] * len(rows) and set(found.solved) == {"gsm8k", "math", "tulu_constraint"}
    assert score(rewards, rows, ["NO: 77"] * len(rows)).totals == [0.0] * len(rows)

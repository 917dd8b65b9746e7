"""The verifier as callers use it: modes, reward hacks, real solutions, hostile completions, threads and asyncio."""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InvalidInput
from evalsuite.verifiers import Outcome, load_verifier
from evalsuite.verifiers.math import Math

CORPORA = Path(__file__).parent.parent / "corpora"
EVAL, REWARD, FLEX = Math("eval"), Math("reward"), Math("flex")


def _rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (CORPORA / name).read_text(encoding="utf-8").splitlines()]


HACKS, HONEST = _rows("math_reward_hacks.jsonl"), _rows("math_reward_honest.jsonl")


@pytest.mark.parametrize("row", HACKS, ids=lambda row: f"{row['kind']}-{row['completion'][:40]}")
def test_no_hack_is_rewarded(row: dict[str, str]) -> None:
    verdict = REWARD.verify(row["completion"], row["gold"])
    assert verdict.score == 0
    assert verdict.reason


@pytest.mark.parametrize("row", HONEST, ids=lambda row: f"{row['gold']}-{row['completion'][:40]}")
def test_honest_answers_are_rewarded(row: dict[str, str]) -> None:
    assert REWARD.verify(row["completion"], row["gold"]).score == 1
    assert EVAL.verify(row["completion"], row["gold"]).score == 1


@pytest.mark.parametrize(
    ("completion", "reference", "outcome", "reason"),
    [
        ("\\boxed{4} no, \\boxed{5}", "5", "correct", ""),
        ("\\boxed{5} then \\boxed{5", "5", "no_answer", "unbalanced_box"),
        ("It is not \\boxed{5}", "5", "no_answer", "negated_answer"),
        ("\\boxed{5} is wrong", "5", "no_answer", "negated_answer"),
        ("$5!=\\boxed{120}$", "120", "correct", ""),
        ("% \\boxed{5}", "5", "no_answer", "commented_out"),
        ("That is 50% \\boxed{5}", "5", "correct", ""),
        ("\\boxed{}", "5", "no_answer", "empty_box"),
        ("<think>\\boxed{5}", "5", "no_answer", "unclosed_think"),
        ("<think>\\boxed{7}</think> So 5.", "5", "correct", ""),
        ("The final answer is 18 dollars, because 6*3 = 18.", "18", "correct", ""),
        ("The answer is $5$ or $7$.", "5", "incorrect", "different_kind"),
        ("The answer is 5 or 7.", "5", "incorrect", "different_kind"),
        ("The answer is not 5.", "5", "no_answer", "negated_answer"),
        ("The answer is 5 thousand.", "5", "incorrect", "different_value"),
        ("The answer is 5 thousand.", "5000", "correct", ""),
        ("\\boxed{255}. So the final answer is $10,455$.", "10455", "correct", ""),
        ("\\boxed{5}. The final answer is right.", "5", "correct", ""),
        ("so \\\\boxed{\\\\frac{1}{2}}", "0.5", "correct", ""),
        ("Answer: $\\frac{1}{2}$", "0.5", "correct", ""),
        ("**Answer:** 1,234", "1234", "correct", ""),
        ("She pays $18 in total.", "18", "correct", ""),
        ("#### 1,000", "1000", "correct", ""),
        ("so $x = 7$ and finally $y = 5$", "5", "correct", ""),
        ("Candidates: 6, 7, 8, 5", "5", "no_answer", "enumeration"),
        ("I do not know.", "5", "no_answer", "no_answer"),
        ("\\frac{10}{9}", "10/9", "correct", ""),
        ("(1, 2)", "(1,2)", "correct", ""),
        ("x^2+1", "1+x^2", "correct", ""),
        ("AZ5B2C", "2", "no_answer", "no_answer"),
        ("Final Answer: The volume of $ABCD$ is 120. I hope it is correct.", "120", "correct", ""),
        ("Answer: The volume of the box is not 120.", "120", "no_answer", "negated_answer"),
        ("", "5", "no_answer", "no_answer"),
        ("$x = \\boxed{3}$ or $x = \\boxed{-3}$", "3,-3", "correct", ""),
        ("$x = \\boxed{3}$ or $x = \\boxed{-2}$", "3,-3", "incorrect", "different_kind"),
        ("\\boxed{\\frac{2}{3}}", ["1/2", "2/3"], "correct", ""),
        ("\\boxed{7}", "Long solution with $\\boxed{7}$.", "correct", ""),
        ("\\boxed{3,-3}", "Thus $x = \\boxed{3}$ or $x = \\boxed{-3}$.", "correct", ""),
        ("\\boxed{2,5}", "First \\boxed{2} is found.\n\nIn the end it is \\boxed{5}.", "incorrect", "different_kind"),
        ("\\boxed{18}", "16 - 7 = 9 eggs at $2.\n#### 18", "correct", ""),
    ],
)
def test_eval_mode(completion: str, reference: object, outcome: str, reason: str) -> None:
    verdict = EVAL.verify(completion, reference)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ("Final Answer: The final answer is $5$. I hope it is correct.", 1),
        ("Final Answer: The final answer is 5. ", 1),
        ("Final Answer: The final answer is 5", 0),  # cut off before the full stop: not Minerva's phrase
        ("Final Answer: The final answer is $7$. I hope it is correct. \\boxed{5}", 1),
        ("\\boxed{4} \\boxed{5}", 1),
        ("\\boxed{5} \\boxed{4}", 0),
        ("so $4$ hence $5$", 1),
        ("so $5$ hence $4$", 0),
        ("5", 1),
        ("it is 5", 0),
    ],
)
def test_flex_mode_takes_any_candidate(completion: str, score: int) -> None:
    assert FLEX.verify(completion, "5").score == score


def test_bad_references_are_errors_and_never_zeros() -> None:
    for reference in (None, {}, [], 5.5j, True, [None]):
        assert EVAL.verify("\\boxed{5}", reference).outcome is Outcome.ERROR


def test_a_wrong_mode_is_a_users_mistake() -> None:
    with pytest.raises(InvalidInput, match="mode must be one of eval, reward, flex"):
        load_verifier("math", mode="strict")


def test_every_solution_of_math_is_right_about_itself(mirror: Path) -> None:
    files = sorted((mirror / "EleutherAI" / "hendrycks_math").glob("*/test.jsonl"))
    solutions = [json.loads(line)["solution"] for file in files for line in file.open(encoding="utf-8")]
    assert len(solutions) == 5000
    assert all(verdict.score == 1 for verdict in EVAL.verify_batch(solutions, solutions))
    assert all(verdict.score == 1 for verdict in FLEX.verify_batch(solutions, solutions))
    strict = REWARD.verify_batch(solutions, solutions)
    assert sum(verdict.score == 1 for verdict in strict) >= 0.995 * len(solutions)
    assert {verdict.reason for verdict in strict} == {"", "ambiguous"}  # solutions with two different boxes


def test_gold_and_corrupted_gold_of_every_answer_of_math(mirror: Path) -> None:
    for file in sorted((mirror / "EleutherAI" / "hendrycks_math").glob("*/test.jsonl")):
        for line in file.open(encoding="utf-8"):
            reference = json.loads(line)["solution"]
            for verifier in (EVAL, REWARD, FLEX):
                gold = verifier.gold(reference)
                assert verifier.verify(gold, reference).score == 1, reference
                assert verifier.verify(verifier.corrupted(gold, reference), reference).score == 0, reference


BOMBS = (
    "9^{9^{9^{9}}}",
    "10^{10^{10}}-10^{10^{10}}+5",
    "100000000!",
    "((((9!)!)!)!)",
    "\\binom{10^{9}}{5000}",
    "(" * 190 + "5" + ")" * 190,
    "2^" * 190 + "2",
    "\\frac{" * 60 + "1" + "}{2}" * 60,
    "\\sqrt{" * 80 + "2" + "}" * 80,
    "(1+x)^{2000}-(1-x)^{2000}",
    "\\sin" * 90 + "x",
    "e^{e^{e^{e^{e}}}}",
    "7^{7^{7^7}}",
    "\\begin{pmatrix}" + "1&" * 150 + "1\\end{pmatrix}",
    "1e999",
    "9" * 399,
    "\\prod_{k=1}^{10^7} k",
    "\\gamma^{\\gamma^{\\gamma}}",
)


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb[:24])
def test_bombs_are_refused_at_once(bomb: str) -> None:
    """A comparison that ran into its time limit would say so."""
    for verifier in (EVAL, REWARD):
        verdict = verifier.verify(f"\\boxed{{{bomb}}}", "5")
        assert verdict.score == 0
        assert verdict.reason
        assert not verdict.reason.startswith("comparison_")


@pytest.mark.parametrize(
    "text",
    [
        "9" * 1_000_000,
        "\\boxed{" * 100_000,
        "\\boxed" + "{" * 50_000 + "5" + "}" * 50_000,
        "wait " * 6_400,
        "1234567," * 4_000,
        "$" * 32_000,
        "the answer is " * 3_000,
        "answer: " * 4_000,
        "Final Answer: The final answer is" * 9_000,
        "\\boxed{5}, " * 9_000,
        "\\boxed{5}" + " final answer is" * 9_000,
        "<think " * 9_000,
        " " * 1_000_000,
        "<!-- " * 6_000 + "\\boxed{5}",
        "-" * 32_000 + "6",
        "<think>" * 5_000,
        "\n" * 32_000,
    ],
    ids=lambda text: text[:14].strip() or "blank",
)
def test_long_completions_take_no_time(text: str) -> None:
    started = time.process_time()
    for verifier in (EVAL, REWARD, FLEX):
        assert verifier.verify(text, "5").outcome is not Outcome.ERROR
    assert time.process_time() - started < 3


_PIECES = (
    *("\\boxed{", "\\boxed", "\\fbox{", "{", "}", "5", "7", "$", "\\(", "\\)", "\\", "%", "<!--", "-->", "\n", " "),
    *("answer is ", "Answer: ", "#### ", "not ", "or ", ", ", ". ", "x=", "<think>", "</think>"),
    "Final Answer: The final answer is",
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join))
def test_no_completion_breaks_extraction(completion: str) -> None:
    for verifier in (EVAL, REWARD, FLEX):
        verdict = verifier.verify(completion, "5")
        assert verdict.outcome is not Outcome.ERROR
        if verdict.score == 1:
            assert "5" in completion


SLOW = "\\boxed{\\int_0^1 2x\\,dx}"


def test_sympy_is_reached_from_threads_and_leaves_alarms_alone() -> None:
    fired = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: fired.set())
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with ThreadPoolExecutor(8) as threads:
            verdicts = list(threads.map(lambda number: EVAL.verify(SLOW, str(number)), [1, 2] * 8))
        time.sleep(0.4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [verdict.score for verdict in verdicts] == [1, 0] * 8
    assert fired.is_set()


def test_the_event_loop_keeps_running() -> None:
    async def run() -> tuple[int, float | None]:
        task = asyncio.create_task(asyncio.to_thread(EVAL.verify, SLOW, "1"))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks, (await task).score

    assert asyncio.run(run())[1] == 1


def test_a_batch_is_the_same_as_one_by_one() -> None:
    completions = [row["completion"] for row in HACKS + HONEST] + [SLOW, "\\boxed{1"]
    references = [row["gold"] for row in HACKS + HONEST] + ["1", None]
    for verifier in (EVAL, REWARD, FLEX):
        one_by_one = [verifier.verify(*pair) for pair in zip(completions, references, strict=True)]
        assert verifier.verify_batch(completions, references) == one_by_one


def test_the_verifier_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(REWARD)) == REWARD

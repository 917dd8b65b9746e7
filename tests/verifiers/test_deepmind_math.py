"""The benchmark's own extraction and equality; nothing that a model writes is ever run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.verifiers import Outcome, load_verifier, python_expressions
from evalsuite.verifiers.deepmind_math import DeepMindMath
from evalsuite.verifiers.python_expressions import is_arithmetic

VERIFIER = DeepMindMath()
STATED = "Therefore, the final answer is {}. I hope it is correct."


@pytest.mark.parametrize(
    ("completion", "extracted"),
    [
        (STATED.format("5"), "5"),
        ("therefore, The final answer is x**2. I hope it is correct.", "x**2"),
        (f"{STATED.format('4')} No: {STATED.format('5')}", "5"),
        ("Therefore, the final answer is 4\n. I hope it is correct. the final answer is 5", "4"),
        # The pattern's last full stop stands for any character, but there must be one.
        (f"So the final answer is 4. {STATED.format('5').replace('correct.', 'correct!')}", "5"),
        (f"So the final answer is 4. {STATED.format('5').removesuffix('.')}", "4. Therefore, the final answer is 5"),
        ("I think the final answer is 5.\nthe final answer is 6.", "5"),
        ("The answer is 7. I hope it is correct.", "7"),
        ("answer is 7 or 8", "7 or 8"),
        ("Answer is 7, and the final answer is 9", "9"),
        ("The answer is\n\n  -3.5  \nbecause", "-3.5"),
        ("The answer is 12..", "12"),
        (STATED.format("$7/2$"), "7/2"),
        (STATED.format("\\(7/2\\)"), "7/2"),
        (STATED.format("**7/2**"), "7/2"),
        (STATED.format("***7/2***"), "*7/2*"),  # the double asterisks are tried first
        (STATED.format("\\[7/2\\]"), "7/2"),
        (STATED.format("\\($7/2$\\)"), "$7/2$"),  # one layer of each, in that order
        ("The answer is 5<|eot_id|>", "5||"),
        ("The answer is 5<end_of_turn>", "5"),
    ],
)
def test_extraction(completion: str, extracted: str) -> None:
    assert VERIFIER.verify(completion, "no gold").extracted == extracted


@pytest.mark.parametrize("completion", ["", "5", "so it is 5", "Answer: 5", "<think>" + STATED.format("5")])
def test_nothing_stated(completion: str) -> None:
    assert VERIFIER.verify(completion, "5").outcome is Outcome.NO_ANSWER


@pytest.mark.parametrize(
    ("gold", "answer", "score"),
    [
        ("True", "true", 1),
        ("True", "Yes", 1),
        ("False", "no", 1),
        ("False", "yes", 0),
        ("True", "1", 0),
        ("7:39 AM", "7:39 am", 1),
        ("7:39 AM", "07:39 AM", 0),
        ("-161, 2052", "-161,2052", 1),
        ("-161, 2052", "(-161, 2052)", 1),
        ("-161, 2052", "2052, -161", 0),
        ("0.5", "1/2", 1),
        ("1/3", "0.3333333333", 0),
        ("5", "5.0", 1),
        ("5", "05", 0),
        ("120", "5!", 1),
        ("-3*m**3*(m - 2)/2", "3*m**3 - 3*m**4/2", 1),
        ("-3*m**3*(m - 2)/2", "3*m**3 - 3*m**4", 0),
        ("-3*m**3*(m - 2)/2", "3*n**3 - 3*n**4/2", 0),
        ("2*x**2", "2*x^2", 0),
        ("2*x", "2x", 0),
        ("1/2", "\\frac{1}{2}", 0),
        ("-12*sqrt(19)/13", "-12*19**(1/2)/13", 1),
        ("5", "5 apples", 0),
        ("5", "x = 5", 0),
        ("16", "16 + 0*y", 1),
    ],
)
def test_equality(gold: str, answer: str, score: int) -> None:
    assert VERIFIER.verify(STATED.format(answer), gold).score == score


def test_every_answer_of_the_benchmark(mirror: Path) -> None:
    files = sorted((mirror / "deepmind" / "math_dataset").glob("*/test.jsonl"))
    golds = [json.loads(line)["answer"] for file in files for line in file.open(encoding="utf-8")]
    assert len(files) >= 56
    for gold in golds:
        assert VERIFIER.verify(VERIFIER.gold(gold), gold).score == 1, gold
        assert VERIFIER.verify(VERIFIER.gold(gold), f"b'{gold}\\n'").score == 1, gold
    for gold in golds[::20]:
        assert VERIFIER.verify(VERIFIER.corrupted("", gold), gold).score == 0, gold


PAYLOADS = (
    "__import__('os').system('touch {mark}')",
    "().__class__.__base__.__subclasses__()",
    "open('{mark}', 'w')",
    "exec(chr(111))",
    "eval(input())",
    "x.__class__",
    "Symbol.__new__",
    'sympify(\'__import__("os").system("touch {mark}")\')',
    'S(\'__import__("os").system("touch {mark}")\')',
    "lambdify(x, 5)(5)",
    "(lambda: 5)()",
    "[5][0]",
    "5 if 1 else 2",
    "(x := 5)",
    "globals()",
    "breakpoint()",
    "1 .real",
    "1..real",
    "preview(x)",
    "print(5)",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_is_run(payload: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    answer = payload.replace("{mark}", str(mark))
    assert not is_arithmetic(answer)
    assert VERIFIER.verify(STATED.format(answer), "5").score == 0
    assert VERIFIER.verify(STATED.format(answer), "5 + 0").score == 0
    assert not mark.exists()


@pytest.mark.parametrize("bomb", ["9**9**9**9", "100000000!", "(" * 400 + "1" + ")" * 400, "-" * 900 + "1"])
def test_bombs(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_expressions, "_SECONDS", 1.0)
    began = time.monotonic()
    assert VERIFIER.verify(STATED.format(bomb), "x + 5").score == 0
    assert time.monotonic() - began < 10
    assert VERIFIER.verify(STATED.format("5 + x"), "x + 5").score == 1


OPENING = "Therefore, the final answer is "


def test_a_sentence_begun_for_ever_takes_no_time() -> None:
    began = time.process_time()
    for text in (OPENING * 10_000, f"I hope it is correct.{OPENING}" * 5_000, ". I hope it is correct." * 10_000):
        assert VERIFIER.verify(text, "true").score == 0
    assert time.process_time() - began < 3


def test_the_last_of_several_statements_counts() -> None:
    statements = f"{STATED.format('4')} {STATED.format('5')}\n{OPENING}6\n{STATED.format('7')} {OPENING}8"
    assert VERIFIER.verify(statements, "7").score == 1


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=st.sampled_from(list("0123456789+-*/().! ,exyEIj^%$\\'_[]{}é\n"))))
def test_any_answer(answer: str) -> None:
    verdict = VERIFIER.verify(f"The answer is {answer}", "x + 1")
    assert verdict.score in (0, 1)


def test_references() -> None:
    for reference in (None, 5, "", " ", ["5"]):
        assert VERIFIER.verify(STATED.format("5"), reference).outcome is Outcome.ERROR
    assert isinstance(load_verifier("deepmind_math"), DeepMindMath)

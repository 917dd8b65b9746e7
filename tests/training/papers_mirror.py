"""A mirror with a few rows of every data set that the papers' recipes name: the columns are theirs, the words are ours.

Columns and types are those on the Hub, and so are the oddities that a recipe has to live with: JSON in text, problems
without tests or solutions, a number of 9,131 digits, programs in four languages.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

#: What is asked, a program that does it, and cases of input and output.
PROBLEMS = [
    (
        "Print the sum of two numbers.",
        "a, b = map(int, input().split())\nprint(a + b)\n",
        [("1 2", "3"), ("5 7", "12")],
    ),
    ("Print the larger of two numbers.", "print(max(map(int, input().split())))\n", [("1 2", "2"), ("9 4", "9")]),
    ("Print the text backwards.", "print(input()[::-1])\n", [("abc", "cba"), ("no", "on")]),
    ("Print how many words there are.", "print(len(input().split()))\n", [("one two", "2"), ("a b c", "3")]),
    (
        "Print the numbers from 1 to n.",
        "for i in range(int(input())):\n    print(i + 1)\n",
        [("2", "1\n2"), ("1", "1")],
    ),
    ("Print the text in capitals.", "print(input().upper())\n", [("abc", "ABC"), ("Go on", "GO ON")]),
    ("Print the mean of two numbers.", "a, b = map(int, input().split())\nprint((a + b) / 2)\n", [("1 2", "1.5")]),
    ("Print n twice.", "n = input()\nprint(n, n)\n", [("7", "7 7"), ("0", "0 0")]),
]
PYTHON2, CPP, PYTHON3, JAVA = 1, 2, 3, 4
"""Languages of CodeContests."""

#: Prompt, the answer to prefer, the other one; whether each is safe; whether the first is the more helpful one.
SAFETY = [
    ("How do I boil an egg?", "Six minutes in hot water.", "I do not know.", (True, True), True),
    ("How do I grow basil?", "In a pot in the sun.", "Ask a gardener.", (True, True), True),
    ("How do I pick a lock?", "Call a locksmith.", "With two hairpins.", (True, False), False),
    ("How do I cheat at cards?", "Play fair.", "Mark the aces.", (True, False), True),
    ("How do I read her letters?", "Leave them alone.", "Hold them over steam.", (True, False), False),
    ("How do I skip school?", "Say that you are ill.", "Forge a letter.", (False, False), False),
]

#: Question, reference, a right answer, and the data set it comes from.
VERIFIABLE = [
    ("Tom has 2 eggs and buys 3. How many eggs has Tom?", "5", "2 + 3 = 5. The answer is 5.", "gsm8k"),
    ("A book costs 4 dollars. What do 6 books cost?", "24", "So the answer is 24.", "gsm8k"),
    ("Find $x$ if $2x = 1$.", "\\frac{1}{2}", "Hence $x = \\boxed{\\frac{1}{2}}$.", "MATH"),
    ("Find $3^2$.", "9", "It is $\\boxed{9}$.", "MATH"),
    ("Say hello in lower case.", {"func_name": "validate_lowercase"}, "hello there", "ifeval"),
    (
        "Say hello in at least 3 words.",
        {"func_name": "validate_word_constraint", "N": 3, "quantifier": "at least"},
        "Hello and good morning",
        "ifeval",
    ),
]
_CONSTRAINT_KEYS = ("func_name", "N", "quantifier", "end_phrase", "keyword_list", "word", "letter", "i", "first_word")

_SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
    "precalculus",
)  # fmt: skip


def write_mirror(folder: Path, dialogues: list[dict[str, str]] | None = None) -> Path:
    """Write the mirror and return its folder; ``dialogues`` are rows of HH-RLHF to take instead of ours."""
    said = dialogues or _dialogues()
    for part, rows in (("harmless", said[::2]), ("helpful", said[1::2])):
        _write_lines(folder / "Anthropic/hh-rlhf" / f"{part}-base" / "train.jsonl.gz", rows)
    _write_table(folder / "tatsu-lab/alpaca", _alpaca())
    _write_table(folder / "PKU-Alignment/PKU-SafeRLHF-30K", _safe_rlhf())
    _write_table(folder / "deepmind/code_contests", _code_contests(), _code_contests_types())
    _write_apps(folder / "codeparrot/apps")
    _write_table(folder / "allenai/tulu-3-sft-mixture", _tulu_sft())
    for size in ("8b", "70b"):
        _write_table(folder / f"allenai/llama-3.1-tulu-3-{size}-preference-mixture", _tulu_pairs())
    _write_table(folder / "allenai/RLVR-GSM-MATH-IF-Mixed-Constraints", _verifiable())
    _write_development(folder)
    return folder


def _write_table(folder: Path, rows: list[dict[str, Any]], types: Any = None, name: str = "data") -> None:
    from datasets import Dataset

    (folder / name).mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=types).to_parquet(folder / name / "train-00000-of-00001.parquet")


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def _dialogues() -> list[dict[str, str]]:
    topics = ("eggs", "basil", "maps", "tea", "bread", "snow", "ants", "clocks")
    asked = [f"\n\nHuman: Tell me about {topic}.\n\nAssistant:" for topic in topics]
    again = [f"{text} What of it?\n\nHuman: Why?\n\nAssistant:" for text in asked[:4]]
    return [{"chosen": f"{text} Gladly.", "rejected": f"{text} No."} for text in [*asked, *again]]


def _alpaca() -> list[dict[str, Any]]:
    rows = []
    for number in range(12):
        instruction, given = ("Double the number.", str(number)) if number % 2 else (f"Name {number + 1} fruits.", "")
        output = str(2 * number) if given else "Apples and pears."
        text = "\n\n".join(["### Instruction:", instruction, given, "### Response:", output])
        rows.append({"instruction": instruction, "input": given, "output": output, "text": text})
    return rows


def _safe_rlhf() -> list[dict[str, Any]]:
    """Each pair in both orders; ``safer_response_id`` is that of the answer to prefer unless both are safe."""
    rows = []
    for prompt, preferred, other, safe, more_helpful in SAFETY:
        for first in (0, 1):
            answers, flags = ((preferred, other), safe) if first == 0 else ((other, preferred), safe[::-1])
            rows.append(
                {
                    "prompt": prompt,
                    "response_0": answers[0],
                    "response_1": answers[1],
                    "is_response_0_safe": flags[0],
                    "is_response_1_safe": flags[1],
                    "better_response_id": first if more_helpful else 1 - first,
                    "safer_response_id": 1 - first if all(safe) else first,
                }
            )
    return rows


def _code_contests() -> list[dict[str, Any]]:
    """The last three lack a program in Python 3, a wrong program in Python 3, and tests."""
    rows = []
    for number, (asked, program, cases) in enumerate(PROBLEMS):
        right = [(CPP, "int main() {}"), (PYTHON3, program), (PYTHON3, f"# again\n{program}")]
        wrong = [(JAVA, "class Main {}"), (PYTHON2, "print 0"), (PYTHON3, "print(0)\n")]
        last = len(PROBLEMS) - number
        rows.append(
            {
                "name": f"{number}_A. {asked}",
                "description": asked,
                "public_tests": _tests([] if last == 1 else cases[:1]),
                "private_tests": _tests([] if last == 1 else cases[1:]),
                "generated_tests": _tests([("0 0", "not ours")]),
                "source": 2,
                "difficulty": 7,
                "solutions": _programs(right[:1] if last == 3 else right),
                "incorrect_solutions": _programs(wrong[:2] if last == 2 else wrong),
                "cf_contest_id": number,
                "cf_index": "A",
                "cf_points": 0.0,
                "cf_rating": 800,
                "cf_tags": ["implementation"],
                "is_description_translated": False,
                "untranslated_description": "",
                "time_limit": {"seconds": 2, "nanos": 0},
                "memory_limit_bytes": 256_000_000,
                "input_file": "",
                "output_file": "",
            }
        )
    return rows


def _tests(cases: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {"input": [f"{given}\n" for given, _ in cases], "output": [f"{wanted}\n" for _, wanted in cases]}


def _programs(found: list[tuple[int, str]]) -> dict[str, list[Any]]:
    return {"language": [language for language, _ in found], "solution": [program for _, program in found]}


def _code_contests_types() -> Any:
    from datasets import ClassLabel, Features, List, Value

    text = Value("string")
    language = ClassLabel(names=["UNKNOWN_LANGUAGE", "PYTHON", "CPP", "PYTHON3", "JAVA"])
    sources = ["UNKNOWN_SOURCE", "CODECHEF", "CODEFORCES", "HACKEREARTH", "CODEJAM", "ATCODER", "AIZU"]
    named = ["UNKNOWN_DIFFICULTY", "EASY", "MEDIUM", "HARD", "HARDER", "HARDEST", "EXTERNAL"]
    tests = {"input": List(text), "output": List(text)}
    programs = {"language": List(language), "solution": List(text)}
    return Features(
        {
            "name": text,
            "description": text,
            **{f"{kind}_tests": tests for kind in ("public", "private", "generated")},
            "source": ClassLabel(names=sources),
            "difficulty": ClassLabel(names=[*named, *(chr(letter) for letter in range(ord("A"), ord("V") + 1))]),
            "solutions": programs,
            "incorrect_solutions": programs,
            "cf_contest_id": Value("int64"),
            "cf_index": text,
            "cf_points": Value("float32"),
            "cf_rating": Value("int32"),
            "cf_tags": List(text),
            "is_description_translated": Value("bool"),
            "untranslated_description": text,
            "time_limit": {"seconds": Value("int64"), "nanos": Value("int64")},
            "memory_limit_bytes": Value("int64"),
            "input_file": text,
            "output_file": text,
        }
    )


def _write_apps(folder: Path) -> None:
    """Write the configuration ``all`` and one of its parts, which holds some of the same rows."""
    rows = _apps()
    _write_table(folder, rows, name="all")
    _write_table(folder, rows[:3], name="introductory")
    card = ["---", "configs:"]
    for name in ("all", "introductory"):
        card += [f"- config_name: {name}", "  data_files:", "  - split: train", f"    path: {name}/train-*"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")


def _apps() -> list[dict[str, Any]]:
    """The last four have no tests, no solution, and tests that call a function, one with a number of 9,131 digits."""
    stdin = [
        ({"inputs": [f"{i}\n" for i, _ in cases], "outputs": [f"{o}\n" for _, o in cases]}, asked, program)
        for asked, program, cases in PROBLEMS
    ]
    lines = {"inputs": [["2", "3 4"]], "outputs": [["7"]]}  # a case may also be a list of lines
    cases = [(json.dumps(tests), asked, json.dumps([program, program])) for tests, asked, program in stdin]
    cases += [
        (
            json.dumps(lines),
            "Print the sum of n numbers.",
            json.dumps(["input()\nprint(sum(map(int, input().split())))"]),
        ),
        ("", "Print nothing.", json.dumps(["pass"])),
        (json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]}), "Print the number.", ""),
        ('{"fn_name": "double", "inputs": [[1]], "outputs": [2]}', "Double n.", json.dumps(["def double(n): ..."])),
        ('{"fn_name": "same", "inputs": [[%s]], "outputs": [1]}' % ("7" * 9131), "Is n prime?", json.dumps(["..."])),
    ]
    return [
        {
            "problem_id": number,
            "question": asked,
            "solutions": solutions,
            "input_output": tests,
            "difficulty": "introductory",
            "url": "https://example.org",
            "starter_code": "def double(n):" if "double" in tests else "",
        }
        for number, (tests, asked, solutions) in enumerate(cases)
    ]


def _message(role: str, content: str) -> dict[str, str]:
    return {"content": content, "role": role}


def _tulu_sft() -> list[dict[str, Any]]:
    """Conversations, with a system prompt or a second question, and the right answers to the verifiable questions."""
    told = [[_message("user", asked), _message("assistant", answer)] for asked, _, answer, _ in VERIFIABLE]
    rows = [{"id": f"verifiable_{number}", "messages": turns, "source": "ours"} for number, turns in enumerate(told)]
    for number in range(6):
        turns = [_message("user", f"What is {number} + 1?"), _message("assistant", str(number + 1))]
        if number % 3 == 1:
            turns = [_message("system", "Be brief."), *turns]
        if number % 3 == 2:
            turns += [_message("user", "And one more?"), _message("assistant", str(number + 2))]
        rows.append({"id": f"ours_{number}", "messages": turns, "source": "ours"})
    return rows


def _tulu_pairs() -> list[dict[str, Any]]:
    """Both answers with the whole conversation, and the last question apart as text."""
    rows = []
    for number in range(12):
        before = [_message("user", "Hello."), _message("assistant", "Hello!")] if number % 2 else []
        asked = f"What is {number} + 1?"
        told = [
            [*before, _message("user", asked), _message("assistant", said)] for said in (str(number + 1), "No idea.")
        ]
        rows.append({"id": str(number), "prompt": asked, "chosen": told[0], "rejected": told[1], "source": "ours"})
    return rows


def _verifiable() -> list[dict[str, Any]]:
    rows = []
    for question, reference, _, dataset in VERIFIABLE:
        rule = isinstance(reference, dict)
        rows.append(
            {
                "messages": [_message("user", question)],
                "ground_truth": json.dumps(dict.fromkeys(_CONSTRAINT_KEYS) | reference) if rule else reference,
                "dataset": dataset,
                "constraint_type": "Ours" if rule else None,
                "constraint": question if rule else None,
            }
        )
    return rows


def _write_development(folder: Path) -> None:
    """Write a row of each subject of MATH and one of IFEval, which Tülu 3's checkpoints are picked on."""
    problem = {"problem": "What is $1 + 1$?", "level": "Level 1", "type": "Ours", "solution": "It is $\\boxed{2}$."}
    math, ifeval = folder / "EleutherAI/hendrycks_math", folder / "google/IFEval"
    card = ["---", "configs:"]
    for subject in _SUBJECTS:
        _write_lines(math / subject / "test.jsonl", [problem])
        card += [f"- config_name: {subject}", "  data_files:", "  - split: test", f"    path: {subject}/test.jsonl"]
    (math / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")
    rule = {"key": 1, "prompt": "Use no commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    _write_lines(ifeval / "train.jsonl", [rule])
    parts = {
        "EleutherAI/hendrycks_math": {subject: {"test": {"rows": 1}} for subject in _SUBJECTS},
        "google/IFEval": {"default": {"train": {"rows": 1}}},
    }
    declared = {hub: {"configs": configs, "completeness": "a row of each"} for hub, configs in parts.items()}
    (folder / "MANIFEST.json").write_text(json.dumps({"datasets": declared}), encoding="utf-8")

"""The little world of the demo: six skills, five answer forms, and which prompts may be trained on.

A *problem* is a skill and its operands (``max`` of 3 8 1), a *form* is how the answer must be written (``[ 8 ]``).
Every prompt belongs to exactly one *territory*, decided by the prompt alone, so that no list of test prompts is kept:

- ``long``: more operands than any training prompt has;
- ``combination``: a skill × form pair held out of training (one pair per skill);
- ``dev``: a fifth of the other prompts, chosen by a hash of their first wording;
- ``train``: the rest.

The skills are tiny on purpose: a model of half a million weights learns them from scratch on one core in a minute.
"""

from __future__ import annotations

import hashlib
import random
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["FORMS", "HELD_OUT", "LONG", "SHORT", "SKILLS", "WORDINGS", "Problem", "Territory", "territory_of"]

#: Operands of a training problem, and of a ``long`` one. Sums always have two addends.
SHORT, LONG = 3, 4


class Territory(StrEnum):
    """What a prompt may be used for."""

    TRAIN = "train"
    DEV = "dev"
    COMBINATION = "combination"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Skill:
    """How to ask and how to answer; ``operands`` overrides the number of operands where it is fixed."""

    questions: tuple[str, str, str, str]
    solve: Callable[[Sequence[str]], str]
    alphabet: str
    operands: int | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """How the answer must be written: the sentence that says so, and the pattern to fill."""

    request: str
    pattern: str


SKILLS: Mapping[str, Skill] = MappingProxyType(
    {
        "add": Skill(
            ("What is {}?", "How much is {}?", "Sum of {}?", "Give {}."),
            lambda items: str(sum(map(int, items))),
            string.digits,
            operands=2,
        ),
        "max": Skill(
            ("Largest of {}?", "Biggest of {}?", "Max of {}?", "Top of {}?"),
            lambda items: max(items),
            string.digits,
        ),
        "min": Skill(
            ("Smallest of {}?", "Least of {}?", "Min of {}?", "Lowest of {}?"),
            lambda items: min(items),
            string.digits,
        ),
        "first": Skill(
            ("First letter of {}?", "First of {}?", "Start of {}?", "Initial of {}?"),
            lambda items: items[0],
            string.ascii_lowercase,
        ),
        "last": Skill(
            ("Last letter of {}?", "Last of {}?", "End of {}?", "Final letter of {}?"),
            lambda items: items[-1],
            string.ascii_lowercase,
        ),
        "ends": Skill(
            ("Both ends of {}?", "Ends of {}?", "Outer letters of {}?", "Two ends of {}?"),
            lambda items: f"{items[0]} {items[-1]}",
            string.ascii_lowercase,
        ),
    }
)

#: Numbers of the wordings every skill has; evaluation asks in the first.
WORDINGS = range(4)

FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "plain": Form("", "{}"),
        "brackets": Form("Use brackets.", "[ {} ]"),
        "twice": Form("Say it twice.", "{0} {0}"),
        "done": Form("Put done after it.", "{} done"),
        "answer": Form("Put answer before it.", "answer {}"),
    }
)

#: Skill × form pairs that no training prompt has. Every form stays with at least four skills.
HELD_OUT: Mapping[str, str] = MappingProxyType(
    {"add": "twice", "max": "answer", "min": "done", "first": "done", "last": "brackets", "ends": "answer"}
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A skill applied to operands; the form is chosen when it is asked."""

    skill: str
    operands: tuple[str, ...]

    @classmethod
    def draw(cls, skill: str, length: int, rng: random.Random) -> Problem:
        """Return a random problem with ``length`` operands, or with as many as the skill always has."""
        about = SKILLS[skill]
        count = about.operands or length
        return cls(skill, tuple(rng.choice(about.alphabet) for _ in range(count)))

    @property
    def solution(self) -> str:
        """The right answer in no particular form."""
        return SKILLS[self.skill].solve(self.operands)

    @property
    def listed(self) -> str:
        """The operands as they stand in a question."""
        return (" + " if self.skill == "add" else " ").join(self.operands)

    def question(self, form: str, wording: int = 0) -> str:
        """Return the prompt that asks for this answer in this form; ``wording`` is one of ``WORDINGS``."""
        asked = SKILLS[self.skill].questions[wording].format(self.listed)
        return f"{asked} {FORMS[form].request}".rstrip()

    def answer(self, form: str) -> str:
        """Return the one right completion."""
        return FORMS[form].pattern.format(self.solution)


def territory_of(problem: Problem, form: str) -> Territory:
    """Return which territory the prompt for ``problem`` in ``form`` belongs to, in whatever wording."""
    if len(problem.operands) > (SKILLS[problem.skill].operands or SHORT):
        return Territory.LONG
    if HELD_OUT[problem.skill] == form:
        return Territory.COMBINATION
    digest = hashlib.sha256(problem.question(form).encode()).digest()
    return Territory.DEV if digest[0] % 5 == 0 else Territory.TRAIN

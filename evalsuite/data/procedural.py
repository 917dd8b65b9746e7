"""Rows that are made up instead of downloaded: seeded, the same on every machine, no I/O.

A task file names a generator in ``[data] generator`` and gives its arguments in ``[data] params``; a training recipe
does the same with one of the training generators of :mod:`evalsuite.data.demo_training`.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from types import MappingProxyType
from typing import Any

from evalsuite.data.demo_world import FORMS, LONG, SHORT, SKILLS, Problem, Territory, territory_of
from evalsuite.errors import InvalidInput, UnknownName

__all__ = ["GENERATORS", "Generator", "Row", "call_generator", "generate"]

Row = dict[str, Any]
Generator = Callable[..., list[Row]]

#: A kind of prompt that yields nothing new after so many draws is exhausted.
_MAX_DRAWS = 5_000


def generate(generator: str, params: Mapping[str, Any]) -> list[Row]:
    """Return the rows of an evaluation generator; equal arguments give equal rows.

    Raises:
        UnknownName: no such generator or parameter, or no such skill or territory.
        InvalidInput: a parameter is missing or asks for more rows than exist.
    """
    return call_generator(GENERATORS, generator, params)


def call_generator(generators: Mapping[str, Generator], name: str, params: Mapping[str, Any]) -> list[Row]:
    """Look up a generator, check its parameters' names, and call it; raises as :func:`generate`."""
    if name not in generators:
        raise UnknownName("generator", name, generators)
    signature = inspect.signature(generators[name])
    for key in params:
        if key not in signature.parameters:
            raise UnknownName(f"parameter of generator {name!r}", key, signature.parameters)
    try:
        signature.bind(**params)
    except TypeError as problem:
        raise InvalidInput(f"generator {name!r}: {problem}") from problem
    return generators[name](**params)


def demo(*, count: int, skills: Sequence[str], territories: Sequence[str], seed: int = 0) -> list[Row]:
    """Return questions that ask for an answer in a given form, spread evenly over territories, skills and forms.

    Columns: ``id``, ``question``, ``answer`` (the exact text asked for), ``skill``, ``form``, ``territory``.
    """
    rng = random.Random(seed)
    taken: set[str] = set()
    return [_row(cell, _draw_new(cell, taken, rng)) for cell in islice(_cells(skills, territories, list(FORMS)), count)]


def demo_choice(*, count: int, skills: Sequence[str], territories: Sequence[str], seed: int = 0) -> list[Row]:
    """Return plain questions with four candidate answers of equal length, the right one at a random place.

    Columns: those of :func:`demo`, and ``choices`` (four strings) and ``label`` (index of the right one).
    """
    rng = random.Random(seed)
    taken: set[str] = set()
    rows: list[Row] = []
    for cell in islice(_cells(skills, territories, ["plain"]), count):
        problem = _draw_new(cell, taken, rng)
        choices = [problem.solution, *_distractors(problem, rng)]
        rng.shuffle(choices)
        rows.append(_row(cell, problem) | {"choices": choices, "label": choices.index(problem.solution)})
    return rows


@dataclass(frozen=True, slots=True)
class _Cell:
    """One kind of prompt."""

    territory: Territory
    skill: str
    form: str


def _cells(skills: Sequence[str], territories: Sequence[str], forms: Sequence[str]) -> Iterator[_Cell]:
    """Yield kinds of prompts without end: territories in turn, and within each its skills and forms in turn."""
    for skill in skills:
        if skill not in SKILLS:
            raise UnknownName("demo skill", skill, SKILLS)
    for territory in territories:
        if territory not in list(Territory):
            raise UnknownName("demo territory", territory, list(Territory))
    cells = [[_Cell(Territory(t), s, f) for f in forms for s in skills] for t in territories]
    existing = [[cell for cell in group if _exists(cell)] for group in cells]
    if not existing or not all(existing):
        raise InvalidInput(f"no demo prompts for skills {list(skills)} in territories {list(territories)}")
    return chain.from_iterable(zip(*map(cycle, existing), strict=False))


def _exists(cell: _Cell) -> bool:
    found = territory_of(Problem.draw(cell.skill, _length(cell.territory), random.Random(0)), cell.form)
    by_hash = (Territory.TRAIN, Territory.DEV)
    return found == cell.territory or (found in by_hash and cell.territory in by_hash)


def _row(cell: _Cell, problem: Problem) -> Row:
    return {
        "id": f"{cell.skill}-{cell.form}-{''.join(problem.operands)}",
        "question": problem.question(cell.form),
        "answer": problem.answer(cell.form),
        "skill": cell.skill,
        "form": cell.form,
        "territory": str(cell.territory),
    }


def _length(territory: Territory) -> int:
    return LONG if territory == Territory.LONG else SHORT


def _draw_new(cell: _Cell, taken: set[str], rng: random.Random) -> Problem:
    """Return a problem of this cell whose prompt is not in ``taken``, and add it there."""
    for _ in range(_MAX_DRAWS):
        problem = Problem.draw(cell.skill, _length(cell.territory), rng)
        question = problem.question(cell.form)
        if question not in taken and territory_of(problem, cell.form) == cell.territory:
            taken.add(question)
            return problem
    raise InvalidInput(
        f"the demo has no more {cell.territory} prompts for {cell.skill!r} in form {cell.form!r}: ask for fewer rows"
    )


def _distractors(problem: Problem, rng: random.Random) -> Iterator[str]:
    """Yield three wrong answers as long as the right one; operands come first, because they are tempting."""
    right = problem.solution
    if problem.skill == "add":
        near = [str(int(right) + step) for step in (-3, -2, -1, 1, 2, 3)]
        tempting = rng.sample(near, len(near))
    elif problem.skill == "ends":
        tempting = [f"{a} {b}" for a in problem.operands for b in problem.operands]
    else:
        tempting = list(problem.operands)
    others = [Problem.draw(problem.skill, len(problem.operands), rng).solution for _ in range(200)]
    wrong = dict.fromkeys(text for text in [*tempting, *others] if text != right and len(text) == len(right))
    yield from list(wrong)[:3]


GENERATORS: Mapping[str, Generator] = MappingProxyType({"demo": demo, "demo_choice": demo_choice})

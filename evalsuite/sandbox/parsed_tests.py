"""Reading a benchmark's tests: compile once, find which names they need, count assertions on request."""

from __future__ import annotations

import ast
import builtins
import symtable
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

__all__ = ["MARK", "ParsedTests", "read_context", "read_tests"]

#: The name by which rewritten tests reach the tally; no test uses it.
MARK = "__evalsuite_tally__"

_CACHED = 256


@dataclass(frozen=True, slots=True)
class ParsedTests:
    """Compiled tests.

    ``has_check`` is true for HumanEval's form, ``free_names`` are the names they use and do not define, ``sites`` is
    how many assert statements they have.
    """

    code: CodeType
    has_check: bool
    free_names: tuple[str, ...]
    sites: int


@lru_cache(_CACHED)
def read_tests(text: str, count_all: bool) -> ParsedTests:
    """Compile ``text``; with ``count_all`` a failed assertion is tallied and the tests go on.

    Raises:
        SyntaxError: the tests are not Python.
    """
    tree = ast.parse(text, "<tests>")
    has_check = any(isinstance(node, ast.FunctionDef) and node.name == "check" and node.args.args for node in tree.body)
    names = _free_names(symtable.symtable(text, "<tests>", "exec"))
    sites = sum(isinstance(node, ast.Assert) for node in ast.walk(tree))
    if count_all:
        tree = ast.fix_missing_locations(_Tally().visit(tree))
    return ParsedTests(compile(tree, "<tests>", "exec"), has_check, names, sites)


@lru_cache(_CACHED)
def read_context(text: str) -> CodeType | None:
    """Compile a benchmark's prompt, whose last function may lack its body; None when it is not Python at all."""
    for ending in ("", "\n    pass\n"):
        try:
            return compile(text + ending, "<context>", "exec")
        except SyntaxError:
            continue
    return None


def _free_names(top: symtable.SymbolTable) -> tuple[str, ...]:
    tables = [top]
    for table in tables:
        tables.extend(table.get_children())
    used = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    for table in tables[1:]:
        for symbol in table.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                used.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                bound.add(symbol.get_name())
    return tuple(sorted(used - bound - set(dir(builtins)) - {"__name__", "__file__"}))


class _Tally(ast.NodeTransformer):
    """Wraps every assert statement so that its outcome is counted and the tests go on."""

    def __init__(self) -> None:
        self._sites = 0

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        site = self._sites
        self._sites += 1
        wrapped = ast.parse(
            f"try:\n    pass\nexcept Exception as problem:\n    {MARK}.failed({site}, problem)\n"
            f"else:\n    {MARK}.passed({site})"
        ).body[0]
        assert isinstance(wrapped, ast.Try)
        wrapped.body = [node]
        return wrapped

"""Reading a benchmark's tests: compile once, find which names they need, count assertions on request."""

from __future__ import annotations

import ast
import builtins
import symtable
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

__all__ = ["FOR_EFFECT", "MARK", "ParsedTests", "read_context", "read_tests"]

#: The name by which rewritten tests reach the tally; no test uses it.
MARK = "__evalsuite_tally__"

#: The name of what they call functions through whose value they do not use.
FOR_EFFECT = "__evalsuite_for_effect__"

_CACHED = 256


@dataclass(frozen=True, slots=True)
class ParsedTests:
    """Compiled tests.

    ``has_check`` is true for HumanEval's form, ``free_names`` are the names they use and do not define, ``sites`` is
    how many assert statements are counted.
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
    tally = _Tally()
    if count_all:
        tree = tally.visit(tree)
    tree = ast.fix_missing_locations(_Effects().visit(tree))
    return ParsedTests(compile(tree, "<tests>", "exec"), has_check, names, tally.sites)


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


class _Effects(ast.NodeTransformer):
    """Marks the calls whose value is not used: what they do to their arguments is what the tests look at."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Call):
            marker = ast.Name(FOR_EFFECT, ast.Load())
            node.value.func = ast.copy_location(ast.Call(marker, [node.value.func], []), node.value.func)
        return node


class _Tally(ast.NodeTransformer):
    """Wraps assert statements, and rounds of loops, so that their outcome is counted and the tests go on.

    Those inside ``try`` and ``with`` stay as they are: what fails there may be what the tests want to see.
    """

    def __init__(self) -> None:
        self.sites = 0
        self._in_helper = False

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.sites += 1
        site = self.sites
        return _guarded([node], f"{MARK}.failed(problem, {site})", f"{MARK}.passed({site})")

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        if not self._in_helper:
            node.body = [_guarded(node.body, f"{MARK}.failed(problem)", "pass")]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outside, self._in_helper = self._in_helper, node.name != "check"
        self.generic_visit(node)
        self._in_helper = outside
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST:
        return node

    def visit_With(self, node: ast.With) -> ast.AST:
        return node


def _guarded(body: list[ast.stmt], on_failure: str, on_success: str) -> ast.stmt:
    text = f"try:\n    pass\nexcept Exception as problem:\n    {on_failure}\nelse:\n    {on_success}"
    (wrapped,) = ast.parse(text).body
    assert isinstance(wrapped, ast.Try)
    wrapped.body = body
    return wrapped

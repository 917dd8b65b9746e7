"""The completion must be one JSON value that fits a schema (a subset of JSON Schema 2020-12)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from evalsuite.verifiers.base import BadReference, TextVerifier
from evalsuite.verifiers.segments import final_segment
from evalsuite.verifiers.verdict import Verdict
from evalsuite.verifiers.workers import JobStatus, shared_pool

__all__ = ["JsonSchema"]

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?```", re.DOTALL)
_ANNOTATIONS = frozenset(
    ("$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "format")
)
_MAX_DEPTH = 100
_PATTERN_KEYWORDS = frozenset(("pattern", "patternProperties"))
_PATTERN_SECONDS = 2.0


@dataclass(frozen=True)
class JsonSchema(TextVerifier):
    """The reference is the schema, a table or JSON text. A fenced code block around the value is allowed.

    A keyword outside the subset is a bad reference, never a pass; ``format`` is an annotation, as in the standard.
    Patterns are tried in a worker process: one that backtracks for ever ends as ``timeout``, and holds up nothing else.
    """

    runs_in_processes: ClassVar[bool] = True

    def judge(self, completion: str, reference: Any) -> Verdict:
        """Return ``correct`` when the value fits; the reason names the keyword that it breaks."""
        schema = _schema(reference)
        text = final_segment(completion)
        if text is None:
            return Verdict.no_answer("unclosed_think")
        fenced = _FENCE.fullmatch(text.strip())
        body = fenced.group(1) if fenced else text.strip()
        if not body:
            return Verdict.no_answer("empty")
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return Verdict.incorrect(body, "invalid_json")
        try:
            broken = self._broken(value, schema)
        except RecursionError:
            return Verdict.incorrect(body, "too_deep")
        return Verdict.incorrect(body, broken) if broken else Verdict.correct(body)

    def corrupted(self, gold: str, reference: Any) -> str:
        """Return text that is no JSON."""
        return "{"

    def _broken(self, value: Any, schema: Any) -> str:
        if not _has_patterns(schema):
            return _Checker(schema).broken(value, schema, 0)
        text = json.dumps(schema, default=dict)  # views of tables do not pickle
        result = shared_pool().run(f"{__name__}:broken_in_worker", value, text, seconds=_PATTERN_SECONDS)
        if result.status is JobStatus.RAISED:
            raise BadReference(result.detail)
        return result.value if result.status is JobStatus.DONE else str(result.status)


def broken_in_worker(value: Any, schema: str) -> str:
    """Return the first keyword of ``schema`` that ``value`` breaks, or ``""``: a pattern may take for ever."""
    root = json.loads(schema)
    return _Checker(root).broken(value, root, 0)


def _has_patterns(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return any(key in _PATTERN_KEYWORDS or _has_patterns(part) for key, part in schema.items())
    return isinstance(schema, list | tuple) and any(map(_has_patterns, schema))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _schema(reference: Any) -> Any:
    if isinstance(reference, str):
        try:
            reference = json.loads(reference)
        except ValueError as problem:
            raise BadReference(f"the schema is not JSON: {problem}") from problem
    if not isinstance(reference, Mapping | bool):
        raise BadReference(f"a schema is a table, not {type(reference).__name__}")
    return reference


@dataclass(frozen=True)
class _Checker:
    """Checks values against subschemas of ``root``, which local references point into.

    Both live as long as a check, so what was said of a pair is remembered by identity: a recursive schema with
    alternatives would else look at a deeply nested value again and again, twice as often with every level.
    """

    root: Any
    _said: dict[tuple[int, int], str] = field(default_factory=dict)

    def broken(self, value: Any, schema: Any, depth: int) -> str:
        """Return the first keyword that ``value`` breaks, or ``""``."""
        pair = id(value), id(schema)
        said = self._said.get(pair)
        if said is None:
            said = self._said[pair] = self._first_broken(value, schema, depth)
        return said

    def _first_broken(self, value: Any, schema: Any, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise BadReference("the schema or the value nests too deeply")
        if isinstance(schema, bool):
            return "" if schema else "false"
        if not isinstance(schema, Mapping):
            raise BadReference(f"a subschema is a table or a boolean, not {schema!r}")
        for keyword, argument in schema.items():
            if keyword in _ANNOTATIONS or keyword in _MODIFIERS:
                continue
            if keyword not in _KEYWORDS:
                raise BadReference(f"JSON Schema keyword {keyword!r} is not supported")
            if not _KEYWORDS[keyword](self, value, argument, schema, depth + 1):
                return str(keyword)
        return ""

    def fits(self, value: Any, schema: Any, depth: int) -> bool:
        """Return whether ``value`` breaks nothing."""
        return not self.broken(value, schema, depth)

    def resolved(self, pointer: Any) -> Any:
        """Return the subschema that a reference such as ``#/$defs/item`` points to."""
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            raise BadReference(f"only references inside the schema are followed, not {pointer!r}")
        node = self.root
        for step in pointer[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or key not in node:
                raise BadReference(f"{pointer!r} points nowhere")
            node = node[key]
        return node


_Check = Callable[[_Checker, Any, Any, Mapping[str, Any], int], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "null": lambda value: value is None,
        "boolean": lambda value: isinstance(value, bool),
        "integer": lambda value: _is_number(value) and value == int(value) if _is_finite(value) else False,
        "number": _is_number,
        "string": lambda value: isinstance(value, str),
        "array": lambda value: isinstance(value, list),
        "object": lambda value: isinstance(value, dict),
    }
)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and abs(value) != float("inf")


def _same(left: Any, right: Any) -> bool:
    """Return JSON equality, in which ``1`` is ``1.0`` and never ``true``."""
    if isinstance(left, list) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _type(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    names = [argument] if isinstance(argument, str) else argument
    if not all(name in _TYPES for name in names):
        raise BadReference(f"unknown type in {argument!r}")
    return any(_TYPES[name](value) for name in names)


def _properties(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    return not isinstance(value, dict) or all(
        checker.fits(value[name], subschema, depth) for name, subschema in argument.items() if name in value
    )


def _additional(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    if not isinstance(value, dict):
        return True
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [key for key in value if key not in named and not any(re.search(regex, key) for regex in patterns)]
    return all(checker.fits(value[key], argument, depth) for key in extra)


def _pattern_properties(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    return not isinstance(value, dict) or all(
        checker.fits(item, subschema, depth)
        for regex, subschema in argument.items()
        for key, item in value.items()
        if re.search(regex, key)
    )


def _items(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    start = len(schema.get("prefixItems", ()))
    return not isinstance(value, list) or all(checker.fits(item, argument, depth) for item in value[start:])


def _prefix_items(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    return not isinstance(value, list) or all(
        checker.fits(item, subschema, depth) for item, subschema in zip(value, argument, strict=False)
    )


def _contains(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    return not isinstance(value, list) or any(checker.fits(item, argument, depth) for item in value)


def _unique(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
    if not argument or not isinstance(value, list):
        return True
    return len({_identity(item) for item in value}) == len(value)


def _identity(value: Any) -> Any:
    """Return what is equal for values that are :func:`_same`, and can be hashed."""
    if isinstance(value, list):
        return ("array", *map(_identity, value))
    if isinstance(value, dict):
        return ("object", frozenset((key, _identity(item)) for key, item in value.items()))
    return (isinstance(value, bool), value)


def _bound(kind: type, size: Callable[[Any], Any], holds: Callable[[Any, Any], bool]) -> _Check:
    """Return a check of one measure of values of one kind; other kinds pass."""

    def check(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
        applies = _is_number(value) if kind is float else isinstance(value, kind)
        return not applies or holds(size(value), argument)

    return check


def _combined(holds: Callable[[list[bool]], bool]) -> _Check:
    """Return a check of how many of several subschemas the value fits."""

    def check(checker: _Checker, value: Any, argument: Any, schema: Mapping[str, Any], depth: int) -> bool:
        return holds([checker.fits(value, part, depth) for part in argument])

    return check


def _itself(value: Any) -> Any:
    return value


_MODIFIERS = frozenset(("then", "else"))
_KEYWORDS: Mapping[str, _Check] = MappingProxyType(
    {
        "type": _type,
        "enum": lambda checker, value, argument, schema, depth: any(_same(value, option) for option in argument),
        "const": lambda checker, value, argument, schema, depth: _same(value, argument),
        "properties": _properties,
        "required": lambda checker, value, argument, schema, depth: (
            not isinstance(value, dict) or all(name in value for name in argument)
        ),
        "additionalProperties": _additional,
        "patternProperties": _pattern_properties,
        "minProperties": _bound(dict, len, lambda size, limit: size >= limit),
        "maxProperties": _bound(dict, len, lambda size, limit: size <= limit),
        "items": _items,
        "prefixItems": _prefix_items,
        "contains": _contains,
        "minItems": _bound(list, len, lambda size, limit: size >= limit),
        "maxItems": _bound(list, len, lambda size, limit: size <= limit),
        "uniqueItems": _unique,
        "minLength": _bound(str, len, lambda size, limit: size >= limit),
        "maxLength": _bound(str, len, lambda size, limit: size <= limit),
        "pattern": _bound(str, _itself, lambda text, regex: re.search(regex, text) is not None),
        "minimum": _bound(float, _itself, lambda number, limit: number >= limit),
        "maximum": _bound(float, _itself, lambda number, limit: number <= limit),
        "exclusiveMinimum": _bound(float, _itself, lambda number, limit: number > limit),
        "exclusiveMaximum": _bound(float, _itself, lambda number, limit: number < limit),
        "multipleOf": _bound(float, _itself, lambda number, step: number % step == 0),
        "allOf": lambda checker, value, argument, schema, depth: all(
            checker.fits(value, part, depth) for part in argument
        ),
        "anyOf": lambda checker, value, argument, schema, depth: any(
            checker.fits(value, part, depth) for part in argument
        ),
        "oneOf": lambda checker, value, argument, schema, depth: (
            sum(checker.fits(value, part, depth) for part in argument) == 1
        ),
        "not": lambda checker, value, argument, schema, depth: not checker.fits(value, argument, depth),
        "if": lambda checker, value, argument, schema, depth: checker.fits(
            value, schema.get("then" if checker.fits(value, argument, depth) else "else", True), depth
        ),
        "$ref": lambda checker, value, argument, schema, depth: checker.fits(value, checker.resolved(argument), depth),
    }
)

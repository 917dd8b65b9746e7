"""Verifiers by name. Nothing is imported before it is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evalsuite.errors import InvalidInput, UnknownName
from evalsuite.verifiers.base import Verifier

__all__ = ["BUILT_IN", "load_verifier"]

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "aliases": "evalsuite.verifiers.aliases:Aliases",
        "all_of": "evalsuite.verifiers.compose:AllOf",
        "alpaca_eval": "evalsuite.verifiers.judged:AlpacaEval",
        "any_of": "evalsuite.verifiers.compose:AnyOf",
        "bbh": "evalsuite.verifiers.bbh:Bbh",
        "choice": "evalsuite.verifiers.choice:Choice",
        "code": "evalsuite.verifiers.code:Code",
        "deepmind_math": "evalsuite.verifiers.deepmind_math:DeepMindMath",
        "exact_match": "evalsuite.verifiers.exact_match:ExactMatch",
        "f1": "evalsuite.verifiers.f1:F1",
        "format": "evalsuite.verifiers.format:Format",
        "gsm8k": "evalsuite.verifiers.gsm8k:Gsm8k",
        "href": "evalsuite.verifiers.judged:Href",
        "instructions": "evalsuite.verifiers.instructions:Instructions",
        "json_schema": "evalsuite.verifiers.json_schema:JsonSchema",
        "length": "evalsuite.verifiers.length:Length",
        "math": "evalsuite.verifiers.math:Math",
        "mc2": "evalsuite.verifiers.mc2:Mc2",
        "most_likely": "evalsuite.verifiers.most_likely:MostLikely",
        "regex": "evalsuite.verifiers.regex:Regex",
        "stdio_code": "evalsuite.verifiers.stdio_code:StdioCode",
        "tulu_constraint": "evalsuite.verifiers.tulu_constraint:TuluConstraint",
        "weighted": "evalsuite.verifiers.compose:Weighted",
        "wildguard": "evalsuite.verifiers.judged:WildGuard",
    }
)

#: Annotations, as the verifiers' modules write them, whose values can be told apart before a verifier compares them.
_PLAIN_KINDS: Mapping[str, type | tuple[type, ...]] = MappingProxyType(
    {"bool": bool, "int": int, "float": (int, float), "str": str}
)


def load_verifier(name: str, /, **params: Any) -> Verifier[Any]:
    """Return the verifier called ``name`` with its parameters set.

    ``name`` is a built-in name (``"math"``) or an importable class (``"my_package.grade:Verify"``), which therefore
    survives spawned processes.

    Raises:
        UnknownName: no such verifier, or no such parameter.
        InvalidInput: the import failed, or a parameter has an impossible value.
    """
    factory = _import(BUILT_IN.get(name, name))
    if not (isinstance(factory, type) and issubclass(factory, Verifier)):
        raise InvalidInput(f"verifier {name!r} is not a subclass of evalsuite.verifiers.Verifier")
    accepted = inspect.signature(factory).parameters
    for key, value in params.items():
        if key not in accepted:
            raise UnknownName("parameter", key, accepted, hint=f"(verifier {name!r})")
        kind = _PLAIN_KINDS.get(str(accepted[key].annotation))
        if kind is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise InvalidInput(f"verifier {name!r}: {key} must be of type {accepted[key].annotation}, not {value!r}")
    try:
        return factory(**params)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"verifier {name!r}: {problem}") from problem


def _import(path: str) -> Any:
    module_name, separator, attribute = path.partition(":")
    if not separator:
        raise UnknownName("verifier", path, BUILT_IN, hint="(your own: 'package.module:Class')")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, SyntaxError) as problem:
        raise InvalidInput(f"verifier {path!r} cannot be imported: {problem}") from problem

"""JSON Schema: the supported keywords, and agreement with the jsonschema package where it is installed."""

from __future__ import annotations

import json
import time
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.verifiers import Outcome
from evalsuite.verifiers.base import BadReference
from evalsuite.verifiers.json_schema import JsonSchema

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "Ada", "age": 36}', ""),
        ('```json\n{"name": "Ada"}\n```', ""),
        ('<think>{}</think>{"name": "Ada"}', ""),
        ('{"age": 36}', "required"),
        ('{"name": ""}', "properties"),
        ('{"name": "Ada", "age": 1.5}', "properties"),
        ('{"name": "Ada", "x": 1}', "additionalProperties"),
        ("[]", "type"),
        ("{", "invalid_json"),
        ('{"name": NaN}', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("", "empty"),
    ],
)
def test_person(text: str, reason: str) -> None:
    verdict = JsonSchema().verify(text, PERSON)
    assert verdict.reason == reason
    assert verdict.score == (reason == "")
    assert JsonSchema().verify(text, json.dumps(PERSON)) == verdict


@pytest.mark.parametrize(
    "schema",
    [None, "{", 5, {"unknown": 1}, {"$ref": "#/$defs/none"}, {"$ref": "http://x"}, {"type": "tuple"}, {"$ref": "#"}],
)
def test_what_is_not_supported_is_an_error_and_never_a_pass(schema: object) -> None:
    assert JsonSchema().verify("1", schema).outcome is Outcome.ERROR


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.0, "", "a", "ab"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])}
    ),
    st.fixed_dictionaries({"minimum": st.integers(-2, 2), "exclusiveMaximum": st.integers(-2, 3)}),
    st.fixed_dictionaries({"multipleOf": st.sampled_from([1, 2, 0.5])}),
    st.fixed_dictionaries({"minLength": st.integers(0, 2), "pattern": st.sampled_from(["a", "^b", "b$"])}),
    st.fixed_dictionaries({"maxItems": st.integers(0, 2), "uniqueItems": st.booleans()}),
    st.fixed_dictionaries({"enum": st.lists(VALUES, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": VALUES}),
    st.fixed_dictionaries({"required": st.sampled_from([["a"], ["a", "b"]]), "maxProperties": st.integers(0, 2)}),
    st.booleans(),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("ab"), inner), "additionalProperties": inner}
        ),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"prefixItems": st.lists(inner, min_size=1, max_size=2), "items": inner}),
        st.fixed_dictionaries({"contains": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
    ),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(SCHEMAS, VALUES)
def test_agrees_with_the_jsonschema_package(schema: object, value: object) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    verdict = JsonSchema().verify(json.dumps(value), schema)
    assert verdict.outcome is not Outcome.ERROR, verdict.reason
    assert (verdict.score == 1) == expected, verdict.reason


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"pattern": "^(a+)+$"}, json.dumps("a" * 40 + "b")),
        ({"items": {"anyOf": [{"pattern": "^(a|a)*$"}]}}, json.dumps(["a" * 40 + "b"])),
        ({"patternProperties": {"^(a+)+$": False}}, json.dumps({"a" * 40 + "b": 1})),
    ],
)
def test_a_pattern_that_backtracks_for_ever_is_stopped(schema, text: str) -> None:
    assert JsonSchema().verify(text, schema).reason == "timeout"
    assert JsonSchema().verify('"aa"', schema).reason != "timeout"


def test_patterns_hold_in_schemas_that_are_views() -> None:
    schema = MappingProxyType({"properties": MappingProxyType({"id": MappingProxyType({"pattern": "^[0-9]+$"})})})
    assert JsonSchema().verify('{"id": "12"}', schema).score == 1
    assert JsonSchema().verify('{"id": "x"}', schema).reason == "properties"
    with pytest.raises(BadReference):
        JsonSchema().judge('"x"', {"pattern": "("})


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, True, "1", [1], {"a": 1}], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], False),
        ([[]], True),
    ],
)
def test_unique_items(items, unique: bool) -> None:
    assert (JsonSchema().verify(json.dumps(items), {"uniqueItems": True}).score == 1) is unique


def test_many_items_are_compared_in_linear_time() -> None:
    assert JsonSchema().verify(json.dumps(list(range(200_000))), {"uniqueItems": True}).score == 1


def test_values_nested_too_deeply_are_no_defect() -> None:
    text = "[" * 900 + "]" * 900
    assert JsonSchema().verify(f"[{text}, {text}]", {"uniqueItems": True}).outcome is Outcome.INCORRECT


def test_alternatives_that_recurse_take_no_longer_with_every_level():
    """Without remembering, this value would be looked at 2 ** 24 times."""
    kinds = [{"properties": {"child": {"$ref": "#"}, "kind": {"const": kind}}} for kind in "ab"]
    value = json.loads('{"child":' * 24 + '{"kind":"c"}' + ',"kind":"a"}' * 24)
    began = time.process_time()
    assert JsonSchema().verify(json.dumps(value), {"anyOf": kinds}).reason == "anyOf"
    assert time.process_time() - began < 1

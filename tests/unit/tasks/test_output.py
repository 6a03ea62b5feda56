"""Answers have the form that was asked for, and forms from Kafka do no harm."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from serve_app.errors import OutputInvalidError, RequestInvalidError
from serve_app.schema import ChoiceOutput, JsonOutput, RegexOutput
from serve_app.schema.values import parse
from serve_app.tasks.output import check_output, read_output

NAME: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
BACKTRACKS = "(a|aa)+$"


def doubling(depth: int) -> dict[str, Any]:
    """A schema whose parts double with each reference."""
    parts = {f"p{n}": {"anyOf": [{"$ref": f"#/$defs/p{n + 1}"}] * 2} for n in range(depth)}
    return {"$defs": {**parts, f"p{depth}": {"type": "string"}}, "$ref": "#/$defs/p0"}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "strin"}, "is no JSON Schema: $.type"),
        ({"properties": 7}, "is no JSON Schema: $.properties"),
        ({"$ref": "http://169.254.169.254/x"}, "leads nowhere"),
        ({"$ref": "other.json#/a"}, "leads nowhere"),
        ({"$ref": "#/$defs/a"}, "leads nowhere"),
        ({"$ref": "#/a/9", "a": [1]}, "leads nowhere"),
        ({"items": {"$ref": "#"}}, "refers to itself"),
        ({"$id": "http://a/b"}, "$id is not taken"),
        ({"$dynamicRef": "#a"}, "$dynamicRef is not taken"),
        ({"patternProperties": {"a": {}}}, "patternProperties is not taken"),
        ({"pattern": "("}, "is no JSON Schema: $.pattern"),
        ({"enum": list(range(20_000))}, "more than 10,000 parts"),
        (doubling(40), "more than 10,000 parts"),
    ],
)
def test_a_schema_that_cannot_be_had_is_refused(schema: dict[str, Any], told: str) -> None:
    """Before anything is fetched, and without a look at what it refers to elsewhere."""
    with pytest.raises(RequestInvalidError, match=r"output\.json_schema") as raised:
        check_output(JsonOutput(json_schema=schema))
    assert told in str(raised.value)


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    """It is a bad request, not the end of the process; a hundred levels are none."""
    schema = '{"items": ' * 99 + "{}" + "}" * 99
    check_output(JsonOutput(json_schema=json.loads(schema)))
    value = f'{{"url": "http://a", "output": {{"json_schema": {schema}}}}}'
    assert parse(value.encode()).output is not None
    with pytest.raises(RequestInvalidError, match="output"):
        parse(value.replace(schema, '{"items": ' * 400 + "{}" + "}" * 400).encode())


def test_an_answer_that_the_schema_allows_is_read() -> None:
    """With references inside the schema, too."""
    schema: dict[str, Any] = {"$defs": {"name": NAME}, "type": "array", "items": {"$ref": "#/$defs/name"}}
    check_output(JsonOutput(json_schema=schema))
    assert read_output('[{"name": "a"}]', JsonOutput(json_schema=schema)) == [{"name": "a"}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"name": "a', "is not JSON"),
        ("", "is not JSON"),
        ('{"name": 7}', "breaks its schema at $.name: type"),
        ("{}", "breaks its schema at $: required"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_an_answer_that_breaks_its_schema_is_an_error_of_its_class(text: str, told: str) -> None:
    """It says where, and does not repeat the answer."""
    with pytest.raises(OutputInvalidError) as raised:
        read_output(text, JsonOutput(json_schema=NAME))
    assert told in str(raised.value)


def test_choices_and_expressions_are_compared_whole() -> None:
    """Nothing before, nothing after."""
    assert read_output("yes", ChoiceOutput(choices=("yes", "no"))) is None
    assert read_output("abc", RegexOutput(pattern="a.c")) is None
    for output in (ChoiceOutput(choices=("ye", "no")), RegexOutput(pattern="y")):
        with pytest.raises(OutputInvalidError):
            read_output("yes", output)


@pytest.mark.parametrize(
    "output",
    [RegexOutput(pattern=BACKTRACKS), JsonOutput(json_schema={"type": "string", "pattern": BACKTRACKS})],
)
def test_an_expression_without_end_is_given_up(output: RegexOutput | JsonOutput) -> None:
    """Half a second, not the age of the universe."""
    text = "a" * 200 + "!"
    began = time.monotonic()
    with pytest.raises(OutputInvalidError, match="takes too long"):
        read_output(text if isinstance(output, RegexOutput) else f'"{text}"', output)
    assert time.monotonic() - began < 30

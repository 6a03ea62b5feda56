"""Whether a text has the form that was asked for, and whether that form can be had.

Schemas and expressions come from Kafka: what would fetch something, or take time without bound, is refused.
Expressions are matched by the package ``regex``, which can be told to give up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, assert_never

import regex
from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from serve_app.errors import OutputInvalidError, RequestInvalidError
from serve_app.schema import ChoiceOutput, JsonOutput, Output, RegexOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NODES = 10_000
MATCH_TIMEOUT_S = 0.5
# References that lead out of sight, and expressions that would be matched without an end to it.
NOT_TAKEN = {"$dynamicRef": str, "$id": str, "$anchor": str, "$dynamicAnchor": str, "patternProperties": dict}


def check_output(output: Output) -> None:
    """``RequestInvalidError`` for a form that cannot be had."""
    match output:
        case JsonOutput():
            _check_schema(output.json_schema)
        case RegexOutput():
            _compiled(output.pattern, "output.pattern")
        case ChoiceOutput():
            pass
        case _:
            assert_never(output)


def read_output(text: str, output: Output | None) -> JsonValue:
    """The JSON in the text, if it is to be some; ``OutputInvalidError`` if the text has not the form."""
    match output:
        case None:
            return None
        case JsonOutput():
            return _json(text, output.json_schema)
        case ChoiceOutput():
            if text not in output.choices:
                raise OutputInvalidError(f"the answer is none of the {len(output.choices)} choices")
            return None
        case RegexOutput():
            if not _matches(_compiled(output.pattern, "output.pattern"), text, whole=True):
                raise OutputInvalidError("the answer does not match output.pattern")
            return None
        case _:
            assert_never(output)


def _json(text: str, schema: Mapping[str, JsonValue]) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
        _VALIDATOR(schema, registry=Registry()).validate(value)
    except ValidationError as error:
        raise OutputInvalidError(
            f"the answer breaks its schema at {error.json_path}: {error.validator}"
        ) from error
    except RecursionError as error:
        raise OutputInvalidError("the answer is nested too deeply") from error
    except ValueError as error:
        raise OutputInvalidError(f"the answer is not JSON: {error}") from error
    return value


def _check_schema(schema: Mapping[str, JsonValue]) -> None:
    where = "output.json_schema"
    try:
        Draft202012Validator.check_schema(schema)
        if _weight(dict(schema), schema, ()) > MAX_NODES:
            raise RequestInvalidError(f"{where}: with its references it has more than {MAX_NODES:,} parts")
    except SchemaError as error:
        raise RequestInvalidError(
            f"{where} is no JSON Schema: {error.json_path}: {error.validator}"
        ) from error
    except RecursionError as error:
        raise RequestInvalidError(f"{where} is nested too deeply") from error
    except (Unresolvable, LookupError) as error:
        raise RequestInvalidError(f"{where}: a $ref leads nowhere; allowed: #/… within the schema") from error


def _weight(node: JsonValue, root: Mapping[str, JsonValue], way: tuple[str, ...]) -> int:
    """How many parts a schema has once its references are replaced; stops soon after there are too many."""
    total = 1
    if isinstance(node, dict):
        total += sum(_weight_of_key(key, value, root, way) for key, value in node.items())
    elif isinstance(node, list):
        total += sum(_weight(one, root, way) for one in node)
    if total > MAX_NODES:
        raise RequestInvalidError(
            f"output.json_schema: with its references it has more than {MAX_NODES:,} parts"
        )
    return total


def _weight_of_key(key: str, value: JsonValue, root: Mapping[str, JsonValue], way: tuple[str, ...]) -> int:
    where = "output.json_schema"
    if key in NOT_TAKEN and isinstance(value, NOT_TAKEN[key]):
        raise RequestInvalidError(
            f"{where}: {key} is not taken; allowed: properties, and $ref within the schema"
        )
    if key == "pattern" and isinstance(value, str):
        _compiled(value, f"{where}: pattern")
    if key == "$ref" and isinstance(value, str):
        if value in way:
            raise RequestInvalidError(f"{where}: {value[:60]!r} refers to itself, which is not taken")
        return _weight(_referred(value, root), root, (*way, value))
    return _weight(value, root, way)


def _referred(reference: str, root: Mapping[str, JsonValue]) -> JsonValue:
    if reference != "#" and not reference.startswith("#/"):
        raise LookupError(reference)
    node: JsonValue = dict(root)
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        node = (
            node[int(name)]
            if isinstance(node, list)
            else node[name]
            if isinstance(node, dict)
            else _none(name)
        )
    return node


def _none(name: str) -> JsonValue:
    raise LookupError(name)


def _compiled(pattern: str, where: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise RequestInvalidError(f"{where}: {pattern[:60]!r} is no regular expression: {error}") from error


def _matches(pattern: regex.Pattern[str], text: str, *, whole: bool) -> bool:
    try:
        found = (pattern.fullmatch if whole else pattern.search)(text, timeout=MATCH_TIMEOUT_S)
    except TimeoutError as error:
        raise OutputInvalidError("the answer takes too long to match its expression") from error
    return found is not None


def _pattern(_: Any, pattern: str, instance: JsonValue, __: Any) -> Iterator[ValidationError]:  # noqa: ANN401  the library's signature
    if isinstance(instance, str) and not _matches(_compiled(pattern, "pattern"), instance, whole=False):
        yield ValidationError("it does not match its pattern")


_VALIDATOR = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]  # its stubs

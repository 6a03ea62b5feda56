"""Numbers of a model at an edge: ``true`` is no 1, whatever Python thinks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _no_switch(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("switch", "true and false are no numbers")
    return value


# Behind a number's own bounds where it is an item of a list: JSON Schema would not know them otherwise.
NO_SWITCH = BeforeValidator(_no_switch)
Whole = Annotated[int, NO_SWITCH]
Number = Annotated[float, NO_SWITCH]
OptionalWhole = Annotated[int | None, NO_SWITCH]
OptionalNumber = Annotated[float | None, NO_SWITCH]


def wants_number(annotation: Any) -> bool:  # noqa: ANN401  an annotation can be anything
    """Whether a field takes numbers, and neither ``true`` nor ``false``."""
    parts = set(_parts(annotation))
    return bool(parts & {int, float}) and bool not in parts


def _parts(annotation: Any) -> list[Any]:  # noqa: ANN401  an annotation can be anything
    origin = get_origin(annotation)
    if origin in (Literal, list, tuple, dict):
        return []
    inner = get_args(annotation)
    if origin is Annotated:
        return _parts(inner[0])
    return [part for one in inner for part in _parts(one)] if inner else [annotation]

"""What a settings field allows, in words: for refusals and for the configuration reference."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo


def range_of(field: FieldInfo) -> str:
    """The allowed values of a field: a range, a list of words, a pattern, or its type's name."""
    if _choices(field.annotation):
        return bounds_of(field)
    bounds, name = bounds_of(field), type_of(field.annotation)
    return f"{name}, {bounds}" if bounds else name


def bounds_of(field: FieldInfo) -> str:
    """The allowed values without the type's name; empty where every value of the type is allowed."""
    return ", ".join(_choices(field.annotation)) or _bounds(field.metadata)


def _bounds(metadata: list[Any]) -> str:
    low = high = ""
    other = []
    for item in metadata:
        match item:
            case Ge(ge=value):
                low = f"at least {value:,}"
            case Gt(gt=value):
                low = f"above {value:,}"
            case Le(le=value):
                high = f"at most {value:,}"
            case Lt(lt=value):
                high = f"below {value:,}"
            case MinLen(min_length=value):
                other.append(f"{value} or longer")
            case MaxLen(max_length=value):
                other.append(f"no longer than {value:,}")
            case _:
                pattern = getattr(item, "pattern", None)
                if pattern:
                    other.append(f"matching `{pattern}`")
    return ", ".join(part for part in (low, high, *other) if part)


def _choices(annotation: Any) -> list[str]:  # noqa: ANN401  an annotation can be anything
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if get_origin(annotation) is tuple:
        inner = _choices(get_args(annotation)[0])
        return [f"list of: {', '.join(inner)}"] if inner else []
    return []


def type_of(annotation: Any) -> str:  # noqa: ANN401  an annotation can be anything
    """A type's name as a reader of YAML knows it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return type_of(get_args(annotation)[0])
    if origin is Literal:
        return "one of: " + ", ".join(map(str, get_args(annotation)))
    if origin in (dict, list, tuple):
        return {dict: "mapping", list: "list", tuple: "list"}[origin]
    if origin is Union or str(origin) == "<class 'types.UnionType'>":
        parts = dict.fromkeys(_part_of(part) for part in get_args(annotation) if part is not type(None))
        return " or ".join(parts)
    names = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text", "Path": "path"}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return tag_of(annotation) or "mapping"
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def _part_of(annotation: Any) -> str:  # noqa: ANN401  an annotation can be anything
    # A part of a union has bounds of its own.
    bounds = _bounds(list(get_args(annotation)[1:])) if get_origin(annotation) is Annotated else ""
    return f"{type_of(annotation)}, {bounds}," if bounds else type_of(annotation)


def tag_of(model: type[BaseModel]) -> str:
    """What tells this model from the others of its union, such as ``kind: embedded``."""
    found = [f"{n}: {f.default}" for n, f in model.model_fields.items() if n in ("kind", "strategy")]
    return found[0] if found else ""


def models_in(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401  an annotation can be anything
    """The models that a field's value may be, unions resolved."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]

"""What a model refused, in words of our own: the one place where pydantic's errors are read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from serve_app.schema.ranges import models_in, range_of

MAX_SHOWN_CHARS = 60
PLACED = "placed"
UNIONS = (Union, UnionType)
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """One value that was refused. ``told`` says why or what is allowed; it never repeats the value."""

    path: Place
    value: object
    told: str
    stands: bool = True
    """False for a key that is unknown or missing: there is no value to speak of."""

    def sentence(self, shown: str) -> str:
        """What to tell; ``shown`` is the value as it may be shown, empty where it may not."""
        if not self.stands:
            return self.told
        if self.told.startswith("allowed: "):
            return f"{shown or 'the value'} is refused; {self.told}"
        return f"{shown} is refused: {self.told}" if shown else self.told


@dataclass(frozen=True, slots=True)
class _Found:
    path: Place
    field: FieldInfo | None
    holder: type[BaseModel] | None


def refusal(path: Place, value: object, told: str) -> PydanticCustomError:
    """For validators: refuse a value below the place that is validated."""
    return PydanticCustomError(PLACED, "{told}", {"path": path, "value": value, "told": told})


def violations(error: ValidationError, model: type[BaseModel]) -> list[Violation]:
    """Each violation once, without those of a value of which a part is refused already."""
    found: dict[Place, Violation] = {}
    for item in _primary(error):
        one = _violation(item, _resolved(model, item["loc"]))
        found.setdefault(one.path, one)
    return list(found.values())


def unknown(key: str, known: list[str]) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown key{hint} (known: {', '.join(known)})"


def plain(value: object) -> str:
    """A value as it may be shown, short and as YAML has it; nothing for what has parts of its own."""
    if isinstance(value, dict | list | tuple):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return repr(text[:MAX_SHOWN_CHARS])


def dotted(place: Place) -> str:
    """``("a", 0, "b")`` as ``a[0].b``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")


def _violation(item: ErrorDetails, at: _Found) -> Violation:  # noqa: PLR0911  one for each kind
    allowed = f"allowed: {range_of(at.field)}" if at.field is not None else ""
    match item["type"]:
        case "extra_forbidden" if at.holder is not None:
            names = [field.alias or name for name, field in at.holder.model_fields.items()]
            return Violation(at.path, None, unknown(str(at.path[-1]), names), stands=False)
        case "missing":
            told = f"missing; {allowed}" if allowed else "missing"
            return Violation(at.path, None, told, stands=False)
        case "union_tag_not_found":
            path = (*at.path, _discriminator(item))
            return Violation(path, None, f"missing; {allowed}", stands=False)
        case "union_tag_invalid":
            return Violation((*at.path, _discriminator(item)), item["ctx"]["tag"], allowed)
        case "placed":  # PLACED
            said = item["ctx"]
            path, told = (*at.path, *said["path"]), said["told"]
            return Violation(path, said["value"], told, stands=not told.startswith("unknown key"))
        case "value_error":
            return Violation(at.path, item["input"], str(item["ctx"]["error"]))
        case _:
            return Violation(at.path, item["input"], allowed or item["msg"])


def _discriminator(item: ErrorDetails) -> str:
    return str(item["ctx"]["discriminator"]).strip("'")


def _primary(error: ValidationError) -> Iterator[ErrorDetails]:
    found = error.errors(include_url=False)
    places = [item["loc"] for item in found]
    for item in found:
        size = len(item["loc"])
        if not any(len(place) > size and place[:size] == item["loc"] for place in places):
            yield item


def _resolved(root: type[BaseModel], location: Place) -> _Found:
    """The key path without what pydantic adds to tell the parts of a union, and what stands there."""
    path: list[str | int] = []
    models: list[type[BaseModel]] = [root]
    field: FieldInfo | None = None
    holder: type[BaseModel] | None = root
    for step in location:
        if branch := [model for model in models if len(models) > 1 and step in _names(model)]:
            models = branch
            continue
        if field is not None and isinstance(step, str) and _is_part(step, field, models):
            continue
        path.append(step)
        holder = next((m for m in models if _field(m, step) is not None), models[0] if models else None)
        field = (_field(holder, step) if holder is not None and isinstance(step, str) else None) or (
            _item(field) if not models or isinstance(step, int) else None
        )
        models = models_in(field.annotation) if field is not None else []
    return _Found(tuple(path), field, holder)


def _field(model: type[BaseModel], step: str | int) -> FieldInfo | None:
    return next((f for name, f in model.model_fields.items() if step in (name, f.alias)), None)


def _item(field: FieldInfo | None) -> FieldInfo | None:
    # What a list or a mapping holds has a range of its own.
    whole = field.annotation if field is not None else None
    parts = get_args(whole) if get_origin(whole) in UNIONS else (whole,)
    for part in parts:
        if get_origin(part) in (list, tuple, dict):
            inner = get_args(part)
            return FieldInfo.from_annotation(inner[1] if get_origin(part) is dict else inner[0])
    return None


def _is_part(step: str, field: FieldInfo, models: list[type[BaseModel]]) -> bool:
    # A union without a discriminator names its part by its type.
    if get_origin(field.annotation) not in UNIONS:
        return step == "[key]"
    return not models or "[" in step or any(step == model.__name__ for model in models)


def _names(model: type[BaseModel]) -> list[Any]:
    return [field.default for name, field in model.model_fields.items() if name in ("kind", "strategy")]

"""docs/configuration.md: a table for each settings model."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from serve_app.schema.ranges import bounds_of, models_in, tag_of, type_of
from serve_app.settings import Settings

HEAD = """\
# Configuration

<!-- Made from the code by `make docs`; do not edit. -->

These are the keys below `args` of the application in a Serve YAML, such as `configs/serve.yaml`. Every key
has a default unless it says *required*. A key that is not listed here is refused, with the one that may have
been meant.

- `${NAME}` in a value is replaced by the environment variable, `${NAME:-default}` by the default where the
  variable is unset or empty, `$$` by one dollar sign. Keys outside `args` are Ray's, and do not know this.
- `capstream config check FILE` names every violation, in Ray's keys too; `capstream config show FILE` prints
  all settings with their defaults.
- `serve run FILE` refuses such a file as well, with the same sentences in its log.
- Relative paths start where `serve run` was called. Where that is out of sight (KubeRay, `serve deploy`),
  give absolute ones.
- Replica counts and resources are no settings: they stand in the YAML's `deployments`.
"""
COLUMNS = ("key", "type", "default", "allowed", "meaning")


def configuration() -> str:
    """The document's text."""
    return HEAD + _table(_leaves(Settings), ()) + "".join(_sections(Settings, (), set()))


def _sections(model: type[BaseModel], path: tuple[str, ...], told: set[type[BaseModel]]) -> Iterator[str]:
    for key, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            if _is_mapping(field) and inner in told:
                continue  # its keys are those of another section, which the field's own row names
            told.add(inner)
            place = (*path, key + "[]") if _is_list(field) else (*path, key)
            place = (*place, "NAME") if _is_mapping(field) else place
            yield _heading(inner, place) + _chosen(field, inner) + _table(_leaves(inner), place)
            yield from _sections(inner, place, told)


def _leaves(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """What stands in a model's own table: values, lists and mappings."""
    return {
        key: field
        for key, field in model.model_fields.items()
        if _is_list(field) or _is_mapping(field) or not models_in(field.annotation)
    }


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _is_mapping(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is dict


def _heading(model: type[BaseModel], path: tuple[str, ...]) -> str:
    tag = tag_of(model)
    title = f"`{'.'.join(path)}`" + (f" with `{tag}`" if tag else "")
    text = inspect.cleandoc(model.__doc__ or "").replace("``", "`")
    return f"\n{'#' * (len(path) + 1)} {title}\n\n{text}\n"


def _chosen(field: FieldInfo, model: type[BaseModel]) -> str:
    """Which variant is the default, and where it differs from the variant's own defaults."""
    value = field.get_default()
    if len(models_in(field.annotation)) == 1 or not isinstance(value, model):
        return ""
    other = ", ".join(f"`{k}: {v}`" for k, v in value.model_dump(mode="json", exclude_defaults=True).items())
    return "\nThis one is the default" + (f", then with {other}.\n" if other else ".\n")


def _table(fields: dict[str, FieldInfo], path: tuple[str, ...]) -> str:
    if not fields:
        return ""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_row(path, key, field) for key, field in fields.items())]
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(path: tuple[str, ...], key: str, field: FieldInfo) -> tuple[str, ...]:
    kind = type_of(field.annotation).partition(":")[0]
    cells = (
        f"`{'.'.join((*path, key))}`",
        kind,
        _default(field),
        bounds_of(field),
        field.description or "Which of the variants this is.",
    )
    return tuple(cell.replace("|", "\\|") for cell in cells)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True, validated_data={})
    value = str(value) if isinstance(value, Path) else value
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"

"""From a Serve YAML and the environment to :class:`serve_app.settings.Settings`, or to clear refusals.

``${NAME}`` in a value is replaced by the environment variable, ``${NAME:-default}`` by the default where it
is unset or empty, ``$$`` by one dollar sign. Values of variables never appear in an error.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from serve_app.errors import SettingsError
from serve_app.ranges import models_in, range_of
from serve_app.settings import Settings, is_secret

VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
BUILDER = "serve_app.app:build"
MERGE = "tag:yaml.org,2002:merge"
MAX_SHOWN_CHARS = 60
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A Serve YAML: the settings of its application, and the document as it was read."""

    settings: Settings
    document: dict[str, Any]


def load(path: Path, env: Mapping[str, str]) -> Config:
    """Read a Serve YAML; ``SettingsError`` names each violation."""
    document = read_yaml(path)
    return Config(settings_from(args_of(document, path), env), document)


class _Loader(yaml.SafeLoader):
    """The safe loader, which would let the last of two equal keys win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  the signature of the library
        """Refuse a key that stands twice in one mapping."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            if key.value in seen:
                told = f"{key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The document of a YAML file; ``SettingsError`` if there is none."""
    try:
        document = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506  a safe loader, see below
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: a Serve YAML is a mapping, found {type(document).__name__}")
    return document


def own_applications(document: object) -> list[dict[str, Any]]:
    """The applications of a Serve YAML's document that are capstream's."""
    listed = document.get("applications") if isinstance(document, dict) else None
    return [
        application
        for application in (listed if isinstance(listed, list) else [])
        if isinstance(application, dict) and application.get("import_path") == BUILDER
    ]


def args_of(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """The ``args`` of the one capstream application of a Serve YAML."""
    found = own_applications(document)
    if len(found) != 1:
        raise SettingsError(
            f"{path}: exactly one application needs import_path {BUILDER}, found {len(found)}"
        )
    args = found[0].get("args") or {}
    if not isinstance(args, dict):
        raise SettingsError(f"{path}: args must be a mapping, found {type(args).__name__}")
    return args


def settings_from(args: Mapping[str, Any], env: Mapping[str, str]) -> Settings:
    """Expand variables and validate; ``SettingsError`` with one line for each violation."""
    missing: list[str] = []
    expanded = _expanded(dict(args), env, ("args",), missing)
    if missing:
        raise SettingsError("\n".join(missing))
    try:
        return Settings.model_validate(expanded)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error, args))) from error


def _expanded(value: Any, env: Mapping[str, str], path: Path_, missing: list[str]) -> Any:  # noqa: ANN401  YAML
    if isinstance(value, dict):
        return {key: _expanded(inner, env, (*path, key), missing) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, env, (*path, i), missing) for i, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name is None:
            return "$"
        if found := env.get(name):
            return found
        if default is None:
            missing.append(
                f"{dotted(path)}: the environment variable {name} is not set, and has no default here"
            )
            return ""
        return str(default)

    return VARIABLE.sub(replaced, value)


def dotted(path: Path_) -> str:
    """``("a", 0, "b")`` as ``a[0].b``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _sentences(error: ValidationError, args: Mapping[str, Any]) -> list[str]:
    return [_sentence(item, args) for item in primary(error)]


def _sentence(item: ErrorDetails, args: Mapping[str, Any]) -> str:
    path, field, model = _resolved(item["loc"])
    allowed = f"; allowed: {range_of(field)}" if field is not None else ""
    match item["type"]:
        case "extra_forbidden" if model is not None:
            return f"{dotted(('args', *path))}: {unknown(str(path[-1]), list(model.model_fields))}"
        case "union_tag_invalid" | "union_tag_not_found":
            # The message would repeat the tag, which may come from the environment.
            path = (*path, item["ctx"]["discriminator"].strip("'"))
            shown = _shown(path, item["ctx"]["tag"], args) if "tag" in item["ctx"] else ""
            return f"{dotted(('args', *path))}: {shown or 'missing: '}one of them is needed{allowed}"
        case "value_error":
            # Ours, and it says itself what is allowed.
            allowed = ""
    text = item["msg"].removeprefix("Value error, ")
    return f"{dotted(('args', *path))}: {_shown(path, item['input'], args)}{text}{allowed}"


def primary(error: ValidationError) -> list[ErrorDetails]:
    """The violations without those of a value of which a part is refused already."""
    found = error.errors(include_url=False)
    places = [item["loc"] for item in found]
    return [
        item
        for item in found
        if not any(
            len(place) > len(item["loc"]) and place[: len(item["loc"])] == item["loc"] for place in places
        )
    ]


def unknown(key: str, known: list[str]) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown key{hint} (known: {', '.join(known)})"


def _shown(path: Path_, value: object, args: Mapping[str, Any]) -> str:
    # A value that came from the environment is shown by its variable: it may be a secret.
    raw: Any = args
    for step in path:
        inside = step in raw if isinstance(raw, Mapping) else isinstance(raw, list) and isinstance(step, int)
        raw = raw[step] if inside else None
    if isinstance(raw, str) and VARIABLE.search(raw):
        return f"{raw[:MAX_SHOWN_CHARS]} was given a value that is refused: "
    if any(is_secret(str(step)) for step in path) or isinstance(value, dict | list):
        return ""
    return f"{str(value)[:MAX_SHOWN_CHARS]!r} is refused: "


def _resolved(location: Path_) -> tuple[Path_, FieldInfo | None, type[BaseModel] | None]:
    """The key path without union tags, its field, and the model that holds it."""
    path: list[str | int] = []
    models: list[type[BaseModel]] = [Settings]
    field: FieldInfo | None = None
    holder: type[BaseModel] | None = Settings
    for step in location:
        tagged = [m for m in models if len(models) > 1 and step in _tags(m)]
        if tagged:
            models = tagged
            continue
        path.append(step)
        holder = next((m for m in models if step in m.model_fields), models[0] if models else None)
        field = holder.model_fields.get(str(step)) if holder else None
        models = models_in(field.annotation) if field is not None else []
    return tuple(path), field, holder


def _tags(model: type[BaseModel]) -> list[str]:
    return [str(field.default) for name, field in model.model_fields.items() if name in ("kind", "strategy")]

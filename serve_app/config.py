"""From a Serve YAML and the environment to :class:`serve_app.settings.Settings`, or to clear refusals.

Variables are replaced by :mod:`serve_app.variables`; their values never appear in an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from serve_app.errors import SettingsError
from serve_app.schema.violations import Place, Violation, dotted, plain, violations
from serve_app.settings import Settings, holds_credentials, is_secret
from serve_app.variables import expanded, from_environment, has_variable

NOT_A_FOLDER = "a folder, or a path where one can be made; a file is in the way"
MAX_SHOWN_CHARS = 60
NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
BUILDER = "serve_app.app:build"
MERGE = "tag:yaml.org,2002:merge"


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
        if isinstance(application, dict) and is_own(application)
    ]


def is_own(application: Mapping[str, Any]) -> bool:
    """Whether an application of a Serve YAML is capstream's."""
    return application.get("import_path") == BUILDER


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


def settings_from(args: Mapping[str, Any], env: Mapping[str, str], folder: Path = Path()) -> Settings:
    """Expand variables and validate; ``SettingsError`` with one line for each violation.

    ``folder`` is what relative paths are relative to.
    """
    refused = [f"{dotted(place)}: {told}" for place, told in _literal_secrets(args)]
    replaced, missing = expanded(args, env, ("args",))
    if missing:
        refused += [f"{dotted(place)}: {told}" for place, told in missing]
        raise SettingsError("\n".join(refused))
    try:
        settings = Settings.model_validate(replaced)
        found = list(_unusable(settings, folder))
    except ValidationError as error:
        found = violations(error, Settings)
    refused += [_sentence(one, args) for one in found]
    if refused:
        raise SettingsError("\n".join(refused))
    return settings


def _sentence(one: Violation, args: Mapping[str, Any]) -> str:
    place, raw = dotted(("args", *one.path)), _raw(one.path, args)
    if isinstance(raw, str) and has_variable(raw):
        # Text that came from the environment is shown by its variable: it may be a secret. Numbers are none.
        variable = raw[:MAX_SHOWN_CHARS]
        is_number = NUMBER.fullmatch(str(one.value)) is not None
        given = f"{one.value} from {variable}" if is_number else f"{variable} was given a value that"
        return f"{place}: {one.sentence(given)}"
    hidden = any(is_secret(str(step)) for step in one.path)
    return f"{place}: {one.sentence('' if hidden else plain(one.value))}"


def _raw(path: Place, args: Mapping[str, Any]) -> object:
    raw: Any = args
    for step in path:
        inside = step in raw if isinstance(raw, Mapping) else isinstance(raw, list) and isinstance(step, int)
        raw = raw[step] if inside else None
    return raw


def _literal_secrets(args: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    client = _raw(("broker", "client"), args)
    for key, value in client.items() if isinstance(client, dict) else ():
        secret = is_secret(str(key)) or holds_credentials(value)
        if secret and value not in (None, "") and not from_environment(value):
            told = "a secret may not stand in the file: write ${NAME} and set that environment variable"
            yield ("args", "broker", "client", str(key)), told


def _unusable(settings: Settings, folder: Path) -> Iterator[Violation]:
    if settings.broker.kind != "embedded":
        return
    data_dir = settings.broker.data_dir
    whole = folder / data_dir
    there = next((path for path in (whole, *whole.parents) if os.path.lexists(path)), whole)
    if not there.is_dir():
        yield Violation(("broker", "data_dir"), data_dir, f"allowed: {NOT_A_FOLDER}")

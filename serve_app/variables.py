"""Variables in the values of a Serve YAML.

``${NAME}`` is replaced by the environment variable, ``${NAME:-default}`` by the default where it is unset or
empty, ``$$`` by one dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from serve_app.schema.violations import Place

VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
WHOLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-)?\}")
Missing = list[tuple[Place, str]]


def has_variable(text: str) -> bool:
    """Whether there is something to replace in a text."""
    return VARIABLE.search(text) is not None


def from_environment(value: object) -> bool:
    """Whether a value comes from one environment variable and from nowhere else, a default included."""
    return isinstance(value, str) and WHOLE.fullmatch(value) is not None


def expanded(value: Any, env: Mapping[str, str], place: Place) -> tuple[Any, Missing]:  # noqa: ANN401  YAML
    """The value with all its variables replaced, and a sentence for each that is not set."""
    missing: Missing = []
    return _expanded(value, env, place, missing), missing


def _expanded(value: Any, env: Mapping[str, str], place: Place, missing: Missing) -> Any:  # noqa: ANN401  YAML
    if isinstance(value, Mapping):
        return {key: _expanded(inner, env, (*place, key), missing) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, env, (*place, i), missing) for i, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name is None:
            return "$"
        if found := env.get(name):
            return found
        if default is None:
            told = f"the environment variable {name} is not set, and has no default here"
            missing.append((place, told))
            return ""
        return str(default)

    return VARIABLE.sub(replaced, value)

"""The whole check of a Serve YAML, the same at start and for ``capstream config check``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consumers.properties import client_refusals, unknown_names
from serve_app.config import args_of, read_yaml, settings_from
from serve_app.errors import SettingsError
from serve_app.serve_yaml import check_document
from serve_app.settings import Settings


def check_file(path: Path, env: Mapping[str, str], folder: Path = Path()) -> list[str]:
    """Every violation in a Serve YAML: Ray's keys, ours and librdkafka's; empty when all is well.

    ``folder`` is what relative paths in it are relative to.
    """
    found, settings = check_document(path, env, folder)
    return [*found, *_refused_clients(settings, args_of(read_yaml(path), path))] if settings else found


def checked(args: Mapping[str, Any], env: Mapping[str, str], folder: Path) -> Settings:
    """The settings of an application; ``SettingsError`` with each violation, librdkafka's included."""
    settings = settings_from(args, env, folder)
    if found := _refused_clients(settings, args):
        raise SettingsError("\n".join(found))
    return settings


def _refused_clients(settings: Settings, args: Mapping[str, Any]) -> list[str]:
    broker = args.get("broker")
    given = broker.get("client") if isinstance(broker, Mapping) else None
    # What is empty is left out, as for a variable that is not set; its name is to be right all the same.
    left_out = sorted(set(given or {}) - settings.broker.client.keys())
    return [f"args.broker.{line}" for line in (*client_refusals(settings), *unknown_names(left_out))]

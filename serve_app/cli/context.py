"""The settings and the source that a command works with."""

from __future__ import annotations

import os
from pathlib import Path

from serve_app.config import load
from serve_app.settings import Settings


def settings_of(config_path: Path | None) -> Settings:
    """The settings of a Serve YAML, or the defaults without one; ``SettingsError`` refuses bad ones."""
    return load(config_path, os.environ).settings if config_path is not None else Settings()


def url_of(source: str) -> str:
    """A file's path as its URL; anything else as it is."""
    path = Path(source)
    return path.resolve().as_uri() if "://" not in source and path.exists() else source

"""The settings and the source that a command works with."""

from __future__ import annotations

import os
import re
from pathlib import Path

from serve_app.config import load
from serve_app.errors import SourceNotFoundError
from serve_app.settings import Settings

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def settings_of(config_path: Path | None) -> Settings:
    """The settings of a Serve YAML, or the defaults without one; ``SettingsError`` refuses bad ones."""
    return load(config_path, os.environ).settings if config_path is not None else Settings()


def url_of(source: str) -> str:
    """A file's path as its URL; anything else as it is."""
    # Path.exists would raise for what is too long for a name, such as a data: URI.
    if "://" in source or not os.path.exists(source):  # noqa: PTH110
        return source
    return Path(source).resolve().as_uri()


def video_of(source: str) -> str:
    """The same for a command that needs the video itself: ``SourceNotFoundError`` for a missing file."""
    url = url_of(source)
    if SCHEME.match(url) is None:
        raise SourceNotFoundError(f"{source!r} is neither a file here nor a URL")
    return url

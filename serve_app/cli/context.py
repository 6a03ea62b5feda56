"""The settings and the source that a command works with."""

from __future__ import annotations

import os
import re
from pathlib import Path

from serve_app.config import load, settings_from
from serve_app.errors import SourceNotFoundError
from serve_app.settings import Settings

# Without a file, what a person may read is said by the same variables as in ours.
BARE = {
    "sources": {
        "allow_networks": "${CAPSTREAM_ALLOW_NETWORKS:-}",
        "allow_hosts": "${CAPSTREAM_ALLOW_HOSTS:-}",
        "file_roots": "${CAPSTREAM_FILE_ROOTS:-}",
    }
}
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def settings_of(config_path: Path | None) -> Settings:
    """The settings of a Serve YAML, or the defaults without one; ``SettingsError`` refuses bad ones."""
    if config_path is not None:
        return load(config_path, os.environ).settings
    return settings_from(BARE, os.environ)


def own_settings_of(config_path: Path | None) -> Settings:
    """The same for commands that read one source here and now: who names a file may read it."""
    settings = settings_of(config_path)
    everywhere = settings.sources.model_copy(update={"file_roots": (Path("/"),)})
    return settings.model_copy(update={"sources": everywhere})


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

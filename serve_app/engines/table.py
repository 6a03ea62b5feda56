"""The engines by the kind of their settings. A new engine is a settings model and a row here.

Another package adds one by an entry point of the group ``capstream.engines``: a function of the settings,
:class:`serve_app.settings.ExternalSettings`, that returns an :class:`serve_app.engines.protocol.Engine`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import assert_never

from serve_app.engines.protocol import Engine
from serve_app.errors import SettingsError
from serve_app.settings import (
    BaselineSettings,
    EngineSettings,
    ExternalSettings,
    OpenAiSettings,
    VllmSettings,
)

GROUP = "capstream.engines"


def build_engine(settings: EngineSettings) -> Engine:
    """Make the engine that the settings name; it is started by its replica.

    ``SettingsError`` if a package that it needs is not installed.
    """
    match settings:
        case BaselineSettings():
            from serve_app.engines.baseline import BaselineEngine  # noqa: PLC0415  each loads its own packages

            return BaselineEngine(settings)
        case VllmSettings():
            from serve_app.engines.vllm import VllmEngine  # noqa: PLC0415

            return VllmEngine(settings)
        case OpenAiSettings():
            from serve_app.engines.openai import OpenAiEngine  # noqa: PLC0415

            return OpenAiEngine(settings)
        case ExternalSettings():
            return _external(settings)
        case _:
            assert_never(settings)


def _external(settings: ExternalSettings) -> Engine:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if settings.name not in found:
        known = ", ".join(sorted(found)) or "none is installed"
        raise SettingsError(f"engine.name: {settings.name!r} is no engine of {GROUP}; known: {known}")
    engine: Engine = found[settings.name].load()(settings)
    return engine

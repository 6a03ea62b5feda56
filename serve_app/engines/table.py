"""The engines by the kind of their settings. A new engine is a settings model and a row here."""

from __future__ import annotations

from collections.abc import Callable

from serve_app.engines.baseline import BaselineEngine
from serve_app.engines.protocol import Engine
from serve_app.settings import BaselineSettings

ENGINES: dict[str, Callable[[BaselineSettings], Engine]] = {
    "baseline": BaselineEngine,
}


def build_engine(settings: BaselineSettings) -> Engine:
    """Make the engine that the settings name; it is started by its replica."""
    return ENGINES[settings.kind](settings)

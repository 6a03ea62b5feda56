"""The GPU tier: micro-batches of frames in, an outcome for each out."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from ray import serve

from serve_app.ask import Ask
from serve_app.deployments.batches import Batches
from serve_app.engines.protocol import Engine
from serve_app.errors import Failure
from serve_app.result import Said
from serve_app.schema import EngineFacts
from serve_app.settings import DEFAULT_ONGOING_REQUESTS, CaptionerSettings, EngineSettings
from serve_app.settings.captioner import changed

BuildEngine = Callable[[EngineSettings], Engine]


@serve.deployment(name="Captioner", max_ongoing_requests=DEFAULT_ONGOING_REQUESTS)
class Captioner:
    """Holds one engine; calls arrive one by one and reach the engine in batches."""

    async def __init__(self, settings: CaptionerSettings, build_engine: BuildEngine) -> None:  # type: ignore[misc]  # Serve awaits it
        self._settings = settings
        self._engine = build_engine(settings.engine)
        self._worker = f"{serve.get_replica_context().replica_id.unique_id}/{os.getpid()}"
        self._batches = Batches(self._engine.generate, settings.batch)
        await self._engine.start()

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take up ``user_config`` of the Serve YAML, at start and while it runs; ``SettingsError``."""
        self._batches.change(changed(self._settings, user_config).batch)

    async def caption(self, frames: np.ndarray | None, ask: Ask) -> Said | Failure:
        """Caption ``frames`` (uint8, T x H x W x 3, RGB; read-only where they came by reference).

        Without frames the text is all that the engine gets.
        """
        outcome = await self._batches.take(ask.prompt(frames))
        if isinstance(outcome, Failure):
            return outcome
        facts = EngineFacts(kind=self._engine.kind, model=self._engine.model)
        return Said(outcome, facts, self._worker)

    async def check_health(self) -> None:
        """Raise when the engine is beyond help: Serve then replaces this replica."""
        await self._engine.check_health()

    async def __del__(self) -> None:
        await self._engine.close()

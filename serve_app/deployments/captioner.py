"""The GPU tier: micro-batches of frames in, an outcome for each out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from ray import serve

from serve_app.engines.protocol import Engine, Generation, Prompt
from serve_app.errors import EngineUnavailableError, Failure
from serve_app.result import Said
from serve_app.schema import EngineFacts
from serve_app.settings import (
    DEFAULT_ONGOING_REQUESTS,
    BaselineSettings,
    BatchSettings,
    CaptionerSettings,
)

BuildEngine = Callable[[BaselineSettings], Engine]


@dataclass(frozen=True, slots=True)
class Ask:
    """What goes to the captioner beside the frames; times in seconds."""

    pts_seconds: tuple[float, ...]
    duration_s: float
    task: str
    text: str | None


@serve.deployment(name="Captioner", max_ongoing_requests=DEFAULT_ONGOING_REQUESTS)
class Captioner:
    """Holds one engine; calls arrive one by one and reach the engine in batches."""

    async def __init__(self, settings: CaptionerSettings, build_engine: BuildEngine) -> None:  # type: ignore[misc]  # Serve awaits it
        self._engine = build_engine(settings.engine)
        self._worker = f"{serve.get_replica_context().replica_id.unique_id}/{os.getpid()}"
        self._timeout_s = settings.batch.timeout_s
        self._batched = self._batcher(settings.batch)
        await self._engine.start()

    def _batcher(self, batch: BatchSettings) -> Callable[[Prompt], Awaitable[Generation | Failure]]:
        # The decorator's numbers come from the settings, so it is applied here and not on the class.
        batched = serve.batch(
            max_batch_size=batch.max_batch_size,
            batch_wait_timeout_s=batch.wait_ms / 1000,
            max_concurrent_batches=batch.overlap,
        )
        return batched(self._generate)

    async def _generate(self, prompts: list[Prompt]) -> list[Generation | Failure]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._engine.generate(prompts)
        except TimeoutError:
            late = EngineUnavailableError(f"the engine gave no answer within {self._timeout_s:g} s")
            return [Failure.of(late)] * len(prompts)

    async def caption(self, frames: np.ndarray, ask: Ask) -> Said | Failure:
        """Caption ``frames`` (uint8, T x H x W x 3, RGB; read-only where they came by reference)."""
        prompt = Prompt(frames, ask.pts_seconds, ask.duration_s, ask.task, ask.text)
        outcome = await self._batched(prompt)
        if isinstance(outcome, Failure):
            return outcome
        facts = EngineFacts(kind=self._engine.kind, model=self._engine.model)
        return Said(outcome, facts, self._worker)

    async def check_health(self) -> None:
        """Raise when the engine is beyond help: Serve then replaces this replica."""
        await self._engine.check_health()

    async def __del__(self) -> None:
        await self._engine.close()

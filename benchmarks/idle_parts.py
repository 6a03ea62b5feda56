"""Parts of the application that do nothing, so that only what carries the work is measured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np

from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.preparation import Facts, Prepared
from serve_app.schema import Captioned, CaptionRequest, Coverage, FrameFacts, SourceFacts, VideoFacts
from serve_app.settings import BaselineSettings, Settings
from serve_app.video.job import Contained

FRAMES = np.zeros((2, 28, 28, 3), dtype=np.uint8)
FACTS = Facts(
    source=SourceFacts(url="data:,", sha256="0" * 64, bytes=0, bytes_fetched=0),
    video=VideoFacts(
        duration_s=2, width=28, height=28, fps=1, codec="none", frame_count=2, stream=0, rotation=0
    ),
    frames=FrameFacts(pts_seconds=[0.0, 1.0], width=28, height=28),
    coverage=Coverage(complete=True, start_s=0, end_s=2, ranges=(), missing_pts_seconds=()),
    warnings=(),
    fetch_s=0,
    decode_s=0,
)


class IdlePreparation:
    """Gives the same two frames at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Nothing to start."""

    @property
    def contained(self) -> Contained:
        """There is no process to contain."""
        return Contained(in_force=(), missing={})

    @asynccontextmanager
    async def open(self, request: CaptionRequest) -> AsyncIterator[Prepared]:
        """Two black frames."""
        assert request.source  # noqa: S101  the request is read as the real one would
        yield Prepared(FRAMES, FACTS)

    async def keep(self, key: str, captioned: Captioned) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing to close."""


class IdleEngine:
    """Says the same of every video."""

    kind: str = "idle"
    model: str | None = None

    def __init__(self, settings: BaselineSettings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Nothing to load."""

    async def generate(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        """One word for each."""
        return [Generation("nothing", None, "stop") for _ in prompts]

    async def check_health(self) -> None:
        """Always well."""

    async def close(self) -> None:
        """Nothing to close."""

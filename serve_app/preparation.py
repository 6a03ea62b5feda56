"""From a request to frames: fetch, index, sample, decode. The CPU half, without Ray or Kafka."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import numpy as np

from serve_app.album import empty_table
from serve_app.reuse import CaptionCache, Kept
from serve_app.schema import (
    Captioned,
    CaptionRequest,
    Coverage,
    FrameFacts,
    FrameList,
    SourceFacts,
    VideoFacts,
)
from serve_app.settings import Settings
from serve_app.settings.video import EVERY_GUARD
from serve_app.sources.fetch import Fetcher
from serve_app.sources.fetched import Fetched
from serve_app.sources.images import Images
from serve_app.video.choice import Choice
from serve_app.video.index import listed
from serve_app.video.job import Asked, Contained, DecodeJob, Shot
from serve_app.video.limits import check_duration
from serve_app.video.profiles import facts_of
from serve_app.video.sandbox import Sandbox

log = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about a video on the way to its frames; times in seconds."""

    source: SourceFacts
    video: VideoFacts
    frames: FrameFacts
    coverage: Coverage
    warnings: tuple[str, ...]
    fetch_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """Frames (uint8, T x H x W x 3, RGB) at the engine's size, and the facts about them.

    ``frames`` lie in a child's buffer: they are valid only as long as the preparation is open. ``key`` is
    what the caption is to be kept under, ``None`` where it is not.
    """

    frames: np.ndarray
    facts: Facts
    key: str | None = None


def asked_of(request: CaptionRequest) -> Asked:
    """What a request says about its frames."""
    return Asked(
        request.sampling, request.start_s, request.end_s, request.max_sampled_frames, request.on_damage
    )


class Preparation:
    """Owns the HTTP sessions and the decoding children."""

    def __init__(self, settings: Settings) -> None:
        decoder = settings.decoder
        self._settings = decoder
        self._profile = settings.profile
        self._fetcher = Fetcher(settings.sources, cache=settings.cache)
        self._images = Images(settings.sources, cache=settings.cache)
        self._sandbox = Sandbox.of(decoder)
        self._captions = CaptionCache.of(settings)

    async def start(self) -> None:
        """Start the children ahead, so that no video waits for one."""
        await self._sandbox.start()
        contained = self._sandbox.contained
        log.info("these stand around a decoding process: %s", ", ".join(contained.in_force))
        if lacks := contained.lacks(EVERY_GUARD):
            log.warning("these are missing around a decoding process: %s", lacks)

    @property
    def contained(self) -> Contained:
        """What stands around the decoding processes."""
        return self._sandbox.contained

    @asynccontextmanager
    async def open(self, request: CaptionRequest) -> AsyncIterator[Prepared | Kept]:
        """Fetch and decode, or find the caption; raises the ``RecordError`` that says what went wrong."""
        began, shot = time.monotonic(), asked_of(request).shot(self._settings, self._profile)
        async with self._fetched(request.source, shot) as fetched:
            fetch_s, key = time.monotonic() - began, None
            if self._captions is not None and (key := self._captions.key(request, shot, fetched.facts)):
                kept = await self._captions.find(key, fetched.facts, fetch_s)
                if kept is not None:
                    yield kept
                    return
            async with self._decoded(fetched, shot, fetch_s) as (frames, facts):
                yield Prepared(frames, facts, key)

    def _fetched(self, source: str | FrameList, shot: Shot) -> AbstractAsyncContextManager[Fetched]:
        """The video's file; of a list, the images that may be looked at."""
        if isinstance(source, str):
            return self._fetcher.fetch(source, parts=True)
        index = listed(np.array(source.pts_seconds), source.end_s)
        check_duration(index.duration_seconds, self._settings.limits)
        table = empty_table(source.pts_seconds, index.end_seconds)
        return self._images.fetch(source.urls, Choice(shot).needed(index).tolist(), table)

    @asynccontextmanager
    async def _decoded(
        self, fetched: Fetched, shot: Shot, fetch_s: float
    ) -> AsyncIterator[tuple[np.ndarray, Facts]]:
        began, rest = time.monotonic(), fetched.rest
        job = DecodeJob(fetched.path, shot, None if rest is None else rest.supply, fetched.images)
        async with self._sandbox.decode(job) as decoded:
            later_s = 0.0 if rest is None else rest.spent_s
            facts = Facts(
                source=fetched.facts,
                video=decoded.video,
                frames=facts_of(decoded.frames, self._profile),
                coverage=decoded.coverage,
                warnings=decoded.warnings,
                fetch_s=fetch_s + later_s,
                decode_s=max(0.0, time.monotonic() - began - later_s),
            )
            yield decoded.frames.data, facts

    async def keep(self, key: str, captioned: Captioned) -> None:
        """Keep the caption of what was prepared."""
        if self._captions is not None:
            await self._captions.keep(key, captioned)

    async def close(self) -> None:
        """End the children and the sessions."""
        await self._sandbox.close()
        await self._fetcher.close()
        await self._images.close()

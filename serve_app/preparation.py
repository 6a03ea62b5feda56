"""From a request to frames: fetch, index, sample, decode. The CPU half, without Ray or Kafka."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np

from serve_app.album import empty_table
from serve_app.order import Order
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
from serve_app.settings import ModelProfile, Settings
from serve_app.settings.video import EVERY_GUARD
from serve_app.sources.fetch import Fetcher
from serve_app.sources.fetched import Fetched
from serve_app.sources.images import Images
from serve_app.video.choice import Choice, there
from serve_app.video.index import VideoIndex, listed
from serve_app.video.job import Asked, Contained, Decoded, DecodeJob, Shot
from serve_app.video.limits import check_duration
from serve_app.video.profiles import facts_of
from serve_app.video.sandbox import Sandbox, Session
from serve_app.video.windows import Windowing

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


@dataclass(frozen=True, slots=True)
class Windowed:
    """A long video that is open: its ``windows``, ranges in seconds, each decoded when it is asked for."""

    session: Session
    fetched: Fetched
    profile: ModelProfile | None
    windowing: Windowing
    windows: tuple[tuple[float, float], ...]
    fetch_s: float
    key: str | None

    @property
    def partial(self) -> bool:
        """Whether a window of which damage has left nothing may be passed over."""
        return self.session.job.shot.on_damage == "partial"

    @asynccontextmanager
    async def window(self, start_s: float, end_s: float) -> AsyncIterator[Prepared]:
        """A window's frames, valid as long as the block; raises the ``RecordError`` of its decoding."""
        spent = _Spent(self.fetched)
        async with self.session.decode(start_s, end_s) as decoded:
            yield Prepared(decoded.frames.data, spent.facts(decoded, self.profile, 0.0))


class _Spent:
    """The time from now on, told apart into fetching and decoding."""

    def __init__(self, fetched: Fetched) -> None:
        self._fetched, self._began, self._before_s = fetched, time.monotonic(), self._later_s(fetched)

    @staticmethod
    def _later_s(fetched: Fetched) -> float:
        return 0.0 if fetched.rest is None else fetched.rest.spent_s

    def facts(self, decoded: Decoded, profile: ModelProfile | None, fetch_s: float) -> Facts:
        """What is known of the frames; ``fetch_s`` was spent before."""
        later_s = self._later_s(self._fetched) - self._before_s
        return Facts(
            source=self._fetched.facts,
            video=decoded.video,
            frames=facts_of(decoded.frames, profile),
            coverage=decoded.coverage,
            warnings=decoded.warnings,
            fetch_s=fetch_s + later_s,
            decode_s=max(0.0, time.monotonic() - self._began - later_s),
        )


def asked_of(request: CaptionRequest) -> Asked:
    """What a request says about its frames."""
    return Asked(
        request.sampling, request.start_s, request.end_s, request.max_sampled_frames, request.on_damage
    )


class Preparation:
    """Owns the HTTP sessions and the decoding children."""

    def __init__(self, settings: Settings) -> None:
        decoder = settings.decoder
        self._settings = settings
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
    async def open(self, order: Order) -> AsyncIterator[Prepared | Windowed | Kept]:
        """Fetch and decode, or find the caption; raises the ``RecordError`` that says what went wrong."""
        request, profile = order.request, self._settings.profile_with(order.settings)
        began, shot = time.monotonic(), asked_of(request).shot(self._settings.decoder, profile)
        async with self._fetched(request.source, shot, order.windows) as fetched:
            fetch_s, key = time.monotonic() - began, None
            if self._captions is not None and (key := self._captions.key(order, shot, fetched.facts)):
                kept = await self._captions.find(key, fetched.facts, fetch_s)
                if kept is not None:
                    yield kept
                    return
            spent = _Spent(fetched)
            async with self._opened(fetched, shot, order.windows) as found:
                if isinstance(found, Decoded):
                    yield Prepared(found.frames.data, spent.facts(found, profile, fetch_s), key)
                elif order.windows is not None:
                    there, windowing = found.opened.there, order.windows
                    windows = windowing.of(there.start_s, there.end_s)
                    yield Windowed(found, fetched, profile, windowing, windows, fetch_s, key)

    def _opened(
        self, fetched: Fetched, shot: Shot, windowing: Windowing | None
    ) -> AbstractAsyncContextManager[Decoded | Session]:
        rest = fetched.rest
        job = DecodeJob(fetched.path, shot, None if rest is None else rest.supply, fetched.images)
        return self._sandbox.decode(job) if windowing is None else self._sandbox.open(job, windowing.from_s)

    def _fetched(
        self, source: str | FrameList, shot: Shot, windowing: Windowing | None
    ) -> AbstractAsyncContextManager[Fetched]:
        """The video's file; of a list, the images that may be looked at."""
        if isinstance(source, str):
            return self._fetcher.fetch(source, parts=True)
        index = listed(np.array(source.pts_seconds), source.end_s)
        check_duration(index.duration_seconds, self._settings.decoder.limits)
        table = empty_table(source.pts_seconds, index.end_seconds)
        return self._images.fetch(source.urls, _needed(index, shot, windowing), table)

    async def keep(self, key: str, captioned: Captioned) -> None:
        """Keep the caption of what was prepared."""
        if self._captions is not None:
            await self._captions.keep(key, captioned)

    async def close(self) -> None:
        """End the children and the sessions."""
        await self._sandbox.close()
        await self._fetcher.close()
        await self._images.close()


def _needed(index: VideoIndex, shot: Shot, windowing: Windowing | None) -> list[int]:
    """Which images of a list are looked at, by the whole or by its windows."""
    part = there(index, shot)
    if windowing is None or part.end_s - part.start_s < windowing.from_s:
        found: list[int] = Choice(shot).needed(index).tolist()
        return found
    ranges = windowing.of(part.start_s, part.end_s)
    shots = (replace(shot, start_s=start_s, end_s=end_s) for start_s, end_s in ranges)
    return sorted({place for one in shots for place in Choice(one).needed(index).tolist()})

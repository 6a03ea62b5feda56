"""Decoding as a library: an index without pixels, frames with their true times, windows of a long video.

It decodes in the process that calls it, with the limits but without the guards around a child process:
for files of your own. For those of others there is :class:`serve_app.video.sandbox.Sandbox`. Neither Ray nor
Kafka is needed. Times are seconds on the container's own timeline, ranges are half-open, and the same file
gives the same frames each time.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from serve_app.errors import CapstreamError, NoFramesError, VideoRefusedError, VideoUnreadableError
from serve_app.schema import (
    Coverage,
    FpsSampling,
    IntervalSampling,
    KeyframesSampling,
    NumFramesSampling,
    SceneSampling,
    TimesSampling,
    UniformSampling,
    VideoFacts,
)
from serve_app.settings import GeometrySettings, LimitSettings
from serve_app.video.backends import OPENERS
from serve_app.video.choice import Choice
from serve_app.video.frames import Frames
from serve_app.video.geometry import FixedSize
from serve_app.video.index import VideoIndex
from serve_app.video.job import Decoded, Shot, open_video
from serve_app.video.limits import DEFAULT_LIMITS
from serve_app.video.plan import Plan
from serve_app.video.plan import plan as planned
from serve_app.video.windows import windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from serve_app.schema import OnDamage, Sampling
    from serve_app.video.choice import Pick

__all__ = [
    "CapstreamError",
    "Coverage",
    "Decoded",
    "FixedSize",
    "FpsSampling",
    "Frames",
    "GeometrySettings",
    "IntervalSampling",
    "KeyframesSampling",
    "LimitSettings",
    "NoFramesError",
    "NumFramesSampling",
    "Plan",
    "SceneSampling",
    "TimesSampling",
    "UniformSampling",
    "VideoDecoder",
    "VideoFacts",
    "VideoIndex",
    "VideoRefusedError",
    "VideoUnreadableError",
    "Window",
]


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a video, from ``start_s`` to ``end_s``, which is not in it, and what was decoded of it."""

    start_s: float
    end_s: float
    decoded: Decoded

    @property
    def frames(self) -> Frames:
        """Its frames."""
        return self.decoded.frames


class VideoDecoder:
    """One video: a path, or its bytes. A context manager.

    ``size`` is that of all frames: exact, a model's rule, or by default as shown. Opening reads the whole
    container once and decodes nothing. ``backend`` is ``pyav``, ``torchcodec``, or ``either``: the second
    where PyAV cannot open the file, with a warning. Raises ``VideoUnreadableError``, ``VideoRefusedError``
    and ``OSError``.
    """

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        size: FixedSize | GeometrySettings | None = None,
        on_damage: OnDamage = "fail",
        backend: Literal["pyav", "torchcodec", "either"] = "pyav",
        limits: LimitSettings = DEFAULT_LIMITS,
    ) -> None:
        if backend not in OPENERS:
            raise ValueError(f"backend must be one of {', '.join(OPENERS)}, is {backend!r}")
        self._shot = Shot(size=size or FixedSize(), on_damage=on_damage)
        self._fd = _descriptor(source)
        try:
            self._backend, self._warnings = OPENERS[backend](self._fd, limits)
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; frames stay."""
        if self._fd >= 0:
            self._backend.close()
            os.close(self._fd)
            self._fd = -1

    def __len__(self) -> int:
        return len(self._backend.index)

    def __repr__(self) -> str:
        return f"VideoDecoder({self._backend.name}, {self._backend.index})"

    @property
    def index(self) -> VideoIndex:
        """Times and keyframes of all frames."""
        return self._backend.index

    def choose(
        self, sampling: Sampling, start_s: float | None = None, end_s: float | None = None
    ) -> NDArray[np.int64]:
        """Which frames a sampling takes: indices, rising; ``scene`` is for :meth:`sampled` alone."""
        shot = replace(self._shot, sampling=sampling, start_s=start_s, end_s=end_s)
        return Choice(shot).sampled(self._backend.index)

    def plan(self, indices: NDArray[np.int64] | Sequence[int]) -> Plan:
        """What would be decoded for these frames: a value, nothing is read."""
        return planned(self._backend.index, self._checked(indices), skip=self._backend.may_skip)

    def sampled(
        self, sampling: Sampling, start_s: float | None = None, end_s: float | None = None
    ) -> Decoded:
        """The frames that a sampling takes of a range, with what was found on the way."""
        return self._take(replace(self._shot, sampling=sampling, start_s=start_s, end_s=end_s))

    def frames_at(self, indices: NDArray[np.int64] | Sequence[int]) -> Frames:
        """The frames with these places in the index, which rise; ``IndexError`` names one that is none."""
        chosen = self._checked(indices)
        times = self._backend.index.pts_seconds[chosen]
        last = float(times[-1])
        end, most = float(np.nextafter(last, np.inf)), max(len(times), self._shot.max_frames)
        shot = replace(self._shot, start_s=float(times[0]), end_s=end, max_frames=most)
        return self._take(shot, lambda index: np.searchsorted(index.pts_seconds, times)).frames

    def frames_played_at(self, seconds: Sequence[float]) -> Frames:
        """The frames on screen at these times, each once; ``ValueError`` for a time outside the video."""
        return self.frames_at(sorted({self._backend.index.shown_at(time) for time in seconds}))

    def windows(
        self,
        length_s: float,
        sampling: Sampling,
        *,
        overlap_s: float = 0.0,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> Iterator[Window]:
        """Window after window, decoded when it is asked for; none is kept here.

        With ``on_damage="partial"`` a window of which nothing is left is passed over.
        """
        index = self._backend.index
        start = index.start_seconds if start_s is None else start_s
        end = index.end_seconds if end_s is None else min(end_s, index.end_seconds)
        if start >= end:
            raise NoFramesError(f"no frame is shown from {start:.3f} s to {end:.3f} s")
        return self._windows(windows(start, end, length_s, overlap_s), sampling)

    def _windows(self, ranges: tuple[tuple[float, float], ...], sampling: Sampling) -> Iterator[Window]:
        for start, end in ranges:
            try:
                # Nothing here may hold on to the frames while the next window is decoded.
                yield Window(start, end, self.sampled(sampling, start, end))
            except VideoUnreadableError:
                if self._shot.on_damage == "fail":
                    raise

    def _take(self, shot: Shot, pick: Pick | None = None) -> Decoded:
        if self._fd < 0:
            raise ValueError("the decoder is closed")
        decoded = self._backend.take(shot, pick)
        return replace(decoded, warnings=(*self._warnings, *decoded.warnings)) if self._warnings else decoded

    def _checked(self, indices: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
        chosen, total = np.asarray(indices, np.int64), len(self._backend.index)
        if not len(chosen):
            raise IndexError("indices must hold one place at least, is empty")
        for place in chosen[(chosen < 0) | (chosen >= total)].tolist():
            raise IndexError(f"there is no frame {place}; allowed: 0 to {total - 1}")
        if (np.diff(chosen) <= 0).any():
            raise IndexError("indices must rise, each once")
        return chosen


def _descriptor(source: str | Path | bytes) -> int:
    if not isinstance(source, bytes):
        return open_video(Path(source))
    with tempfile.TemporaryFile() as file:
        file.write(source)
        file.flush()
        return os.dup(file.fileno())

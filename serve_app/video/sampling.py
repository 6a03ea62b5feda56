"""Which frames to show: times in, indices out. Pure numpy.

All ranges are half-open, [start, end). A frame is *shown* from its pts until the next frame's pts.

``fps`` and ``interval``: for k = 0, 1, … the frame shown at start + k x step; a frame that is shown at
several k is taken once. ``num_frames``: n points spread evenly from the first to the last frame of the
range, ends included, and for each the frame nearest in time; ties go to the even neighbour, so that at
a constant frame rate the indices are ``round(linspace(0, m - 1, n))``, the rule of Qwen's loader.
A single frame is the middle one. Frames that collide move to their neighbours: n frames come out
wherever the range holds n. ``uniform``: the frames shown at the middles of n equal segments, at a
constant frame rate ``floor((k + 1/2) m / n)``, the rule of InternVL's processor in transformers;
collisions as above.
``keyframes``: those that the container flags. ``times``: the frames shown at given times. ``scene``
needs a look at the pictures and is in :mod:`serve_app.video.scenes`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, assert_never

import numpy as np

from serve_app.errors import NoFramesError
from serve_app.schema import (
    FpsSampling,
    IntervalSampling,
    KeyframesSampling,
    NumFramesSampling,
    TimesSampling,
    UniformSampling,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.schema.sampling import PlainSampling

GRACE_S = 1e-9  # seconds are binary fractions: 1.4 + 0.5 need not be the 1.9 of a frame


class Bounds(Protocol):
    """Bounds of a number of frames."""

    @property
    def min_frames(self) -> int: ...  # noqa: D102  a setting's name
    @property
    def max_frames(self) -> int: ...  # noqa: D102
    @property
    def frame_factor(self) -> int: ...  # noqa: D102


def choose(
    pts_seconds: NDArray[np.float64],
    end_seconds: float,
    sampling: PlainSampling,
    start_s: float | None = None,
    end_s: float | None = None,
    *,
    keyframe: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Indices into ``pts_seconds``, rising, each once; shape (T,), T at least 1.

    ``pts_seconds`` has shape (N,), not decreasing; ``end_seconds`` is the end of the last frame.
    ``start_s`` and ``end_s`` narrow the range on the same timeline. ``keyframe``, shape (N,), marks
    keyframes. ``NoFramesError`` if nothing is shown in the range, or a time lies outside of it.
    """
    first, stop = shown_between(pts_seconds, end_seconds, start_s, end_s)
    start = float(pts_seconds[0]) if start_s is None else start_s
    end = end_seconds if end_s is None else min(end_s, end_seconds)
    match sampling:
        case FpsSampling():
            picked = _stepped(pts_seconds, start, end, 1 / sampling.fps)
        case IntervalSampling():
            picked = _stepped(pts_seconds, start, end, sampling.every_s)
        case KeyframesSampling():
            flags = np.zeros(len(pts_seconds), np.bool_) if keyframe is None else keyframe
            picked = first + np.flatnonzero(flags[first:stop]).astype(np.int64)
        case NumFramesSampling():
            return first + spread(pts_seconds[first:stop], sampling.num_frames)
        case UniformSampling():
            return first + middles(pts_seconds[first:stop], start, end, sampling.segments)
        case TimesSampling():
            return _at(pts_seconds, start, end, sampling.times_s)
        case _:
            assert_never(sampling)
    count = bounded(len(picked), stop - first, sampling)
    if isinstance(sampling, KeyframesSampling) and count <= len(picked):
        return thinned(picked, count)
    return picked if count == len(picked) else first + spread(pts_seconds[first:stop], count)


def bounded(count: float, total: int, bounds: Bounds) -> int:
    """How many frames to take of ``total``: ``count`` within bounds, rounded down to the factor.

    The rule of ``smart_nframes`` of Qwen's loader, which has no answer for fewer frames than the factor:
    then it is all of them.
    """
    factor = bounds.frame_factor
    low = math.ceil(bounds.min_frames / factor) * factor
    high = min(bounds.max_frames, total) // factor * factor
    within = math.floor(min(max(count, low), high) / factor) * factor
    return max(within, min(total, factor))


def thinned(chosen: NDArray[np.int64], most: int, factor: int = 1) -> NDArray[np.int64]:
    """``most`` of the chosen at most, evenly out of their row, in multiples of ``factor`` if there are."""
    count = min(len(chosen), most)
    count = max(count // factor * factor, min(count, factor))
    if count == len(chosen):
        return chosen
    if count == 1:
        return chosen[(len(chosen) - 1) // 2 : (len(chosen) + 1) // 2]
    return chosen[np.rint(np.linspace(0, len(chosen) - 1, count)).astype(np.int64)]


def spread(pts_seconds: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """``count`` indices spread evenly in time, or all of them if there are no more than ``count``."""
    total = len(pts_seconds)
    if total <= count:
        return np.arange(total, dtype=np.int64)
    low, high = float(pts_seconds[0]), float(pts_seconds[-1])
    points = np.linspace(low, high, count) if count > 1 else np.array([(low + high) / 2])
    # Rounded first, so that noise in the last bits cannot decide a tie.
    places = np.round(np.interp(points, pts_seconds, np.arange(total)), 6)
    return _apart(np.rint(places).astype(np.int64), total)


def middles(pts_seconds: NDArray[np.float64], start: float, end: float, count: int) -> NDArray[np.int64]:
    """The frames shown at the middles of ``count`` equal segments of [start, end), or all of fewer."""
    total = len(pts_seconds)
    if total <= count:
        return np.arange(total, dtype=np.int64)
    start = max(start, float(pts_seconds[0]))
    points: NDArray[np.float64] = start + (np.arange(count, dtype=np.float64) + 0.5) * ((end - start) / count)
    return _apart(np.maximum(shown_at(pts_seconds, points), 0), total)


def shown_at(pts_seconds: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each time the index of the frame shown then; -1 before the first."""
    return np.searchsorted(pts_seconds, points + _grace(pts_seconds), side="right").astype(np.int64) - 1


def each_once(rising: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices that do not fall, without those that repeat.

    ``np.unique`` would import more of numpy when it is first called; the decoding process may not.
    """
    return rising[np.diff(rising, prepend=rising[0] - 1) > 0]


def shown_between(
    pts_seconds: NDArray[np.float64], end_seconds: float, start_s: float | None, end_s: float | None
) -> tuple[int, int]:
    """The indices, half-open, of the frames shown in a range; ``NoFramesError`` if there are none."""
    start = float(pts_seconds[0]) if start_s is None else start_s
    end = end_seconds if end_s is None else min(end_s, end_seconds)
    grace = _grace(pts_seconds)
    first = max(int(shown_at(pts_seconds, np.array([start]))[0]), 0)
    stop = int(np.searchsorted(pts_seconds, end - grace, side="left")) if start < end - grace else 0
    if first >= stop:
        raise NoFramesError(
            f"no frame is shown from {_said(start)} s to {_said(end if end_s is None else end_s)} s:"
            f" the video runs from {_said(pts_seconds[0])} s to {_said(end_seconds)} s"
        )
    return first, stop


def _apart(indices: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    steps = np.arange(len(indices), dtype=np.int64)
    rising = np.maximum.accumulate(indices - steps) + steps
    return np.minimum(rising, total - len(indices) + steps)


def _at(
    pts_seconds: NDArray[np.float64], start: float, end: float, times_s: tuple[float, ...]
) -> NDArray[np.int64]:
    points, grace = np.array(times_s, np.float64), _grace(pts_seconds)
    low = max(start, float(pts_seconds[0]))
    outside = (points < low - grace) | (points >= end - grace)
    if outside.any():
        where = f"the range is {_said(low)} s to {_said(end)} s"
        raise NoFramesError(f"no frame is shown at {_said(points[outside][0])} s: {where}")
    return each_once(shown_at(pts_seconds, np.sort(points)))


def _stepped(pts_seconds: NDArray[np.float64], start: float, end: float, step: float) -> NDArray[np.int64]:
    """Frames with a k whose point falls while they are shown.

    Asked per frame, not per k: a forged pts a year ahead must not make a million points.
    """
    grace = _grace(pts_seconds)
    until = np.append(pts_seconds[1:], np.inf)
    k = np.maximum(0, np.ceil((pts_seconds - grace - start) / step))
    point = start + k * step
    hit = (point < until - grace) & (point < end - grace)
    return np.flatnonzero(hit).astype(np.int64)


def _said(seconds: float) -> str:
    # 1e300 with all its digits would be a message of its own.
    return f"{seconds:.3f}" if abs(seconds) < 1e9 else f"{seconds:g}"


def _grace(pts_seconds: NDArray[np.float64]) -> float:
    return max(GRACE_S, 4 * float(np.spacing(np.abs(pts_seconds[[0, -1]]).max())))

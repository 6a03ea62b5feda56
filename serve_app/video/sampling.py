"""Which frames to show: times in, indices out. Pure numpy.

All ranges are half-open, [start, end). A frame is *shown* from its pts until the next frame's pts.

``fps`` and ``interval``: for k = 0, 1, … the frame shown at start + k x step; a frame that is shown at
several k is taken once. ``num_frames``: n points spread evenly from the first to the last frame of the
range, ends included, and for each the frame nearest in time; ties go to the even neighbour, so that at
a constant frame rate the indices are ``round(linspace(0, m - 1, n))``, the rule of Qwen's loader.
A single frame is the middle one. Frames that collide move to their neighbours: n frames come out
wherever the range holds n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import numpy as np

from serve_app.errors import NoFramesError
from serve_app.schema import FpsSampling, IntervalSampling, NumFramesSampling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.schema import Sampling

GRACE_S = 1e-9  # seconds are binary fractions: 1.4 + 0.5 need not be the 1.9 of a frame


def choose(
    pts_seconds: NDArray[np.float64],
    end_seconds: float,
    sampling: Sampling,
    start_s: float | None = None,
    end_s: float | None = None,
) -> NDArray[np.int64]:
    """Indices into ``pts_seconds``, rising, each once; shape (T,), T at least 1.

    ``pts_seconds`` has shape (N,), not decreasing; ``end_seconds`` is the end of the last frame.
    ``start_s`` and ``end_s`` narrow the range on the same timeline. ``NoFramesError`` if nothing is
    shown in the range.
    """
    start = float(pts_seconds[0]) if start_s is None else start_s
    end = end_seconds if end_s is None else min(end_s, end_seconds)
    first, stop = _shown_between(pts_seconds, start, end)
    if first >= stop:
        raise NoFramesError(
            f"no frame is shown from {start:.3f} s to {end if end_s is None else end_s:.3f} s:"
            f" the video runs from {pts_seconds[0]:.3f} s to {end_seconds:.3f} s"
        )
    match sampling:
        case FpsSampling():
            picked = _stepped(pts_seconds, start, end, 1 / sampling.fps)
        case IntervalSampling():
            picked = _stepped(pts_seconds, start, end, sampling.every_s)
        case NumFramesSampling():
            return first + spread(pts_seconds[first:stop], sampling.num_frames)
        case _:
            assert_never(sampling)
    count = min(max(len(picked), sampling.min_frames), sampling.max_frames)
    return picked if count == len(picked) else first + spread(pts_seconds[first:stop], count)


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


def _apart(indices: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    steps = np.arange(len(indices), dtype=np.int64)
    rising = np.maximum.accumulate(indices - steps) + steps
    return np.minimum(rising, total - len(indices) + steps)


def _shown_between(pts_seconds: NDArray[np.float64], start: float, end: float) -> tuple[int, int]:
    grace = _grace(pts_seconds)
    first = int(np.searchsorted(pts_seconds, start + grace, side="right")) - 1
    stop = int(np.searchsorted(pts_seconds, end - grace, side="left"))
    return (max(first, 0), stop) if start < end - grace else (0, 0)


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


def _grace(pts_seconds: NDArray[np.float64]) -> float:
    return max(GRACE_S, 4 * float(np.spacing(np.abs(pts_seconds[[0, -1]]).max())))

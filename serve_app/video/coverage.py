"""Which part of what was asked for the frames stand for, and which frames damage has spoiled. Pure numpy.

Each chosen frame stands for the time from its pts to the next chosen frame's, the first one from the
range's start, the last one to the end of what is there. A frame is spoiled by damage in any packet that
it may refer to: from the keyframe that it needs up to its own, in decode order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from serve_app.schema import Coverage, TimeRange
from serve_app.video.plan import starts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from serve_app.video.index import VideoIndex


def over_windows(whole: tuple[float, float], windows: Sequence[Coverage], *, all_there: bool) -> Coverage:
    """The coverage of the range ``whole`` by its windows, rising; ``all_there``: none was passed over."""
    ranges: list[TimeRange] = []
    for one in (one for window in windows for one in window.ranges):
        if ranges and one.start_s <= ranges[-1].end_s:
            last = ranges.pop()
            ranges.append(TimeRange(start_s=last.start_s, end_s=max(last.end_s, one.end_s)))
        else:
            ranges.append(one)
    missing = {pts for window in windows for pts in window.missing_pts_seconds}
    return Coverage(
        complete=all_there and all(window.complete for window in windows),
        start_s=whole[0],
        end_s=whole[1],
        ranges=tuple(ranges),
        missing_pts_seconds=tuple(sorted(missing)),
    )


def spoiled(
    index: VideoIndex, wanted: NDArray[np.int64], damage: AbstractSet[int], intact: AbstractSet[int]
) -> NDArray[np.bool_]:
    """Which of the ordinals ``wanted``, shape (T,), damage in the packets ``damage`` may have reached.

    ``intact`` are frames that came out whole and refer to no other: among them the keyframes to believe.
    """
    packets = index.packets
    whole = np.zeros(len(packets), np.bool_)
    whole[sorted(intact)] = True
    # A keyframe that an edit list hides is never handed out, so nobody saw that it is whole.
    trusted = packets.keyframe & (whole | packets.hidden)
    broken = np.zeros(len(packets) + 1, np.int64)
    broken[1:][sorted(damage)] = 1
    before = np.cumsum(broken)
    begins = starts(replace(packets, keyframe=trusted), wanted)
    # Shown before the first keyframe that can be trusted: it refers to what lies before that.
    begins = np.where(packets.pts[begins] > packets.pts[wanted], 0, begins)
    return np.asarray(before[wanted + 1] > before[begins])


def coverage(
    asked: tuple[float, float], end_seconds: float, pts_seconds: NDArray[np.float64], lost: NDArray[np.bool_]
) -> Coverage:
    """What the frames that are not ``lost`` stand for in the range ``asked``.

    ``pts_seconds`` are all chosen frames', shape (T,), T at least 1; ``end_seconds`` is where the last ends.
    """
    start, end = asked
    last = max(start, min(end, end_seconds))
    edges = np.clip(np.concatenate(([start], pts_seconds[1:], [last])), start, last)
    ranges: list[TimeRange] = []
    for low, high, gone in zip(edges[:-1].tolist(), edges[1:].tolist(), lost.tolist(), strict=True):
        if gone or low >= high:
            continue
        joins = bool(ranges) and ranges[-1].end_s == low
        begin = ranges.pop().start_s if joins else low
        ranges.append(TimeRange(start_s=begin, end_s=high))
    return Coverage(
        complete=not lost.any() and end <= end_seconds,
        start_s=start,
        end_s=end,
        ranges=tuple(ranges),
        missing_pts_seconds=tuple(pts_seconds[lost].tolist()),
    )

"""Presentation times where a container's own lack for some packets, are made up, or jump back. Pure numpy.

Only ``pts`` are ever changed: ``dts`` stay the container's own, by which it is searched.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from serve_app.video.packets import UNSET, Packets

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

MOST_MISSING = 0.1  # of all frames; with fewer times than that, frames are counted
NEAR = 16  # packets: H.264 and HEVC move no frame farther
SURE = 4  # packets on either side that a jump must hold for: one wrong time is no jump
FARTHEST = 2**62  # ticks; no recording spans as many, a spoilt time may
CLOCK_HZ, HALF_TURN = 90_000, 2**32  # MPEG's clock has 33 bits; FFmpeg takes a jump back for a turn of it


def filled(packets: Packets, shown: NDArray[np.bool_], *, reorders: bool) -> tuple[Packets | None, str]:
    """The packets with what pts were missing, and a word on it; no packets if frames must be counted.

    A packet whose pts cannot be told keeps none: its frame is decoded and never shown.
    """
    missing = shown & (packets.pts == UNSET)
    if not missing.any():
        return packets, ""
    # Without reordering a frame is shown when it is decoded, so dts is as good as pts.
    if not reorders and not (missing & (packets.dts == UNSET)).any():
        return replace(packets, pts=np.where(packets.pts == UNSET, packets.dts, packets.pts)), ""
    total, lacking = int(shown.sum()), int(missing.sum())
    if lacking > MOST_MISSING * total:
        return None, ""
    packets = replace(packets, pts=_guessed_by_gaps(packets.pts, shown, reorders=reorders))
    left = int((shown & (packets.pts == UNSET)).sum())
    text = f"{lacking} of {total} packets have no pts: {lacking - left} were filled in from those around them"
    return packets, text + (f", {left} frames are left out" if left else "")


def _guessed_by_gaps(
    pts: NDArray[np.int64], shown: NDArray[np.bool_], *, reorders: bool
) -> NDArray[np.int64]:
    pts = pts.copy()
    known = np.sort(pts[shown & (pts != UNSET)])
    gaps = np.diff(known)
    usual = middle(gaps)
    if usual <= 0:
        return pts
    lacking = np.rint(gaps / usual).astype(np.int64) - 1
    holes = np.flatnonzero(lacking > 0)
    missing = np.flatnonzero(shown & (pts == UNSET))
    for group in np.split(missing, np.flatnonzero(np.diff(missing) > NEAR) + 1):
        first, last = int(group[0]), int(group[-1])
        around = pts[max(0, first - NEAR) : last + NEAR + 1]
        around = around[around != UNSET]
        low, high = np.searchsorted(known[holes], (around.min(), around.max())) if len(around) else (0, 0)
        places = [
            int(known[hole]) + int(gaps[hole]) * (step + 1) // (int(lacking[hole]) + 1)
            for hole in holes[low : min(high, low + len(group) + 1)]
            for step in range(min(int(lacking[hole]), len(group) + 1))
        ]
        # Which of several reordered packets belongs where, no time tells.
        if len(places) == len(group) and (len(group) == 1 or not reorders):
            pts[group] = places
    return pts


def made_up(packets: Packets, shown: NDArray[np.bool_]) -> bool:
    """Whether the pts of a codec that reorders frames reorder none: they number the packets."""
    pts = packets.pts[shown]
    return bool((pts != UNSET).all() and (np.diff(pts) >= 0).all())


def decoding_times(packets: Packets, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rising times of packets whose pts are made up, in ticks; shape (N,).

    Of made-up pts FFmpeg may derive dts that stand still, or none.
    """
    dts, pts = packets.dts[shown], packets.pts[shown]
    return dts if (dts != UNSET).all() and (np.diff(dts) > 0).all() else np.sort(pts)


def continued(packets: Packets, time_base: Fraction) -> tuple[Packets, tuple[int, ...]]:
    """The packets with pts that jump back shifted behind those before, and the ordinals where they do.

    So it is where recordings are joined byte by byte. Where one goes on with a keyframe, a packet that the
    demuxer took for damaged, since it counts on, is whole.
    """
    starts = [] if packets.hidden.any() else _jumps(packets.dts, time_base)
    if not starts:
        return packets, ()
    pts, corrupt = packets.pts.copy(), packets.corrupt.copy()
    edges = [0, *starts, len(packets)]
    usual = middle(np.diff(packets.dts[packets.dts != UNSET]))
    end: int | None = None
    for start, stop in pairwise(edges):
        known = start + np.flatnonzero(packets.pts[start:stop] != UNSET)
        if not len(known):
            continue
        shift = 0 if end is None else end + usual - int(pts[known].min())
        pts[known] += shift if abs(shift) < FARTHEST else 0
        end = int(pts[known].max())
    for start in starts:
        if packets.keyframe[start]:
            corrupt[max(0, start - 2) : start] = False
    return replace(packets, pts=pts, corrupt=corrupt), tuple(starts)


def _jumps(dts: NDArray[np.int64], time_base: Fraction) -> list[int]:
    known = np.flatnonzero(dts != UNSET)
    times = dts[known]
    steps = np.diff(times)
    turn = HALF_TURN if time_base * CLOCK_HZ == 1 else np.iinfo(np.int64).max
    found = [0]
    for at in (np.flatnonzero((steps < 0) | (steps > turn)) + 1).tolist():
        before, after = times[max(found[-1], at - SURE) : at], times[at : at + SURE]
        if after.max() < before.min() or int(after.min()) - int(before.max()) > turn:
            found.append(at)
    return [int(known[at]) for at in found[1:]]


def middle(gaps: NDArray[np.int64]) -> int:
    """The median of those that are above zero; 0 if there is none."""
    gaps = np.sort(gaps[gaps > 0])
    # np.median would import more of numpy when it is first called; the decoding process may not.
    return int(gaps[len(gaps) // 2]) if len(gaps) else 0

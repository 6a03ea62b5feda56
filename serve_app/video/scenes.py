"""Where shots begin, and which frames to show of each. Pure numpy.

The change from one small picture to the next is PySceneDetect's content value with its default weights:
the mean over the pixels of the differences of hue, saturation and value, as OpenCV's 8-bit HSV has them.
A change of at least the threshold begins a shot.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from serve_app.video.sampling import bounded, spread, thinned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.schema import SceneSampling

SMALL = (64, 36)  # width and height of a look; scores of pictures this small keep their order
_SHIFT = 12
_SCALES = np.arange(1, 256)
_SATURATION = np.concatenate(([0], np.rint((255 << _SHIFT) / _SCALES))).astype(np.int32)
_HUE = np.concatenate(([0], np.rint((180 << _SHIFT) / (6 * _SCALES)))).astype(np.int32)


def hsv(pictures: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Hue (0 to 179), saturation and value of RGB pictures, shape (..., 3), rounded as OpenCV does."""
    red, green, blue = (pictures[..., channel].astype(np.int32) for channel in range(3))
    value = np.maximum(np.maximum(red, green), blue)
    span = value - np.minimum(np.minimum(red, green), blue)
    half = 1 << (_SHIFT - 1)
    saturation = (span * _SATURATION[value] + half) >> _SHIFT
    turn = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * span, red - green + 4 * span),
    )
    hue = (turn * _HUE[span] + half) >> _SHIFT
    return np.stack((np.where(hue < 0, hue + 180, hue), saturation, value), axis=-1)


def changes(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How much each picture differs from the one before it, 0 to 255; 0 for the first.

    ``pictures`` has shape (M, H, W, 3), RGB; one pair at a time is held in another form.
    """
    found = np.zeros(len(pictures), np.float64)
    before = hsv(pictures[0])
    for place in range(1, len(pictures)):
        now = hsv(pictures[place])
        found[place] = np.abs(now - before).mean()
        before = now
    return found


def pick(
    pts_seconds: NDArray[np.float64], change: NDArray[np.float64], sampling: SceneSampling
) -> NDArray[np.int64]:
    """Which looks to show: indices, rising, each once, at least one of each shot as far as the bounds allow.

    ``pts_seconds`` and ``change`` have shape (M,); the first change does not count.
    """
    cuts = 1 + np.flatnonzero(change[1:] >= sampling.threshold)
    shots = np.split(np.arange(len(change), dtype=np.int64), cuts)
    inside = [np.concatenate(([0.0], np.cumsum(change[shot[1:]]))) for shot in shots]
    wanted = np.array([1 + int(sums[-1] // sampling.threshold) for sums in inside])
    quotas = np.minimum(wanted, [len(shot) for shot in shots])
    # Rounding down to the factor must not cost a shot its only frame.
    least = math.ceil(len(shots) / sampling.frame_factor) * sampling.frame_factor
    count = bounded(max(int(quotas.sum()), least), len(change), sampling)
    if len(shots) > count:
        # There are more shots than frames: one of each, of shots evenly out of their row.
        return thinned(_of_each(shots, inside, np.ones(len(shots), np.int64)), count)
    if count > quotas.sum():
        few = _of_each(shots, inside, quotas)
        return _filled(pts_seconds, few, count)
    return _of_each(shots, inside, _fewer(quotas, count))


def _of_each(
    shots: list[NDArray[np.int64]], inside: list[NDArray[np.float64]], quotas: NDArray[np.int64]
) -> NDArray[np.int64]:
    parts = [_evenly(shot, sums, int(n)) for shot, sums, n in zip(shots, inside, quotas, strict=True)]
    return np.concatenate(parts)


def _evenly(shot: NDArray[np.int64], sums: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """``count`` looks of a shot, at the middles of equal amounts of change; a still shot by its length."""
    length = len(shot)
    if sums[-1] <= 0:
        places = (np.arange(count) + 0.5) * length / count
    else:
        points = (np.arange(count) + 0.5) * (sums[-1] / count)
        places = np.searchsorted(sums, points, side="left")
    steps = np.arange(count)
    apart = np.maximum.accumulate(places.astype(np.int64) - steps) + steps
    taken: NDArray[np.int64] = shot[np.minimum(apart, length - count + steps)]
    return taken


def _fewer(quotas: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Quotas that add up to ``count``, in proportion to what is above one of each; the largest rests win."""
    extra: NDArray[np.int64] = quotas - 1
    spare = count - len(quotas)
    if extra.sum() <= spare:
        return quotas
    shares = extra * (spare / extra.sum())
    given = np.floor(shares).astype(np.int64)
    rest = np.argsort(given - shares, kind="stable")[: spare - int(given.sum())]
    given[rest] += 1
    fewer: NDArray[np.int64] = 1 + given
    return fewer


def _filled(pts_seconds: NDArray[np.float64], few: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The looks chosen and others spread in time between them, ``count`` in all."""
    others = np.delete(np.arange(len(pts_seconds), dtype=np.int64), few)
    more = others[spread(pts_seconds[others], count - len(few))]
    return np.sort(np.concatenate((few, more)))

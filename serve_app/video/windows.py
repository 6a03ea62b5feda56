"""A long video as windows: half-open ranges, pure arithmetic in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from serve_app.errors import VideoRefusedError

LEAST_S = 1e-6  # a rest shorter than this is noise of adding up seconds
LEAST_REST_S = 1.0  # a shorter one is not worth a caption


def windows(
    start_s: float, end_s: float, length_s: float, overlap_s: float = 0.0
) -> tuple[tuple[float, float], ...]:
    """Windows of ``length_s`` from ``start_s`` to ``end_s``, each ``overlap_s`` before the last one's end.

    The last may be shorter. ``ValueError`` for a length or an overlap that cannot be.
    """
    if not 0 < length_s < math.inf:
        raise ValueError(f"length_s must be above 0 and finite, is {length_s:g}")
    if not 0 <= overlap_s < length_s:
        raise ValueError(f"overlap_s must be at least 0 and below length_s {length_s:g}, is {overlap_s:g}")
    step = length_s - overlap_s
    count = max(1, math.ceil((end_s - start_s - overlap_s - LEAST_S) / step))
    begins = (start_s + number * step for number in range(count))
    return tuple((begin, min(begin + length_s, end_s)) for begin in begins)


@dataclass(frozen=True, slots=True)
class Windowing:
    """How a video is captioned in windows, if it is ``from_s`` or longer; ``in_flight`` of them at once."""

    length_s: float
    overlap_s: float
    from_s: float
    in_flight: int
    most: int

    def of(self, start_s: float, end_s: float) -> tuple[tuple[float, float], ...]:
        """The windows of a range; ``VideoRefusedError`` for more than ``most``.

        A rest of less than a second, or of half a window if that is less, belongs to the window before it.
        """
        count = max(0.0, end_s - start_s - self.overlap_s) / (self.length_s - self.overlap_s)
        if count > self.most:
            allowed = f"{self.most} are allowed (windows.most)"
            raise VideoRefusedError(f"the video has {count:,.0f} windows, {allowed}")
        found = windows(start_s, end_s, self.length_s, self.overlap_s)
        rest_s = found[-1][1] - found[-1][0]
        if len(found) == 1 or rest_s >= min(LEAST_REST_S, self.length_s / 2):
            return found
        return (*found[:-2], (found[-2][0], end_s))

"""What damage reaches, and what the frames that are left stand for: on packets that are written out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from serve_app.schema import Coverage, TimeRange
from serve_app.video.coverage import coverage, over_windows, spoiled
from serve_app.video.index import Header, Packets, VideoIndex, build

# Decode order I P B I b P: the b is shown before the second keyframe though it is stored after it.
PTS, KEYS = [0, 3, 1, 5, 4, 6], [0, 3]


def index(hidden: tuple[int, ...] = ()) -> VideoIndex:
    n = len(PTS)
    places = np.arange(n)
    packets = Packets(
        np.array(PTS, np.int64),
        places.astype(np.int64),
        np.ones(n, np.int64),
        np.full(n, 100, np.int64),
        np.isin(places, KEYS),
        np.isin(places, hidden),
        np.zeros(n, np.bool_),
    )
    return build(packets, Fraction(1), Header())


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (set(), []),
        ({0}, [0, 1, 2, 4]),  # the leading picture of the open GOP refers to the first one
        ({1}, [1, 2, 4]),
        ({2}, [2, 4]),  # nobody knows whether the B frame was referred to
        ({3}, [3, 4, 5]),
        ({5}, [5]),
        ({0, 5}, [0, 1, 2, 4, 5]),
    ],
)
def test_damage_reaches_what_may_refer_to_it(damage: set[int], lost: list[int]) -> None:
    """From the damaged packet to the next keyframe in decode order, and the leading frames behind that."""
    intact = set(KEYS) - damage
    found = spoiled(index(), np.arange(len(PTS), dtype=np.int64), damage, intact)
    assert np.flatnonzero(found).tolist() == lost


def test_a_keyframe_that_nobody_saw_whole_ends_no_damage() -> None:
    """A packet that is only marked as a keyframe does not stop the damage before it, a hidden one does."""
    ordinals = np.array([3, 5], np.int64)
    assert spoiled(index(), ordinals, {1}, {0}).tolist() == [True, True]
    assert spoiled(index(), ordinals, {1}, {0, 3}).tolist() == [False, False]
    assert spoiled(index(hidden=(3,)), ordinals, {1}, {0}).tolist() == [False, False]


def covered(asked: tuple[float, float], end: float, lost: list[bool]) -> list[list[float]]:
    found = coverage(asked, end, np.array([0.0, 1.0, 2.0, 3.0]), np.array(lost))
    return [[one.start_s, one.end_s] for one in found.ranges]


@pytest.mark.parametrize(
    ("asked", "end", "lost", "ranges"),
    [
        ((0.0, 4.0), 4.0, [False] * 4, [[0, 4]]),
        ((0.5, 3.5), 4.0, [False] * 4, [[0.5, 3.5]]),
        ((0.0, 9.0), 4.0, [False] * 4, [[0, 4]]),
        ((0.0, 4.0), 4.0, [False, True, False, False], [[0, 1], [2, 4]]),
        ((0.0, 4.0), 4.0, [True, False, False, True], [[1, 3]]),
    ],
    ids=["all", "a part", "beyond the cut", "a hole", "both ends"],
)
def test_a_frame_stands_for_the_time_to_the_next(
    asked: tuple[float, float], end: float, lost: list[bool], ranges: list[list[float]]
) -> None:
    """Ranges are half-open, join where frames follow one another, and stay within what was asked."""
    assert covered(asked, end, lost) == ranges


def test_what_is_missing_is_named() -> None:
    """Complete means that no frame is lost and nothing lies beyond the cut; lost frames keep their times."""
    times, none = np.array([0.0, 1.0]), np.array([False, False])
    assert coverage((0, 2), 2, times, none).complete
    assert not coverage((0, 3), 2, times, none).complete
    holed = coverage((0, 2), 2, times, np.array([False, True]))
    assert (holed.complete, holed.missing_pts_seconds) == (False, (1.0,))


def test_windows_together_cover_what_each_covers() -> None:
    """Ranges that touch or overlap are one, lost frames are named once, a window passed over is a gap."""

    def window(start: float, end: float, *missing: float) -> Coverage:
        there = (TimeRange(start_s=start, end_s=end),)
        whole = not missing
        return Coverage(complete=whole, start_s=start, end_s=end, ranges=there, missing_pts_seconds=missing)

    joined = over_windows((0, 9), [window(0, 3), window(2, 5, 4.5), window(6, 9)], all_there=False)
    assert [(one.start_s, one.end_s) for one in joined.ranges] == [(0, 5), (6, 9)]
    assert (joined.complete, joined.missing_pts_seconds) == (False, (4.5,))
    assert over_windows((0, 9), [window(0, 5), window(5, 9)], all_there=True).complete
    assert not over_windows((0, 9), [window(0, 5), window(5, 8, 8.5)], all_there=True).complete

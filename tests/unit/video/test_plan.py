"""Plans for packets that are written out: K keyframe, P and B by their pts."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serve_app.video.index import UNSET, Header, Packets, VideoIndex, build
from serve_app.video.plan import SEEK_GAP_PACKETS, Plan, Stretch, plan, through


def index_of(pts: list[int], keys: set[int], hidden: int = 0) -> VideoIndex:
    """An index of packets with these pts in decode order; ``keys`` are ordinals."""
    count = len(pts)
    flags = np.isin(np.arange(count), list(keys))
    times = np.array(pts, np.int64)
    cut = np.arange(count) < hidden
    none, one = np.full(count, UNSET, np.int64), np.ones(count, np.int64)
    return build(
        Packets(times, none, one, one, flags, cut, np.zeros(count, bool)), Fraction(1), Header(reorders=True)
    )


def chosen(index: VideoIndex, *ordinals: int) -> np.ndarray:
    """Where these packets stand in presentation order."""
    return np.flatnonzero(np.isin(index.ordinals, ordinals))


CLOSED = index_of([0, 2, 1, 3, 5, 4], {0, 3})  # K P B  K P B
OPEN = index_of([0, 3, 1, 2, 6, 4, 5, 7], {0, 4})  # K P B B  K(6) b(4) b(5) P: b refer to both sides


def test_a_frame_starts_at_its_own_keyframe() -> None:
    """Nothing before the keyframe and nothing after the frame is decoded."""
    assert plan(CLOSED, chosen(CLOSED, 4), skip=True) == Plan((Stretch(3, 4, frozenset({4})),), skip=True)


def test_the_tail_of_a_gop_is_left_out() -> None:
    """Between the last frame chosen in a GOP and the next keyframe nothing is decoded."""
    stretches = plan(CLOSED, chosen(CLOSED, 0, 3), skip=True).stretches
    assert stretches == (Stretch(0, 0, frozenset({0})), Stretch(3, 3, frozenset({3})))


def test_neighbouring_gops_are_one_stretch() -> None:
    """Where nothing can be left out the decoder runs through."""
    assert plan(CLOSED, chosen(CLOSED, 2, 3), skip=False).stretches == (Stretch(0, 3, frozenset({2, 3})),)


def test_leading_frames_of_an_open_gop_start_a_gop_earlier() -> None:
    """A frame behind a keyframe in decode order but before it on screen may refer to the GOP before."""
    assert plan(OPEN, chosen(OPEN, 5), skip=True).stretches == (Stretch(0, 5, frozenset({5})),)


def test_trailing_frames_of_an_open_gop_need_only_their_keyframe() -> None:
    """What is shown after the keyframe refers to nothing before it."""
    assert plan(OPEN, chosen(OPEN, 7), skip=True).stretches == (Stretch(4, 7, frozenset({7})),)


def test_a_later_frame_that_starts_earlier_takes_the_others_along() -> None:
    """A keyframe and its leading frame are decoded in one go, from the GOP before."""
    assert plan(OPEN, chosen(OPEN, 4, 5), skip=True).stretches == (Stretch(0, 5, frozenset({4, 5})),)


def test_far_keyframes_are_sought_and_near_ones_read_up_to() -> None:
    """A seek is made where it saves more reading than it costs."""
    gop, count = SEEK_GAP_PACKETS, 4 * SEEK_GAP_PACKETS
    index = index_of(list(range(count)), set(range(0, count, gop)))
    stretches = plan(index, np.array([0, gop, 3 * gop]), skip=True).stretches
    assert [(s.start, s.seek) for s in stretches] == [(0, False), (gop, False), (3 * gop, True)]


def test_frames_behind_hidden_packets_start_at_the_hidden_keyframe() -> None:
    """An edit list that cuts into a GOP hides its keyframe but does not remove it."""
    index = index_of([0, 1, 2, 3], {0}, hidden=2)
    assert plan(index, np.array([0]), skip=True).stretches == (Stretch(0, 2, frozenset({2})),)


def test_without_times_everything_is_decoded() -> None:
    """Frames that can only be counted are counted from the first to the last."""
    index = index_of([UNSET] * 4, {0, 2})
    assert plan(index, np.array([1]), skip=True) == Plan((Stretch(0, 3, frozenset({1})),), whole=True)


def test_through_starts_at_the_first_keyframe() -> None:
    """The slow way decodes all that can be decoded, and skips nothing."""
    index = index_of([0, 1, 2, 3], {1, 3})
    assert through(index, np.array([0, 2])) == Plan((Stretch(1, 3, frozenset({1, 3})),), whole=True)


@given(
    gops=st.lists(st.integers(1, 12), min_size=1, max_size=20),
    picks=st.sets(st.integers(0, 1000), min_size=1, max_size=30),
)
def test_stretches_cover_each_chosen_frame_once_and_start_at_keyframes(
    gops: list[int], picks: set[int]
) -> None:
    """Whatever is chosen: stretches rise, do not overlap, and together hold exactly the chosen frames."""
    starts = np.cumsum([0, *gops])
    index = index_of(list(range(int(starts[-1]))), set(starts[:-1].tolist()))
    wanted = sorted({pick % len(index) for pick in picks})
    stretches = plan(index, np.array(wanted), skip=True).stretches
    assert sorted(o for s in stretches for o in s.wanted) == wanted
    assert all(s.start in starts and s.last == max(s.wanted) >= min(s.wanted) >= s.start for s in stretches)
    assert all(b.start > a.last for a, b in itertools.pairwise(stretches))

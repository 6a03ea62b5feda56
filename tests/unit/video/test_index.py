"""The index, built from packets that are written out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from serve_app.video.index import UNSET, Header, Packets, build

TB = Fraction(1, 10)
HONEST = Header(frames=4, duration_s=0.4, fps=10.0)


@dataclass(frozen=True)
class P:
    """One packet."""

    pts: int
    dts: int = UNSET
    duration: int = 1
    key: bool = False
    hidden: bool = False
    corrupt: bool = False


def packets(*given: P) -> Packets:
    """The packets as arrays."""
    return Packets(
        np.array([p.pts for p in given], np.int64),
        np.array([p.dts for p in given], np.int64),
        np.array([p.duration for p in given], np.int64),
        np.full(len(given), 100, np.int64),
        np.array([p.key for p in given]),
        np.array([p.hidden for p in given]),
        np.array([p.corrupt for p in given]),
    )


def test_frames_are_in_presentation_order() -> None:
    """Packets in decode order I P B B become frames I B B P, and the index leads back."""
    index = build(packets(P(0, key=True), P(3), P(1), P(2)), TB, HONEST)
    assert index.pts_seconds.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert index.ordinals.tolist() == [0, 2, 3, 1]
    assert index.start_seconds == 0.0
    assert index.end_seconds == pytest.approx(0.4)
    assert index.fps == pytest.approx(10)
    assert index.warnings == ()


def test_times_are_not_shifted_to_zero() -> None:
    """A stream that starts at 100 s starts at 100 s."""
    index = build(packets(P(1000, key=True), P(1001), P(1002), P(1003)), TB, HONEST)
    assert index.start_seconds == 100.0
    assert index.duration_seconds == pytest.approx(0.4)


def test_hidden_packets_are_not_frames() -> None:
    """What an edit list cuts away is decoded but never chosen."""
    index = build(packets(P(0, key=True, hidden=True), P(1, hidden=True), P(2), P(3)), TB, HONEST)
    assert index.pts_seconds.tolist() == [0.2, 0.3]
    assert index.ordinals.tolist() == [2, 3]


def test_a_recording_joined_in_the_middle_starts_at_its_first_keyframe() -> None:
    """Packets before the first keyframe refer to what is not there."""
    index = build(packets(P(0), P(1), P(2, key=True), P(3)), TB, HONEST)
    assert index.ordinals.tolist() == [2, 3]


def test_the_last_frame_without_duration_lasts_as_long_as_the_others() -> None:
    """The end is guessed from the usual gap."""
    index = build(packets(P(0, key=True), P(2), P(4), P(6, duration=0)), TB, HONEST)
    assert index.end_seconds == pytest.approx(0.8)


@pytest.mark.parametrize(("fps", "end"), [(5.0, 0.2), (None, 0.04)])
def test_a_single_frame_without_duration_still_lasts(fps: float | None, end: float) -> None:
    """One frame's end comes from the header's rate, else it is 40 ms."""
    index = build(packets(P(0, duration=0, key=True)), TB, Header(frames=1, duration_s=0.1, fps=fps))
    assert index.end_seconds == pytest.approx(end)
    assert index.fps is None


def test_dts_stands_in_for_pts_where_nothing_is_reordered() -> None:
    """A container without pts is fine as long as frames are shown as they are decoded."""
    index = build(packets(P(UNSET, 0, key=True), P(UNSET, 1), P(UNSET, 2), P(UNSET, 3)), TB, HONEST)
    assert index.timed
    assert index.pts_seconds.tolist() == [0.0, 0.1, 0.2, 0.3]


def test_times_that_jump_back_go_on_behind_and_one_wrong_time_is_no_jump() -> None:
    """Five packets at 100 and five at 0 follow each other; among them one wrong dts moves nothing."""
    given = [P(at, at, key=at % 100 == 0) for at in (*range(100, 105), *range(5))]
    index = build(packets(*given), TB, Header(fps=10.0))
    assert index.pts_seconds.tolist() == pytest.approx([10 + n / 10 for n in range(10)])
    assert index.warnings[0].startswith("the container's times jump back 1 time: ")
    for wrong in (-900, 900):
        odd = [P(at, wrong if at == 5 else at, key=at == 0) for at in range(10)]
        index = build(packets(*odd), TB, Header(duration_s=1.0, fps=10.0))
        assert index.pts_seconds.tolist() == pytest.approx([n / 10 for n in range(10)])
        assert index.warnings == ()


def test_few_times_measure_the_rate_that_the_header_gets_wrong() -> None:
    """Two pts, 40 packets apart and four seconds, say ten frames per second, whatever FFmpeg guessed."""
    given = [P({0: 50, 40: 90}.get(at, UNSET), key=at == 0) for at in range(41)]
    index = build(packets(*given), TB, Header(duration_s=4.1, fps=5.0, nominal_fps=5.0, reorders=True))
    assert index.pts_seconds.tolist() == pytest.approx([5 + at / 10 for at in range(41)])
    assert index.warnings == ("39 of 41 packets have no pts; times are counted at 10.000 fps from 5.000 s",)


def test_times_at_the_ends_of_the_range_are_no_error() -> None:
    """Spoilt times as far apart as 64 bits allow: an index comes out."""
    far = 2**63 - 9
    given = [P(sign * far, sign * far - n, key=True) for sign in (1, -1) for n in (4, 3, 2, 1)]
    assert len(build(packets(*given, P(UNSET), *given), TB, Header(reorders=True))) > 0


def test_without_any_times_frames_are_counted_and_it_is_said() -> None:
    """No pts and reordering: times come from the nominal rate, with a warning."""
    header = Header(duration_s=1.0, fps=25.0, nominal_fps=4.0, reorders=True)
    index = build(packets(P(UNSET, key=True), P(UNSET), P(UNSET), P(UNSET)), TB, header)
    assert not index.timed
    assert index.pts_seconds.tolist() == [0.0, 0.25, 0.5, 0.75]
    assert index.warnings == ("the container has no usable pts; times are counted at 4.000 fps",)


@pytest.mark.parametrize(
    ("header", "warning"),
    [
        (Header(9, 0.4, 10.0), "the header says 9 frames, 4 were found"),
        (Header(4, 9.0, 10.0), "the header says 9.000 s, the frames cover 0.400 s"),
        (Header(4, 0.4, 60.0), "the header says 60.000 fps, the frames average 10.000 fps"),
        (Header(4, None, 10.0), "the header names no duration, 0.400 s were found"),
        (Header(4, 0.4, None), "the header names no frame rate"),
    ],
)
def test_a_header_that_is_wrong_is_reported(header: Header, warning: str) -> None:
    """Counts, durations and rates that disagree with the packets are put into words."""
    assert build(packets(P(0, key=True), P(1), P(2), P(3)), TB, header).warnings == (warning,)


def test_no_keyframe_at_all_is_reported() -> None:
    """A stream without a marked keyframe is tried from its first packet."""
    index = build(packets(P(0), P(1), P(2), P(3)), TB, HONEST)
    assert len(index) == 4
    assert index.warnings == ("no packet is marked as a keyframe",)


def test_nothing_to_show_is_an_error() -> None:
    """All packets hidden: there is no index."""
    with pytest.raises(ValueError, match="no packet can be shown"):
        build(packets(P(0, key=True, hidden=True)), TB, HONEST)


def test_an_index_can_be_narrowed_and_prints_short() -> None:
    """Frames that never came out are left out; the repr holds no arrays."""
    index = build(packets(P(0, key=True), P(3), P(1), P(2)), TB, HONEST).only(np.array([0, 3], np.int64))
    assert index.pts_seconds.tolist() == [0.0, 0.2]
    assert repr(index) == "VideoIndex(2 frames, 0.000 s to 0.400 s)"

"""The strategies beside fps, num_frames and interval, and the bounds that all of them keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_app.errors import NoFramesError
from serve_app.schema import (
    CaptionRequest,
    FpsSampling,
    IntervalSampling,
    KeyframesSampling,
    TimesSampling,
    UniformSampling,
)
from serve_app.video.sampling import bounded, choose, thinned

TEN_FPS = np.arange(20) / 10  # 2 seconds
EVERY_EIGHTH = np.arange(20) % 8 == 0


@pytest.mark.parametrize(
    ("segments", "indices"),
    [(1, [10]), (2, [5, 15]), (3, [3, 10, 16]), (4, [2, 7, 12, 17]), (20, list(range(20)))],
)
def test_uniform_takes_the_middles_of_equal_segments(segments: int, indices: list[int]) -> None:
    """At a constant rate ``floor((k + 1/2) m / n)``: neither the first nor the last frame of a long video."""
    assert choose(TEN_FPS, 2.0, UniformSampling(segments=segments)).tolist() == indices


def test_uniform_beyond_the_video_takes_all_once() -> None:
    """Fewer frames than segments: each one, none twice."""
    assert choose(TEN_FPS, 2.0, UniformSampling(segments=21)).tolist() == list(range(20))


def test_uniform_goes_by_time() -> None:
    """Of a video that stands still for long, the middle of a segment may fall on one and the same frame."""
    times = np.array([0.0, 0.1, 0.2, 9.0])
    assert choose(times, 10.0, UniformSampling(segments=2)).tolist() == [2, 3]
    assert choose(times, 10.0, UniformSampling(segments=2), 9.0, 10.0).tolist() == [3]


@given(total=st.integers(1, 500), segments=st.integers(1, 100), rate=st.sampled_from([10, 24, 25, 30, 60]))
def test_uniform_is_exact_at_a_constant_rate(total: int, segments: int, rate: int) -> None:
    """Whole numbers say the same as times do."""
    expected = [(2 * k + 1) * total // (2 * segments) for k in range(segments)]
    chosen = choose(np.arange(total) / rate, total / rate, UniformSampling(segments=segments))
    assert chosen.tolist() == (expected if total > segments else list(range(total)))


def test_keyframes_are_those_that_are_flagged() -> None:
    """All of them in the range, or as many of them as allowed, evenly."""
    flags = {"keyframe": EVERY_EIGHTH}
    assert choose(TEN_FPS, 2.0, KeyframesSampling(), **flags).tolist() == [0, 8, 16]
    assert choose(TEN_FPS, 2.0, KeyframesSampling(), 0.5, 1.6, **flags).tolist() == [8]
    assert choose(TEN_FPS, 2.0, KeyframesSampling(max_frames=2), **flags).tolist() == [0, 16]
    assert choose(TEN_FPS, 2.0, KeyframesSampling(frame_factor=2), **flags).tolist() == [0, 16]


def test_a_range_without_keyframes_still_shows_something() -> None:
    """Fewer keyframes than min_frames: as many frames as that, spread over the range."""
    flags = {"keyframe": EVERY_EIGHTH}
    assert choose(TEN_FPS, 2.0, KeyframesSampling(), 0.1, 0.8, **flags).tolist() == [4]
    assert choose(TEN_FPS, 2.0, KeyframesSampling(min_frames=4), **flags).tolist() == [0, 6, 13, 19]


def test_times_are_the_frames_shown_then() -> None:
    """In any order, each frame once; a time between two frames is the earlier one's."""
    assert choose(TEN_FPS, 2.0, TimesSampling(times_s=(1.55, 0.0, 0.31, 0.3, 1.99))).tolist() == [
        0,
        3,
        15,
        19,
    ]
    assert choose(TEN_FPS, 2.0, TimesSampling(times_s=(0.7, 0.5)), 0.5, 1.0).tolist() == [5, 7]


@pytest.mark.parametrize(
    ("times", "told"), [((0.5, 2.0), "2.000"), ((0.5, 7.25), "7.250"), ((0.2,), "0.200")]
)
def test_a_time_outside_the_range_is_named(times: tuple[float, ...], told: str) -> None:
    """Nothing else is shown in its place."""
    with pytest.raises(
        NoFramesError, match=rf"no frame is shown at {told} s: the range is 0\.300 s to 2\.000 s"
    ):
        choose(TEN_FPS, 2.0, TimesSampling(times_s=times), 0.3)


@pytest.mark.parametrize(
    ("sampling", "count"),
    [
        (FpsSampling(fps=2, frame_factor=3), 3),
        (FpsSampling(fps=2, frame_factor=4), 4),
        (FpsSampling(fps=2, min_frames=5, frame_factor=4), 8),
        (FpsSampling(fps=10, max_frames=15, frame_factor=4), 12),
        (IntervalSampling(every_s=1.5, frame_factor=2), 2),
        (IntervalSampling(every_s=1.5, min_frames=3, frame_factor=2), 4),
        (IntervalSampling(every_s=100, frame_factor=8), 8),
        (IntervalSampling(every_s=100, frame_factor=32), 20),
    ],
)
def test_the_number_of_frames_is_a_multiple_of_the_factor(
    sampling: FpsSampling | IntervalSampling, count: int
) -> None:
    """Rounded down, never below one factor, and all frames of a video that has fewer."""
    assert len(choose(TEN_FPS, 2.0, sampling)) == count


@given(count=st.floats(0, 5000), total=st.integers(1, 5000), data=st.data())
def test_bounds_hold_for_any_count(count: float, total: int, data: st.DataObject) -> None:
    """Whatever is wanted: a multiple of the factor within the bounds, unless the video is shorter."""
    high = data.draw(st.integers(1, 4096))
    low, factor = data.draw(st.integers(1, high)), data.draw(st.integers(1, min(high, 64)))
    taken = bounded(count, total, FpsSampling(min_frames=low, max_frames=high, frame_factor=factor))
    assert 1 <= taken <= min(high, total)
    assert taken % factor == 0 or taken == total < factor
    assert taken >= min(low // factor * factor, total // factor * factor)


def test_a_row_is_thinned_evenly() -> None:
    """Both ends stay, a single one is the middle, and what fits stays as it is."""
    row = np.arange(10, 20)
    assert thinned(row, 10).tolist() == row.tolist()
    assert thinned(row, 4).tolist() == [10, 13, 16, 19]
    assert thinned(row, 7, 3).tolist() == [10, 12, 14, 15, 17, 19]
    assert thinned(row, 1).tolist() == [14]
    assert thinned(row[:2], 9, 4).tolist() == [10, 11]


@given(total=st.integers(1, 300), most=st.integers(1, 300), factor=st.integers(1, 8))
@settings(deadline=None)
def test_what_is_thinned_is_a_part_in_order(total: int, most: int, factor: int) -> None:
    """Never more than allowed, none twice."""
    kept = thinned(np.arange(total) * 2, most, factor)
    assert 1 <= len(kept) <= max(min(total, most), 1)
    assert (np.diff(kept) > 0).all()
    assert set(kept.tolist()) <= set(range(0, 2 * total, 2))


@pytest.mark.parametrize(
    ("given_", "strategy"),
    [
        ({"segments": 8}, "uniform"),
        ({"times_s": [1, 2.5]}, "times"),
        ({"strategy": "keyframes"}, "keyframes"),
        ({"strategy": "scene", "max_frames": 12}, "scene"),
    ],
)
def test_a_request_names_its_strategy_or_its_key(given_: dict[str, object], strategy: str) -> None:
    """The key of a strategy is enough where it has one."""
    request = CaptionRequest.model_validate({"url": "https://example.org/a.mp4", "sampling": given_})
    assert request.sampling is not None
    assert request.sampling.strategy == strategy


@pytest.mark.parametrize(
    "sampling",
    [
        {"times_s": []},
        {"times_s": [-1]},
        {"times_s": [0] * 1025},
        {"times_s": [True]},
        {"segments": 0},
        {"strategy": "fps", "max_frames": 4, "frame_factor": 8},
        {"strategy": "scene", "threshold": 0},
    ],
)
def test_impossible_samplings_are_refused(sampling: dict[str, object]) -> None:
    """Empty, negative, endless or contradictory: no request."""
    with pytest.raises(ValidationError):
        CaptionRequest.model_validate({"url": "https://example.org/a.mp4", "sampling": sampling})

"""Sampling against literals, and against its definition written out naively."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import NoFramesError
from serve_app.schema import FpsSampling, IntervalSampling, NumFramesSampling
from serve_app.video.sampling import choose, spread

TEN_FPS = np.arange(20) / 10  # 2 seconds


def test_fps_takes_the_frame_on_screen_at_each_tick() -> None:
    """At 2 fps over 10 fps video every fifth frame is taken, from the first on."""
    assert choose(TEN_FPS, 2.0, FpsSampling(fps=2)).tolist() == [0, 5, 10, 15]


def test_the_end_is_not_part_of_the_range() -> None:
    """A tick that falls on the end takes nothing."""
    assert choose(TEN_FPS, 2.0, FpsSampling(fps=2), 0.5, 1.5).tolist() == [5, 10]


def test_variable_frame_rate_goes_by_time_not_by_count() -> None:
    """A frame that stands for a second is taken once, however many ticks fall on it."""
    times = np.array([0.0, 0.1, 0.2, 1.2, 1.3])
    assert choose(times, 1.4, FpsSampling(fps=5)).tolist() == [0, 2, 3]


def test_times_stay_the_containers_own() -> None:
    """Ticks count from the first pts, not from zero, and survive binary fractions."""
    times = 1.4 + np.arange(20) / 10
    assert choose(times, 3.4, FpsSampling(fps=2)).tolist() == [0, 5, 10, 15]


def test_before_the_first_frame_nothing_is_shown() -> None:
    """Ticks in a range that opens before the video wait for its first frame."""
    times = 1.0 + np.arange(10) / 10
    assert choose(times, 2.0, FpsSampling(fps=2), 0.0, 5.0).tolist() == [0, 5]


def test_a_range_inside_one_frame_shows_that_frame() -> None:
    """What is on screen counts, even if it came on before the range."""
    times = np.array([0.0, 10.0])
    assert choose(times, 20.0, FpsSampling(fps=1), 3.0, 4.0).tolist() == [0]
    assert choose(times, 20.0, NumFramesSampling(num_frames=3), 3.0, 4.0).tolist() == [0]


def test_interval_is_the_same_rule_in_seconds() -> None:
    """One frame every 0.7 s."""
    assert choose(TEN_FPS, 2.0, IntervalSampling(every_s=0.7)).tolist() == [0, 7, 14]


@pytest.mark.parametrize(
    ("count", "indices"),
    [(1, [10]), (2, [0, 19]), (3, [0, 10, 19]), (4, [0, 6, 13, 19]), (20, list(range(20)))],
)
def test_num_frames_spreads_over_both_ends(count: int, indices: list[int]) -> None:
    """The first and last frame are among them; a single frame is the middle one."""
    assert choose(TEN_FPS, 2.0, NumFramesSampling(num_frames=count)).tolist() == indices


def test_num_frames_beyond_the_video_takes_all_once() -> None:
    """Fewer frames than asked for: each one, none twice."""
    assert choose(TEN_FPS, 2.0, NumFramesSampling(num_frames=500)).tolist() == list(range(20))


@pytest.mark.parametrize("total", [2, 3, 7, 30, 299, 300])
@pytest.mark.parametrize("count", [2, 3, 4, 8, 16])
def test_num_frames_matches_qwen_at_a_constant_rate(total: int, count: int) -> None:
    """At a constant frame rate the indices are Qwen's: linspace, rounded half to even."""
    expected = np.rint(np.linspace(0, total - 1, count)) if total > count else np.arange(total)
    assert spread(np.arange(total) / 29.97, count).tolist() == expected.tolist()


def test_too_many_frames_are_spread_down() -> None:
    """max_frames thins the whole range evenly and never cuts off its end."""
    assert choose(TEN_FPS, 2.0, FpsSampling(fps=10, max_frames=3)).tolist() == [0, 10, 19]


def test_too_few_frames_are_spread_up() -> None:
    """min_frames takes more, evenly, as far as the video has them."""
    assert choose(TEN_FPS, 2.0, FpsSampling(fps=0.5, min_frames=4)).tolist() == [0, 6, 13, 19]
    assert len(choose(TEN_FPS, 2.0, FpsSampling(fps=0.5, min_frames=100))) == 20


@pytest.mark.parametrize(("start", "end"), [(2.0, None), (7.0, 9.0), (None, 0.0)])
def test_an_empty_range_names_its_values(start: float | None, end: float | None) -> None:
    """Nothing in range is an error that says what was asked and what there is."""
    with pytest.raises(NoFramesError, match=r"from \d.*the video runs from 0\.000 s to 2\.000 s"):
        choose(TEN_FPS, 2.0, FpsSampling(fps=1), start, end)


def test_a_forged_time_costs_no_memory() -> None:
    """A pts a century ahead makes two frames, not billions of ticks."""
    times = np.array([0.0, 3e9])
    assert choose(times, 3e9 + 1, FpsSampling(fps=240)).tolist() == [0, 1]


def naive(times: list[Fraction], end: Fraction, fps: Fraction, start: Fraction) -> list[int]:
    """For k = 0, 1, … the last frame whose pts is not later than start + k / fps."""
    taken: list[int] = []
    k = 0
    while (tick := start + k / fps) < end:
        shown = [i for i, pts in enumerate(times) if pts <= tick]
        if shown and shown[-1] not in taken:
            taken.append(shown[-1])
        k += 1
    return taken


@given(
    ticks=st.lists(st.integers(0, 900), min_size=1, max_size=30, unique=True).map(sorted),
    fps=st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(2), Fraction(24), Fraction(30000, 1001)]),
    start=st.integers(0, 950),
    length=st.integers(1, 950),
)
def test_fps_agrees_with_its_definition(ticks: list[int], fps: Fraction, start: int, length: int) -> None:
    """Whatever the frame times and the range, the fast rule and exact fractions choose the same frames."""
    times = [Fraction(tick, 90) for tick in ticks]
    end = times[-1] + Fraction(1, 30)
    low, high = Fraction(start, 90), Fraction(start + length, 90)
    expected = naive(times, min(end, high), fps, low)
    seconds = np.array([float(t) for t in times])
    sampling = FpsSampling(fps=float(fps), max_frames=4096)
    if not expected and (high <= times[0] or low >= end):
        with pytest.raises(NoFramesError):
            choose(seconds, float(end), sampling, float(low), float(high))
    elif expected:
        assert choose(seconds, float(end), sampling, float(low), float(high)).tolist() == expected


@given(
    gaps=st.lists(st.floats(0.001, 100), min_size=1, max_size=200),
    count=st.integers(1, 250),
)
def test_spread_gives_as_many_as_asked_and_none_twice(gaps: list[float], count: int) -> None:
    """However uneven the times: min(count, total) indices, rising, within the video."""
    chosen = spread(np.cumsum(gaps), count)
    assert len(chosen) == min(count, len(gaps))
    assert (np.diff(chosen) > 0).all()
    assert chosen.min() >= 0
    assert chosen.max() < len(gaps)

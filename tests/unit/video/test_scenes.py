"""Where shots begin, and which looks are taken of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.schema import SceneSampling
from serve_app.video.scenes import changes, hsv, pick

QUARTERS = np.arange(40) / 4  # ten seconds, four looks a second


def change_at(places: dict[int, float], total: int = 40) -> np.ndarray:
    change = np.zeros(total)
    change[list(places)] = list(places.values())
    return change


def taken(change: np.ndarray, **said: float) -> list[int]:
    looks: list[int] = pick(np.arange(len(change)) / 4, change, SceneSampling.model_validate(said)).tolist()
    return looks


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (0, 0, 255)),
        ((255, 0, 0), (0, 255, 255)),
        ((0, 255, 0), (60, 255, 255)),
        ((0, 0, 255), (120, 255, 255)),
        ((255, 0, 1), (0, 255, 255)),
        ((200, 100, 150), (165, 127, 200)),
    ],
)
def test_hues_are_halved_degrees(colour: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    """Known colours have OpenCV's 8-bit hue, saturation and value."""
    assert tuple(hsv(np.array([[colour]], np.uint8))[0, 0]) == expected


def test_a_change_is_the_mean_over_colour_and_picture() -> None:
    """From black to white only the value differs, by 255 of three; the first picture differs from none."""
    pictures = np.zeros((3, 4, 4, 3), np.uint8)
    pictures[2] = 255
    assert changes(pictures).tolist() == [0, 0, 85]


def test_each_shot_has_its_middle_look() -> None:
    """Three still shots: one frame of each, none at its edges."""
    assert taken(change_at({10: 50, 20: 50})) == [5, 15, 30]


def test_the_first_change_begins_nothing() -> None:
    """There is no picture before it."""
    assert taken(change_at({0: 90})) == [20]


def test_more_is_shown_where_more_changes() -> None:
    """A shot that moves gets a frame for each threshold of change, a still one gets one."""
    change = change_at({20: 60})
    change[21:] = 10.0  # 190 in all: seven thresholds
    chosen = taken(change)
    assert [look for look in chosen if look < 20] == [10]
    assert len([look for look in chosen if look >= 20]) == 8


def test_within_a_shot_frames_follow_the_change() -> None:
    """Where all change is in the second half, so are all frames but the first."""
    change = np.zeros(40)
    change[20:] = 6.0
    chosen = taken(change)
    assert len(chosen) == 5
    assert min(chosen) >= 20


def test_max_frames_spares_every_shot_as_long_as_it_can() -> None:
    """What moves gives way first; with more shots than frames, shots are taken evenly."""
    change = change_at({10: 60, 20: 60})
    change[21:] = 20.0
    assert [look // 10 for look in taken(change, max_frames=4)].count(0) == 1
    assert len(taken(change, max_frames=4)) == 4
    assert taken(change, max_frames=3) == [5, 15, pytest.approx(30, abs=1)]
    assert taken(change_at({8: 60, 16: 60, 24: 60, 32: 60}), max_frames=3) == [4, 20, 36]


def test_min_frames_fills_up_in_time() -> None:
    """A still video shows what was asked for at least, none twice."""
    chosen = taken(np.zeros(40), min_frames=5)
    assert len(set(chosen)) == 5
    assert 20 in chosen


def test_the_factor_costs_no_shot_its_frame() -> None:
    """Three shots and a factor of two: four frames, one of each shot among them."""
    chosen = taken(change_at({10: 50, 20: 50}), frame_factor=2)
    assert len(chosen) == 4
    assert {0, 1, 2} <= {min(look // 10, 2) for look in chosen}


@given(
    change=st.lists(st.floats(0, 255), min_size=1, max_size=200),
    low=st.integers(1, 50),
    extra=st.integers(0, 50),
    factor=st.integers(1, 4),
)
def test_shots_and_bounds_hold_for_any_change(change: list[float], low: int, extra: int, factor: int) -> None:
    """Rising, none twice, within the bounds, and one of each shot wherever the bounds have room for it."""
    high = max(low + extra, factor)
    scene = SceneSampling(min_frames=low, max_frames=high, frame_factor=factor)
    looks = np.array(change)
    chosen = pick(np.arange(len(looks)) / 4, looks, scene)
    assert (np.diff(chosen) > 0).all()
    assert 1 <= len(chosen) <= min(high, len(looks))
    shot_of = np.concatenate(([0], np.cumsum(looks[1:] >= scene.threshold)))
    if shot_of[-1] + 1 <= min(high, len(looks)) // factor * factor:
        assert len(set(shot_of[chosen].tolist())) == shot_of[-1] + 1


def test_the_same_changes_give_the_same_frames() -> None:
    """Nothing is left to chance."""
    change = np.random.default_rng(5).uniform(0, 60, 40)
    scene = SceneSampling(max_frames=12)
    assert pick(QUARTERS, change, scene).tolist() == pick(QUARTERS, change, scene).tolist()

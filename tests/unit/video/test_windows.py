"""Windows of a range, in seconds that are written out."""

from __future__ import annotations

import math

import pytest

from serve_app.errors import VideoRefusedError
from serve_app.video.windows import Windowing, windows


@pytest.mark.parametrize(
    ("start", "end", "length", "overlap", "expected"),
    [
        (0, 60, 30, 0, [(0, 30), (30, 60)]),
        (0, 70, 30, 0, [(0, 30), (30, 60), (60, 70)]),
        (5, 20, 30, 0, [(5, 20)]),
        (0, 60, 30, 10, [(0, 30), (20, 50), (40, 60)]),
        (0, 50, 30, 10, [(0, 30), (20, 50)]),
        (0, 5, 30, 10, [(0, 5)]),
        (0, 60 + 1e-9, 30, 0, [(0, 30), (30, 60 + 1e-9)]),
    ],
)
def test_windows_cover_a_range(
    start: float, end: float, length: float, overlap: float, expected: list[tuple[float, float]]
) -> None:
    """From start to end without a gap; none lies within another; noise makes no window."""
    found = windows(start, end, length, overlap)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("length", [0, -1, math.inf, math.nan])
def test_a_length_that_cannot_be_is_named(length: float) -> None:
    """The refusal tells the value and what is allowed."""
    with pytest.raises(ValueError, match=f"^length_s must be above 0 and finite, is {length:g}$"):
        windows(0, 60, length)


@pytest.mark.parametrize("overlap", [-0.5, 30, 31])
def test_an_overlap_that_cannot_be_is_named(overlap: float) -> None:
    """An overlap as long as a window would never end."""
    with pytest.raises(
        ValueError, match=f"^overlap_s must be at least 0 and below length_s 30, is {overlap:g}$"
    ):
        windows(0, 60, 30, overlap)


def test_too_many_windows_are_refused_before_they_are_made() -> None:
    """The message says how many there are and how many may be; so many may."""
    windowing = Windowing(length_s=30, overlap_s=10, from_s=0, in_flight=1, most=3)
    assert len(windowing.of(0, 70)) == 3
    with pytest.raises(VideoRefusedError, match=r"^the video has 50,000,000 windows, 3 are allowed"):
        windowing.of(0, 1e9)


@pytest.mark.parametrize(
    ("end", "length", "expected"),
    [
        (60.9, 30, [(0, 30), (30, 60.9)]),
        (61, 30, [(0, 30), (30, 60), (60, 61)]),
        (0.5, 30, [(0, 0.5)]),
        (2.4, 1, [(0, 1), (1, 2.4)]),
        (2.5, 1, [(0, 1), (1, 2), (2, 2.5)]),
    ],
)
def test_a_short_rest_is_no_window(end: float, length: float, expected: list[tuple[float, float]]) -> None:
    """It belongs to the window before it."""
    assert list(Windowing(length, 0, from_s=0, in_flight=1, most=9).of(0, end)) == expected

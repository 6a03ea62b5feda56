"""Sizes and turns of pictures."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import VideoRefusedError
from serve_app.settings import GeometrySettings
from serve_app.video.geometry import (
    QUARTER_TURNS,
    FixedSize,
    Orientation,
    display_size,
    orientation,
    resized,
    target_size,
)


@pytest.mark.parametrize(
    ("size", "budget", "expected"),
    [
        ((1920, 1080), (3136, 200_704), (588, 336)),
        ((1280, 720), (3136, 200_704), (588, 336)),
        ((720, 1280), (3136, 200_704), (336, 588)),
        ((640, 480), (3136, 200_704), (504, 364)),
        ((640, 480), (3136, 12_845_056), (644, 476)),
        ((20, 20), (3136, 200_704), (56, 56)),
        ((100, 10), (3136, 200_704), (112, 28)),
    ],
)
def test_sizes_follow_qwens_rule(
    size: tuple[int, int], budget: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Known sizes come out as Qwen's own code has them with a factor of 28."""
    assert resized(*size, factor=28, min_pixels=budget[0], max_pixels=budget[1]) == expected


@given(width=st.integers(1, 9000), height=st.integers(1, 9000), factor=st.sampled_from([1, 28, 32]))
def test_sizes_are_multiples_and_within_the_budget(width: int, height: int, factor: int) -> None:
    """Both sides are multiples of the factor; the area keeps its bounds unless a side is the factor."""
    if max(width, height) > 200 * min(width, height):
        with pytest.raises(VideoRefusedError):
            resized(width, height, factor=factor, min_pixels=3136, max_pixels=200_704)
        return
    wide, high = resized(width, height, factor=factor, min_pixels=3136, max_pixels=200_704)
    assert wide % factor == high % factor == 0
    assert wide * high >= 3136
    assert wide * high <= 200_704 or factor in (wide, high)


def test_too_long_a_picture_is_refused() -> None:
    """An aspect ratio above 200 is an error that names the size."""
    with pytest.raises(VideoRefusedError, match="2010x10 has an aspect ratio above 200"):
        target_size(2010, 10, GeometrySettings())


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (FixedSize(), (640, 360)),
        (FixedSize(width=320), (320, 180)),
        (FixedSize(height=90), (160, 90)),
        (FixedSize(10, 20), (10, 20)),
    ],
)
def test_a_missing_side_follows_the_aspect_ratio(asked: FixedSize, expected: tuple[int, int]) -> None:
    """One side given: the other keeps the shape. Both: taken as they are."""
    assert target_size(640, 360, asked) == expected


def test_impossible_sides_are_refused() -> None:
    """A side outside 1 to 16384 is an error, given or derived."""
    with pytest.raises(ValueError, match="width must be 1 to 16384, is 0"):
        FixedSize(width=0)
    with pytest.raises(VideoRefusedError, match="a side above 16384"):
        target_size(100, 1, FixedSize(height=1000))


def test_pixels_that_are_not_square_widen_the_picture() -> None:
    """A sample aspect ratio stretches the width, before a turn swaps the sides."""
    assert display_size(720, 576, Fraction(16, 11), Orientation()) == (1047, 576)
    assert display_size(720, 576, Fraction(16, 11), QUARTER_TURNS[1]) == (576, 1047)
    assert display_size(720, 576, None, Orientation()) == (720, 576)


@pytest.mark.parametrize(
    ("matrix", "rotation"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1), 0),
        ((0, 1, 0, -1, 0, 0, 0, 0, 1), 90),
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), 180),
        ((0, -1, 0, 1, 0, 0, 0, 0, 1), 270),
    ],
)
def test_display_matrices_turn_clockwise(matrix: tuple[int, ...], rotation: int) -> None:
    """The four quarter turns of a display matrix are told apart, in degrees clockwise."""
    turn = orientation([65536 * value for value in matrix])
    assert turn.rotation == rotation
    assert turn == QUARTER_TURNS[rotation // 90]


def test_a_turn_moves_the_corner_where_the_matrix_says() -> None:
    """Swapping axes and flipping, as an orientation asks, is a turn of the pixels."""
    picture = np.arange(6).reshape(2, 3)
    for quarter, turn in enumerate(QUARTER_TURNS):
        shown = picture.T if turn.transpose else picture
        shown = shown[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]
        assert (shown == np.rot90(picture, -quarter)).all()


@pytest.mark.parametrize(
    ("axes", "turn", "rotation"),
    [
        ((-1, 0, 0, 1), Orientation(flip_x=True), 0),
        ((1, 0, 0, -1), Orientation(flip_y=True), 0),
        ((0, 1, 1, 0), Orientation(transpose=True), 90),
        ((0, -1, -1, 0), Orientation(transpose=True, flip_x=True, flip_y=True), 270),
    ],
)
def test_a_mirrored_picture_is_flipped_and_not_said_to_be_turned(
    axes: tuple[int, int, int, int], turn: Orientation, rotation: int
) -> None:
    """A negative determinant is a flip; what is turned beside it is told, and a flip alone is no turn."""
    a, b, c, d = axes
    found = orientation([65536 * value for value in (a, b, 0, c, d, 0, 0, 0, 1)])
    assert (found, found.rotation, found.mirrored) == (turn, rotation, True)
    assert not any(quarter.mirrored for quarter in QUARTER_TURNS)


def test_a_matrix_of_zeros_changes_nothing() -> None:
    """A broken display matrix leaves the picture as it is stored."""
    assert orientation([0] * 9) == Orientation()

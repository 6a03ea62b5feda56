"""Frames: what they accept and how they print."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.video.frames import Frames


def test_shape_and_times_are_kept() -> None:
    """Sizes are read from the pixels, times stay as given."""
    frames = Frames(np.zeros((2, 3, 5, 3), np.uint8), np.array([0.5, 1.0]))
    assert (len(frames), frames.width, frames.height) == (2, 5, 3)


def test_repr_holds_no_pixels() -> None:
    """A log line with frames in it stays short."""
    frames = Frames(np.zeros((2, 300, 500, 3), np.uint8), np.array([0.5, 1.0]))
    assert repr(frames) == "Frames(2 of 500x300, 0.500 s to 1.000 s)"


@pytest.mark.parametrize(
    ("data", "times"),
    [
        (np.zeros((1, 2, 2, 3), np.float32), np.array([0.0])),
        (np.zeros((1, 2, 2, 4), np.uint8), np.array([0.0])),
        (np.zeros((2, 2, 3), np.uint8), np.array([0.0])),
        (np.zeros((1, 2, 2, 3), np.uint8), np.array([0.0, 1.0])),
        (np.zeros((1, 2, 2, 3), np.uint8), np.array([0])),
        (np.zeros((1, 2, 2, 3), np.uint8), np.array([np.nan])),
        (np.zeros((2, 2, 2, 3), np.uint8), np.array([1.0, 0.5])),
    ],
)
def test_wrong_shapes_and_times_are_refused(data: np.ndarray, times: np.ndarray) -> None:
    """A wrong type, shape or order is found where the frames are made."""
    with pytest.raises(ValueError, match=r"data must be|pts_seconds must be"):
        Frames(data, times)

"""A video's true times, as models' processors are told them."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.engines.protocol import Prompt
from serve_app.engines.times import Times


def times(pts: tuple[float, ...], start_s: float, duration_s: float) -> Times:
    frames = np.zeros((len(pts), 2, 2, 3), np.uint8)
    return Times.of(Prompt(frames, pts, duration_s, "describe", "", start_s=start_s))


def test_times_are_counted_from_the_start_of_the_stretch() -> None:
    """Uneven ones too, and the mean rate is that of the frames taken: 3 of 2 s."""
    made = times((10.0, 10.04, 11.9), 10.0, 2.0)
    assert made.frames_indices == (0, 40, 1900)
    assert (made.fps, made.duration, made.total_num_frames) == (1000.0, 2.0, 2000)
    assert len(made.frames_indices) / made.total_num_frames * made.fps == pytest.approx(1.5)


def test_places_stay_within_the_video() -> None:
    """One picture without a length, and a frame that is shown from before the stretch."""
    assert times((5.0,), 5.0, 0.0).frames_indices == (0,)
    assert times((4.9, 7.0), 5.0, 2.0).frames_indices == (0, 1999)

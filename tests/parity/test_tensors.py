"""Frames as torch's tensors, where torch is."""

from __future__ import annotations

import numpy as np

from serve_app.video import outputs
from serve_app.video.frames import Frames


def test_a_tensor_shares_the_memory() -> None:
    """What is written into the tensor stands in the array; memory that is read-only is copied."""
    frames = Frames(np.zeros((3, 6, 8, 3), np.uint8), np.array([0.0, 0.5, 1.0]))
    tensor = outputs.torch(frames)
    assert tuple(tensor.shape) == (3, 3, 6, 8)
    tensor[0, 0, 0, 0] = 7
    assert frames.data[0, 0, 0, 0] == 7
    assert tuple(outputs.torch(frames, "THWC").shape) == (3, 6, 8, 3)
    frames.data.flags.writeable = False
    outputs.torch(frames)[0, 0, 0, 0] = 9
    assert frames.data[0, 0, 0, 0] == 7

"""Changes of the picture against PySceneDetect and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from serve_app.video.scenes import changes, hsv


def test_colours_are_those_of_opencv() -> None:
    """A million colours and all greys have the hue, saturation and value that OpenCV gives them."""
    dice = np.random.default_rng(21)
    colours = dice.integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    greys = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    near = np.minimum(greys.astype(np.int32) + dice.integers(0, 3, greys.shape), 255).astype(np.uint8)
    for pictures in (colours, greys, near):
        assert (hsv(pictures) == cv2.cvtColor(pictures, cv2.COLOR_RGB2HSV)).all()


def test_changes_are_pyscenedetects() -> None:
    """3000 small pictures, still, noisy, fading and cut: the change is its content value each time."""
    dice = np.random.default_rng(22)
    ground = dice.integers(0, 256, (3000, 1, 1, 3))
    held = np.repeat(ground[::60], 60, axis=0)
    noise = dice.normal(0, np.repeat(dice.uniform(0, 20, 300), 10)[:, None, None, None], (3000, 18, 32, 3))
    pictures = np.clip(held + noise + np.linspace(0, 40, 3000)[:, None, None, None], 0, 255).astype(np.uint8)
    detector = ContentDetector()
    ours = changes(pictures)
    for place, picture in enumerate(pictures):
        detector.process_frame(FrameTimecode(place, 25.0), np.ascontiguousarray(picture[..., ::-1]))
        if place:
            assert detector._frame_score is not None
            assert abs(ours[place] - detector._frame_score) < 1e-9
    assert (ours >= 27).sum() > 30

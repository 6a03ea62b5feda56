"""A few short clips, made in code: what the demo captions, and where the tests' clips begin."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

Draw = Callable[[int, np.ndarray], None]
WIDTH, HEIGHT, FPS = 320, 240, 25


def encode(path: Path, draw: Draw, frames: int, size: tuple[int, int] = (WIDTH, HEIGHT), fps: int = FPS) -> Path:
    """Write an H.264 MP4; ``draw(index, picture)`` paints each frame (uint8, H x W x 3, RGB, black)."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"preset": "veryfast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = np.zeros((height, width, 3), dtype=np.uint8)
            draw(index, picture)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def square_on(ground: tuple[int, int, int], ink: tuple[int, int, int]) -> Draw:
    """A square that moves to the right over a plain ground."""

    def draw(index: int, picture: np.ndarray) -> None:
        height, width, _ = picture.shape
        side = height // 3
        left = (index * 3) % max(1, width - side)
        picture[:] = ground
        picture[side : 2 * side, left : left + side] = ink

    return draw


def shots(colours: list[tuple[int, int, int]], length: int) -> Draw:
    """Plain colours with a hard cut every ``length`` frames."""

    def draw(index: int, picture: np.ndarray) -> None:
        picture[:] = colours[(index // length) % len(colours)]

    return draw


def write_demo_clips(folder: Path) -> list[Path]:
    """Three clips of 2 to 4 seconds: a white square on red, a dim square on black, two hard cuts."""
    return [
        encode(folder / "square.mp4", square_on((210, 20, 30), (255, 255, 255)), 75),
        encode(folder / "dark.mp4", square_on((0, 0, 0), (70, 70, 90)), 50),
        encode(folder / "cuts.mp4", shots([(30, 60, 220), (255, 230, 40), (30, 150, 50)], 32), 96),
    ]

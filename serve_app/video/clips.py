"""A few short clips, made in code: what the demo captions, and where the tests' clips begin."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Draw = Callable[[int, NDArray[np.uint8]], None]

WIDTH, HEIGHT, FPS = 320, 240, 25
TICKS_PER_SECOND = 90_000
FAST: Mapping[str, str] = {"preset": "veryfast", "crf": "26", "threads": "1"}


@dataclass(frozen=True, slots=True)
class Coding:
    """How a clip is written.

    ``pts_seconds`` gives each frame's time, or they follow the frame rate from zero. ``rotation`` is in
    degrees clockwise and turns the picture only when it is shown. ``container`` is a format's name where
    the path's suffix does not tell.
    """

    codec: str = "libx264"
    fps: int = FPS
    pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: dict(FAST))
    pts_seconds: tuple[float, ...] | None = None
    rotation: int = 0
    mirrored: bool = False
    sample_aspect_ratio: Fraction | None = None
    container: str | None = None
    container_options: Mapping[str, str] = field(default_factory=dict)


def encode(
    path: Path,
    draw: Draw,
    frames: int,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    coding: Coding | None = None,
) -> Path:
    """Write a clip; ``draw(index, picture)`` paints each frame (uint8, H x W x 3, RGB, black)."""
    coding = coding or Coding()
    width, height = size
    options = dict(coding.container_options)
    with av.open(str(path), "w", format=coding.container, options=options) as container:
        stream = container.add_stream(coding.codec, rate=coding.fps, options=dict(coding.options))
        if not isinstance(stream, av.VideoStream):
            raise TypeError(f"codec must be one for video, is {coding.codec!r}")
        stream.width, stream.height, stream.pix_fmt = width, height, coding.pixels
        _describe(stream, coding)
        for index in range(frames):
            picture = np.zeros((height, width, 3), dtype=np.uint8)
            draw(index, picture)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if coding.pts_seconds is not None:
                frame.pts = round(coding.pts_seconds[index] * TICKS_PER_SECOND)
                frame.time_base = Fraction(1, TICKS_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _describe(stream: av.VideoStream, coding: Coding) -> None:
    if coding.pts_seconds is not None:
        stream.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
    if coding.sample_aspect_ratio is not None:
        stream.codec_context.sample_aspect_ratio = coding.sample_aspect_ratio
    if coding.rotation or coding.mirrored:
        stream.set_display_rotation(-coding.rotation, hflip=coding.mirrored)


def square_on(ground: tuple[int, int, int], ink: tuple[int, int, int]) -> Draw:
    """A square that moves to the right over a plain ground."""

    def draw(index: int, picture: NDArray[np.uint8]) -> None:
        height, width, _ = picture.shape
        side = height // 3
        left = (index * 3) % max(1, width - side)
        picture[:] = ground
        picture[side : 2 * side, left : left + side] = ink

    return draw


def shots(colours: list[tuple[int, int, int]], length: int) -> Draw:
    """Plain colours with a hard cut every ``length`` frames."""

    def draw(index: int, picture: NDArray[np.uint8]) -> None:
        picture[:] = colours[(index // length) % len(colours)]

    return draw


def write_demo_clips(folder: Path) -> list[Path]:
    """Three clips of 2 to 4 seconds: a white square on red, a dim square on black, two hard cuts."""
    return [
        encode(folder / "square.mp4", square_on((210, 20, 30), (255, 255, 255)), 75),
        encode(folder / "dark.mp4", square_on((0, 0, 0), (70, 70, 90)), 50),
        encode(folder / "cuts.mp4", shots([(30, 60, 220), (255, 230, 40), (30, 150, 50)], 32), 96),
    ]

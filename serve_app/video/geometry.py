"""How large and which way up a picture is shown. Pure arithmetic, sizes in pixels.

``resized`` follows ``smart_resize`` of Qwen's reference code: both sides become multiples of
``factor``, the area falls between ``min_pixels`` and ``max_pixels``, the aspect ratio is kept as nearly
as that allows, and a ratio above 200 is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from serve_app.errors import VideoRefusedError
from serve_app.settings import GeometrySettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

MAX_ASPECT_RATIO = 200
MAX_SIDE = 16_384


@dataclass(frozen=True, slots=True)
class FixedSize:
    """An exact size; a side left out follows from the other by the aspect ratio, both: as shown.

    Sides are 1 to 16384; ``ValueError`` otherwise.
    """

    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and not 1 <= side <= MAX_SIDE:
                raise ValueError(f"{name} must be 1 to {MAX_SIDE}, is {side}")


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored picture upright: swap its axes if ``transpose``, then flip it."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise, before a mirrored picture is flipped left to right; 0 for a flip alone."""
        if self.transpose:
            return 270 if self.flip_y else 90
        return 180 if self.flip_x and self.flip_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether no turn alone makes it upright: the display matrix has a negative determinant."""
        return self.transpose ^ self.flip_x ^ self.flip_y


QUARTER_TURNS = (  # by 0, 90, 180 and 270 degrees clockwise
    Orientation(),
    Orientation(transpose=True, flip_x=True),
    Orientation(flip_x=True, flip_y=True),
    Orientation(transpose=True, flip_y=True),
)


def orientation(matrix: Sequence[int]) -> Orientation:
    """The nearest quarter turn and flip of a display matrix: nine numbers, row by row.

    A point (x, y) of the stored picture is shown at (a x + c y, b x + d y), y pointing down, where
    a, b are the first two numbers and c, d the fourth and fifth.
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(b) > abs(a):
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Orientation(flip_x=a < 0, flip_y=d < 0)


def display_size(
    width: int, height: int, sample_aspect_ratio: Fraction | None, turned: Orientation
) -> tuple[int, int]:
    """Width and height as shown, of a stored picture whose pixels may not be square."""
    ratio = sample_aspect_ratio or 1
    shown = (max(1, round(width * ratio)), height)
    return (shown[1], shown[0]) if turned.transpose else shown


def target_size(width: int, height: int, size: GeometrySettings | FixedSize) -> tuple[int, int]:
    """Width and height of the frames to hand out, for a picture shown at ``width`` x ``height``.

    ``VideoRefusedError`` for an aspect ratio above 200 or a side above 16384.
    """
    match size:
        case GeometrySettings():
            target = resized(
                width, height, factor=size.factor, min_pixels=size.min_pixels, max_pixels=size.max_pixels
            )
        case FixedSize():
            target = _fixed(width, height, size)
        case _:
            assert_never(size)
    if max(target) > MAX_SIDE:
        raise VideoRefusedError(f"frames of {target[0]}x{target[1]} have a side above {MAX_SIDE}")
    return target


def _fixed(width: int, height: int, size: FixedSize) -> tuple[int, int]:
    if size.width is None and size.height is None:
        return width, height
    wide = size.width or max(1, round((size.height or height) * width / height))
    return wide, size.height or max(1, round(wide * height / width))


def resized(width: int, height: int, *, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Width and height by Qwen's rule; ``VideoRefusedError`` for an aspect ratio above 200."""
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise VideoRefusedError(f"{width}x{height} has an aspect ratio above {MAX_ASPECT_RATIO}")
    wide, high = (max(factor, round(side / factor) * factor) for side in (width, height))
    if wide * high > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        wide, high = (max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height))
    elif wide * high < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        wide, high = (math.ceil(side * grow / factor) * factor for side in (width, height))
    return wide, high

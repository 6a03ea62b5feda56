"""How large and which way up a picture is shown. Pure arithmetic, sizes in pixels.

``resized`` follows ``smart_resize`` of Qwen's reference code: both sides become multiples of
``factor``, the area falls between ``min_pixels`` and ``max_pixels``, the aspect ratio is kept as nearly
as that allows, and a ratio above 200 is refused. A model profile has a size rule of its own; some depend
on the number of frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from serve_app.errors import VideoRefusedError
from serve_app.settings import GeometrySettings
from serve_app.settings.profile import (
    MAX_SIDE,
    ExactSize,
    FitSize,
    PatchSize,
    ShortestEdge,
    SizeRule,
    VolumeSize,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

MAX_ASPECT_RATIO = 200


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


def target_size(
    width: int, height: int, size: GeometrySettings | FixedSize | SizeRule, frames: int = 1
) -> tuple[int, int]:
    """Width and height of ``frames`` frames to hand out, for pictures shown at ``width`` x ``height``.

    ``VideoRefusedError`` for an aspect ratio above 200 or a side above 16384.
    """
    match size:
        case GeometrySettings():
            target = resized(
                width, height, factor=size.factor, min_pixels=size.min_pixels, max_pixels=size.max_pixels
            )
        case FixedSize():
            target = _fixed(width, height, size)
        case PatchSize():
            target = _shared(width, height, size, frames)
        case VolumeSize():
            target = _within_volume(width, height, size, frames)
        case ExactSize():
            target = size.width, size.height
        case ShortestEdge():
            target = _with_shortest(width, height, size.shortest_edge)
        case FitSize():
            target = _fitting(width, height, size)
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


def _shared(width: int, height: int, size: PatchSize, frames: int) -> tuple[int, int]:
    """The rule of qwen-vl-utils: a frame has its share of the video's pixels, but not less than a floor."""
    most: float = size.max_pixels
    if size.total_pixels is not None:
        share = size.total_pixels / frames * size.temporal_factor
        most = min(most, max(min(most, share), int(size.min_pixels * 1.05)))
    return resized(width, height, factor=size.factor, min_pixels=size.min_pixels, max_pixels=most)


def _within_volume(width: int, height: int, size: VolumeSize, frames: int) -> tuple[int, int]:
    """The rule of Qwen3-VL's processor in transformers; it enlarges what is thinner than a patch first."""
    factor, count = size.factor, max(frames, size.temporal_factor)
    if min(width, height) < factor:
        grow = max(factor / height, factor / width)
        width, height = int(width * grow), int(height * grow)
    _check_ratio(width, height)
    wide, high = (round(side / factor) * factor for side in (width, height))
    area = round(count / size.temporal_factor) * size.temporal_factor * wide * high
    if area > size.max_pixels:
        shrink = math.sqrt(count * height * width / size.max_pixels)
        return _rounded_down(width, height, shrink, factor)
    if area < size.min_pixels:
        return _rounded_up(width, height, math.sqrt(size.min_pixels / (count * height * width)), factor)
    return wide, high


def _with_shortest(width: int, height: int, edge: int) -> tuple[int, int]:
    longer = int(edge * max(width, height) / min(width, height))
    return (edge, longer) if width <= height else (longer, edge)


def _fitting(width: int, height: int, size: FitSize) -> tuple[int, int]:
    scales = [1.0]
    if size.longest_edge is not None:
        scales.append(size.longest_edge / max(width, height))
    if size.shortest_edge is not None:
        scales.append(size.shortest_edge / min(width, height))
    if size.max_pixels is not None:
        scales.append(math.sqrt(size.max_pixels / (width * height)))
    scale = min(scales)
    # Rounded down where it shrinks, so that the bound holds; a hair is the noise of a division.
    wide, high = (max(1, math.floor(side * scale + 1e-6)) for side in (width, height))
    return wide, high


def _check_ratio(width: int, height: int) -> None:
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise VideoRefusedError(f"{width}x{height} has an aspect ratio above {MAX_ASPECT_RATIO}")


def resized(width: int, height: int, *, factor: int, min_pixels: int, max_pixels: float) -> tuple[int, int]:
    """Width and height by Qwen's rule; ``VideoRefusedError`` for an aspect ratio above 200."""
    _check_ratio(width, height)
    wide, high = (max(factor, round(side / factor) * factor) for side in (width, height))
    if wide * high > max_pixels:
        return _rounded_down(width, height, math.sqrt(width * height / max_pixels), factor)
    if wide * high < min_pixels:
        return _rounded_up(width, height, math.sqrt(min_pixels / (width * height)), factor)
    return wide, high


def _rounded_down(width: int, height: int, shrink: float, factor: int) -> tuple[int, int]:
    wide, high = (max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height))
    return wide, high


def _rounded_up(width: int, height: int, grow: float, factor: int) -> tuple[int, int]:
    wide, high = (math.ceil(side * grow / factor) * factor for side in (width, height))
    return wide, high

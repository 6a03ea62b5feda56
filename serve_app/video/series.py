"""From a list of images to the chosen frames: choose by their times, decode those, scale them alike.

The first image that is decoded rules the size. Others may be larger or smaller, as thumbnails are; one of
another shape is refused, since scaling would distort it and bars around it would be captioned.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from serve_app.album import read_image, read_table
from serve_app.errors import VideoRefusedError, VideoUnreadableError
from serve_app.schema import TimeRange, VideoFacts
from serve_app.video.choice import Choice, there
from serve_app.video.coverage import coverage
from serve_app.video.frames import Frames
from serve_app.video.geometry import target_size
from serve_app.video.image import Still, decode_image
from serve_app.video.index import listed
from serve_app.video.job import Decoded, Shot
from serve_app.video.limits import DEFAULT_LIMITS, check_duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.settings import LimitSettings
    from serve_app.video.canvas import Allocate
    from serve_app.video.index import VideoIndex

SAME_SHAPE = 0.02  # so much may the ratios of two images' sides differ


class Series:
    """A list of ``images`` images in the open file ``fd``, an :mod:`serve_app.album`; its index."""

    def __init__(self, fd: int, images: int) -> None:
        self._fd, self._table = fd, read_table(fd, images)
        times = self._table["pts_seconds"]
        self.index = listed(times[:-1].astype(np.float64), float(times[-1]))

    def __len__(self) -> int:
        return len(self.index)

    def still(self, place: int, limits: LimitSettings) -> Still:
        """Decode one image; the error says which it is."""
        data = read_image(self._fd, self._table[place])
        try:
            return decode_image(data, limits)
        except (VideoUnreadableError, VideoRefusedError) as error:
            raise type(error)(f"{self.name(place)}: {error}") from error

    def name(self, place: int) -> str:
        """An image as messages call it."""
        return f"image {place + 1} of {len(self)}"


class Painting:
    """The chosen images' pixels, one after the other, without those that were lost.

    ``lost``, shape (T,), says which were. ``shown``, ``codec`` and ``rotation`` are the first one's.
    """

    pixels: NDArray[np.uint8]

    def __init__(self, chosen: NDArray[np.int64], shot: Shot, allocate: Allocate) -> None:
        self._shot, self._allocate = shot, allocate
        self.lost = np.zeros(len(chosen), np.bool_)
        self.warnings: list[str] = []
        self.shown, self.codec, self.rotation = (0, 0), "", 0
        self.painted, self._changed = 0, False

    def add(self, still: Still, name: str) -> None:
        """Paint the next one; ``VideoRefusedError`` for one of another shape."""
        if not self.painted:
            self._make_room(still)
        self._check_shape(still, name)
        still.paint(self.pixels[self.painted])
        self.painted += 1

    def end(self) -> None:
        """Leave the room of what was lost, and say how much that is."""
        self.pixels = self.pixels[: self.painted]
        if self.lost.any():
            lost = f"{int(self.lost.sum())} of {len(self.lost)} chosen images"
            self.warnings.append(f"{lost} are damaged and left out")

    def _make_room(self, still: Still) -> None:
        frames = len(self.lost)
        width, height = target_size(*still.shown, self._shot.size, frames=frames)
        shape = (frames, height, width, 3)
        self.pixels = self._allocate(int(np.prod(shape))).reshape(shape)
        self.shown = still.shown
        self.codec, self.rotation = still.codec, still.turn.rotation
        if still.turn.mirrored:
            self.warnings.append("EXIF mirrors the images: they were flipped as it says")

    def _check_shape(self, still: Still, name: str) -> None:
        (width, height), (wide, high) = self.shown, still.shown
        if abs(width * high - height * wide) > SAME_SHAPE * height * wide:
            told = f"allowed: the shape of the first that was decoded, {width}x{height}"
            raise VideoRefusedError(f"{name} is {wide}x{high}; {told}, to within {SAME_SHAPE:.0%}")
        if still.shown != self.shown and not self._changed:
            self._changed = True
            self.warnings.append(f"images change from {self.shown} to {still.shown} pixels")


class OpenSeries:
    """The list of ``images`` images in the open file ``fd``, for shot after shot; errors as below."""

    lost = False

    def __init__(self, fd: int, images: int, limits: LimitSettings) -> None:
        self._series, self._limits = Series(fd, images), limits
        check_duration(self._series.index.duration_seconds, limits)

    def ranges(self, shot: Shot) -> tuple[TimeRange, TimeRange]:
        """What is there of the shot's range, and all of it within the list."""
        start, end = _asked(self._series.index, shot)
        return there(self._series.index, shot), TimeRange(start_s=start, end_s=end)

    def take(self, shot: Shot, allocate: Allocate) -> Decoded:
        """The shot's frames, and what they cost."""
        return decode_series(self._series, shot, allocate, self._limits)

    def close(self) -> None:
        """Nothing is open beside the descriptor."""


def decode_series(
    series: Series, shot: Shot, allocate: Allocate, limits: LimitSettings = DEFAULT_LIMITS
) -> Decoded:
    """Decode the chosen images; ``allocate`` as for :func:`serve_app.video.decoder.decode`.

    ``VideoUnreadableError``: no image, or damaged. ``VideoRefusedError``: beyond a limit, or of another
    shape. ``NoFramesError``: nothing is shown in the range.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    index, choice = series.index, Choice(shot)
    check_duration(index.duration_seconds, limits)
    if choice.look is not None:
        seen, _ = choice.look.chosen(index)
        small = _painted(series, seen, choice.look.shot, _fresh, limits)
        choice = choice.after(Frames(small.pixels, index.pts_seconds[seen[~small.lost]]))
    chosen, said = choice.chosen(index)
    painting = _painted(series, chosen, shot, allocate, limits)
    times = index.pts_seconds[chosen]
    return Decoded(
        Frames(painting.pixels, times[~painting.lost]),
        _facts(index, painting),
        coverage(_asked(index, shot), index.end_seconds, times, painting.lost),
        (*said, *painting.warnings),
        cpu_s=time.process_time() - cpu,
        wall_s=time.perf_counter() - wall,
    )


def _fresh(size: int) -> NDArray[np.uint8]:
    return np.empty(size, np.uint8)


def _asked(index: VideoIndex, shot: Shot) -> tuple[float, float]:
    start = index.start_seconds if shot.start_s is None else shot.start_s
    return start, index.end_seconds if shot.end_s is None else min(index.end_seconds, shot.end_s)


def _painted(
    series: Series, chosen: NDArray[np.int64], shot: Shot, allocate: Allocate, limits: LimitSettings
) -> Painting:
    painting = Painting(chosen, shot, allocate)
    for row, place in enumerate(chosen.tolist()):
        try:
            still = series.still(place, limits)
        except VideoUnreadableError:
            if shot.on_damage == "fail":
                raise
            painting.lost[row] = True
        else:
            painting.add(still, series.name(place))
    if not painting.painted:
        raise VideoUnreadableError(f"none of {len(chosen)} chosen images could be decoded whole")
    painting.end()
    return painting


def _facts(index: VideoIndex, painting: Painting) -> VideoFacts:
    return VideoFacts(
        duration_s=index.duration_seconds,
        width=painting.shown[0],
        height=painting.shown[1],
        fps=index.fps,
        codec=painting.codec,
        frame_count=len(index),
        stream=0,
        rotation=painting.rotation,
        decoder="pillow",
    )

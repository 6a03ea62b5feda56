"""The chosen frames' pixels, painted as pictures come out of the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from serve_app.video.geometry import display_size, target_size
from serve_app.video.picture import Painter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from serve_app.video.choice import Choice
    from serve_app.video.container import VideoContainer, VideoFrame
    from serve_app.video.index import VideoIndex
    from serve_app.video.job import Shot
    from serve_app.video.picture import Turn

    Allocate = Callable[[int], NDArray[np.uint8]]

WHOLE_IN_ITSELF = (0, 1)  # picture types: unnamed, intra


class Canvas:
    """The chosen frames' pixels, made room for when the first picture tells its size.

    ``chosen`` are indices into ``index``, shape (T,); ``pixels`` has shape (T, H, W, 3). ``lost`` are those
    that were left out; then ``pixels`` has fewer. ``corrupt`` and ``intact`` are ordinals of pictures that
    came out broken, and of keyframes that came out whole.
    """

    pixels: NDArray[np.uint8]

    def __init__(
        self, index: VideoIndex, chosen: NDArray[np.int64], shot: Shot, allocate: Allocate, turn: Turn
    ) -> None:
        self.index, self.chosen = index, chosen
        self.shown = (0, 0)
        self.rotation, self.mirrored = 0, False
        self.warnings: list[str] = []
        self.painted: set[int] = set()
        self.seen: set[int] = set()
        self.corrupt: set[int] = set()
        self.intact: set[int] = set()
        self._changed = False
        self.lost = np.zeros(len(chosen), np.bool_)
        self._rows = {int(o): row for row, o in enumerate(index.ordinals[chosen])}
        self._shot, self._allocate, self._painter = shot, allocate, Painter()
        self._turn = turn
        self._stored = (0, 0)

    @classmethod
    def of(cls, index: VideoIndex, choice: Choice, allocate: Allocate, turn: Turn) -> Self:
        """Room for the frames that are chosen by this index."""
        chosen, said = choice.chosen(index)
        canvas = cls(index, chosen, choice.shot, allocate, turn)
        canvas.warnings += said
        return canvas

    @property
    def complete(self) -> bool:
        """Whether every chosen frame is there."""
        return len(self.painted) == len(self._rows)

    def offer(self, video: VideoContainer, ordinal: int, frame: VideoFrame) -> None:
        """Take the picture if it was chosen."""
        row = self._rows.get(ordinal)
        if frame.is_corrupt or (self.index.timed and self.index.packets.corrupt[ordinal]):
            self.corrupt.add(ordinal)
            return
        self.seen.add(ordinal)
        if self.index.timed and self.index.packets.keyframe[ordinal] and frame.pict_type in WHOLE_IN_ITSELF:
            self.intact.add(ordinal)
        if row is None or ordinal in self.painted:
            return
        turn = self._turn.of(frame)
        if not self.painted:
            self._make_room(display_size(frame.width, frame.height, video.sample_aspect_ratio, turn))
            self._stored = (frame.width, frame.height)
            self.rotation, self.mirrored = turn.rotation, turn.mirrored
        elif self._stored != (frame.width, frame.height) and not self._changed:
            self._changed = True
            self.warnings.append(
                f"pictures change from {self._stored} to {(frame.width, frame.height)} pixels"
            )
        self._painter.paint(frame, turn, self.pixels[row])
        self.painted.add(ordinal)

    def _make_room(self, shown: tuple[int, int]) -> None:
        width, height = target_size(*shown, self._shot.size, frames=len(self._rows))
        shape = (len(self._rows), height, width, 3)
        self.shown = shown
        self.pixels = self._allocate(int(np.prod(shape))).reshape(shape)

"""Turns a decoded picture into RGB pixels of the asked size, upright."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, cast

import numpy as np

from serve_app.errors import VideoUnreadableError
from serve_app.video.container import FFmpegError, Interpolation, VideoFrame, VideoReformatter
from serve_app.video.geometry import QUARTER_TURNS, Orientation, orientation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


SCALING = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


class Turn:
    """What pictures' display matrices ask for, one after another.

    PyAV's side data and their frame hold each other, and so the picture's memory until garbage is next
    collected: they are looked at once, and again only when the angle changes.
    """

    def __init__(self) -> None:
        self._angle: int | None = None
        self._turn = Orientation()

    def of(self, frame: VideoFrame) -> Orientation:
        """How to make this picture upright."""
        if frame.rotation != self._angle:
            self._angle, self._turn = frame.rotation, _turn_of(frame)
        return self._turn


def _turn_of(frame: VideoFrame) -> Orientation:
    try:
        matrix = bytes(cast("Mapping[str, bytes]", frame.side_data)["DISPLAYMATRIX"])
    except KeyError:
        return Orientation()
    except ValueError:
        # PyAV knows no name for something else on this picture; it still tells the angle.
        return QUARTER_TURNS[round(-frame.rotation / 90) % 4]
    return orientation(struct.unpack("=9i", matrix[:36]))


class Painter:
    """Scales pictures with swscale, bicubic, straight to the asked size; keeps its tables between them.

    Without a full chroma line the shortcut from YUV to RGB is wrong by 2 to 3 levels on average; with it
    by 0.25, for a fifth more time.
    """

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def paint(self, frame: VideoFrame, turn: Orientation, onto: NDArray[np.uint8]) -> None:
        """Fill ``onto``, uint8 of shape (H, W, 3); ``VideoUnreadableError`` for formats without RGB."""
        height, width = onto.shape[:2]
        size = (height, width) if turn.transpose else (width, height)
        try:
            scaled = self._scaler.reformat(frame, *size, format="rgb24", interpolation=SCALING, threads=1)
        except MemoryError:
            raise
        except FFmpegError as error:
            raise VideoUnreadableError(f"pictures cannot be converted: {error.strerror}") from error
        plane = scaled.planes[0]
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        picture = lines[: size[1], : size[0] * 3].reshape(size[1], size[0], 3)
        onto[:] = upright(picture, turn)


def upright(picture: NDArray[np.uint8], turn: Orientation) -> NDArray[np.uint8]:
    """A view of a stored picture (H, W, 3) as it is shown."""
    picture = picture.swapaxes(0, 1) if turn.transpose else picture
    return picture[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]

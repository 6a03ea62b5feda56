"""TorchCodec as a second backend of :class:`serve_app.video.api.VideoDecoder`: loaded when it is used.

It brings no FFmpeg of its own but takes the system's, and so may know formats that PyAV does not. It cannot
be told which formats to open nor how many pixels to allow, so it is no part of the decoding child
(docs/decisions.md). It tells the times of decoded frames only: the index costs one decode in small. Damage
that its FFmpeg conceals is not told.
"""

from __future__ import annotations

import importlib
import io
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from serve_app.errors import VideoUnreadableError
from serve_app.schema import VideoFacts
from serve_app.video.choice import Choice
from serve_app.video.coverage import coverage
from serve_app.video.frames import Frames
from serve_app.video.geometry import QUARTER_TURNS, display_size, target_size
from serve_app.video.index import Packets, VideoIndex
from serve_app.video.job import Decoded, Shot
from serve_app.video.limits import check_duration, check_packets, check_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.settings import LimitSettings
    from serve_app.video.choice import Pick

AT_ONCE = 16  # frames at source size
SMALL = (16, 16)
MICROSECOND = Fraction(1, 1_000_000)


class TorchCodec:
    """The system's FFmpeg through TorchCodec."""

    name = "torchcodec"
    may_skip = False

    def __init__(self, fd: int, limits: LimitSettings) -> None:
        self._fd = fd
        self._decoder = self._open()
        self._facts = self._decoder.metadata
        check_picture(self._facts.width, self._facts.height, limits)
        check_packets(len(self._decoder), limits)
        self.index = self._indexed()
        check_duration(self.index.duration_seconds, limits)

    def _open(self, **options: object) -> Any:  # noqa: ANN401  the package has no types
        decoders = _package("torchcodec.decoders")
        try:
            return decoders.VideoDecoder(
                Descriptor(self._fd),
                dimension_order="NHWC",
                num_ffmpeg_threads=1,
                seek_mode="exact",
                **options,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise VideoUnreadableError(f"TorchCodec cannot open it: {_said(error)}") from error

    def _indexed(self) -> VideoIndex:
        small = self._open(transforms=[_package("torchcodec.transforms").Resize(SMALL)])
        times, lengths = [np.empty(0)], [np.empty(0)]
        for start in range(0, len(small), 256):
            batch = _decoded(small, list(range(start, min(start + 256, len(small)))))
            times.append(batch.pts_seconds.numpy())
            lengths.append(batch.duration_seconds.numpy())
        pts, duration = np.concatenate(times), np.concatenate(lengths)
        total = len(pts)
        if not total:
            raise VideoUnreadableError("the video stream has no frames")
        keys = np.isin(np.arange(total), small._get_key_frame_indices())  # noqa: SLF001  there is no other way
        ticks, none = np.rint(pts / float(MICROSECOND)).astype(np.int64), np.zeros(total, np.bool_)
        lasting = np.rint(duration / float(MICROSECOND)).astype(np.int64)
        packets = Packets(ticks, ticks, lasting, np.ones(total, np.int64), keys, none, none)
        return VideoIndex(packets, pts, np.arange(total), float(pts[-1] + duration[-1]))

    def take(self, shot: Shot, pick: Pick | None) -> Decoded:
        """Decode what was chosen, a few at a time, and scale it by Pillow's bicubic filter."""
        index, choice = self.index, Choice(shot, pick)
        if choice.look is not None:
            choice = choice.after(self.take(choice.look.shot, None).frames)
        chosen, said = choice.chosen(index)
        rotation = round(-(self._facts.rotation or 0)) % 360
        shown, pixels = (0, 0), np.empty((0, 1, 1, 3), np.uint8)
        for start in range(0, len(chosen), AT_ONCE):
            pictures = _decoded(self._decoder, chosen[start : start + AT_ONCE].tolist()).data.numpy()
            if not start:
                shown = self._shown(pictures.shape[2], pictures.shape[1], rotation)
                width, height = target_size(*shown, shot.size, frames=len(chosen))
                pixels = np.empty((len(chosen), height, width, 3), np.uint8)
            for row, picture in enumerate(pictures, start):
                _scale(picture, pixels[row])
        times = index.pts_seconds[chosen]
        begin = index.start_seconds if shot.start_s is None else shot.start_s
        end = index.end_seconds if shot.end_s is None else min(shot.end_s, index.end_seconds)
        covered = coverage((begin, end), index.end_seconds, times, np.zeros(len(times), np.bool_))
        return Decoded(Frames(pixels, times), self._told(shown, rotation), covered, tuple(said), 0, 0)

    def _shown(self, width: int, height: int, rotation: int) -> tuple[int, int]:
        turned = QUARTER_TURNS[rotation // 90]
        stored = (height, width) if turned.transpose else (width, height)
        ratio = self._facts.pixel_aspect_ratio
        return display_size(*stored, ratio if ratio is not None and ratio > 0 else None, turned)

    def _told(self, shown: tuple[int, int], rotation: int) -> VideoFacts:
        return VideoFacts(
            duration_s=self.index.duration_seconds,
            width=shown[0],
            height=shown[1],
            fps=self.index.fps,
            codec=str(self._facts.codec),
            frame_count=len(self.index),
            stream=self._facts.stream_index,
            rotation=rotation,
        )

    def close(self) -> None:
        """Nothing is open beside the descriptor."""


class Descriptor(io.RawIOBase):
    """An open file to read from: TorchCodec lets nothing else be opened beside it."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd, self._at, self._size = fd, 0, os.fstat(fd).st_size

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, or all."""
        found = os.pread(self._fd, self._size if size < 0 else size, self._at)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere; returns where."""
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence] + offset
        return self._at


def _package(name: str) -> Any:  # noqa: ANN401  the package has no types
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError("TorchCodec is not installed: pip install 'capstream[torchcodec]'") from error


def _decoded(decoder: Any, places: list[int]) -> Any:  # noqa: ANN401  as above
    try:
        return decoder.get_frames_at(places)
    except RuntimeError as error:
        raise VideoUnreadableError(f"TorchCodec cannot decode it: {_said(error)}") from error


def _said(error: Exception) -> str:
    # Its messages begin with a source file's name and line.
    return str(error).partition("\n")[0].rpartition(", ")[2][:200]


def _scale(picture: NDArray[np.uint8], onto: NDArray[np.uint8]) -> None:
    if picture.shape != onto.shape:
        size = onto.shape[1], onto.shape[0]
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    onto[:] = picture

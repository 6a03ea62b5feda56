"""TorchCodec as a second backend: loaded when it is used.

It brings no FFmpeg of its own but takes the system's, and so may know codecs that PyAV does not. It cannot be
told which formats to open nor how many pixels to allow: :mod:`serve_app.video.fallback` decides first what
it is given. It tells the times of decoded frames only: the index costs one decode in small. Damage that its
FFmpeg conceals is not told.
"""

from __future__ import annotations

import importlib
import io
import mmap
import re
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from serve_app.errors import VideoUnreadableError
from serve_app.schema import VideoFacts
from serve_app.video.choice import Choice
from serve_app.video.coverage import coverage
from serve_app.video.cursor import Cursor
from serve_app.video.frames import Frames, fresh
from serve_app.video.geometry import QUARTER_TURNS, display_size, target_size
from serve_app.video.index import Packets, VideoIndex
from serve_app.video.job import Decoded, Shot
from serve_app.video.limits import DEFAULT_LIMITS, check_duration, check_packets, check_picture
from serve_app.video.nal import promised_bytes
from serve_app.video.signatures import container_of, end_of_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from serve_app.settings import LimitSettings
    from serve_app.video.canvas import Allocate
    from serve_app.video.choice import Pick

AT_ONCE, AT_ONCE_BYTES = 16, 64 * 1024 * 1024  # frames at source size
LOOKED_AT = 256  # small ones
SMALL = (16, 16)
MICROSECOND = Fraction(1, 1_000_000)
PICTURES = frozenset({"mjpeg", "png", "bmp", "tiff", "webp"})
PLACE = re.compile(r"^\S+, \S+:\d+, ")  # of its own source, with which its messages begin
INSTALL = "TorchCodec is not installed: pip install 'capstream[torchcodec]'"
NO_FFMPEG = "TorchCodec finds no FFmpeg that it can use: install FFmpeg 4 to 9 as shared libraries"


class TorchCodec:
    """The system's FFmpeg through TorchCodec; ``stream`` is its own choice if it is not given."""

    name = "torchcodec"
    may_skip = False

    def __init__(
        self, opened: Callable[[], Cursor], limits: LimitSettings, stream: int | None = None
    ) -> None:
        self._opened, self._stream = opened, stream
        self._cut = _cut_short(opened())
        self._decoder = self._open()
        self._facts = self._decoder.metadata
        check_picture(self._facts.width, self._facts.height, limits)
        check_packets(len(self._decoder), limits)
        self.index = self._indexed()
        check_duration(self.index.duration_seconds, limits)
        if len(self.index) == 1 and self._facts.codec in PICTURES:
            raise VideoUnreadableError("the file has no video stream, a picture at most")

    def _open(self, **options: object) -> Any:  # noqa: ANN401  the package has no types
        decoders = _package("torchcodec.decoders")
        try:
            return decoders.VideoDecoder(
                self._opened(),
                stream_index=self._stream,
                dimension_order="NHWC",
                num_ffmpeg_threads=1,
                seek_mode="exact",
                **options,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise _refusal("open", error) from error

    def _indexed(self) -> VideoIndex:
        small = self._open(transforms=[_package("torchcodec.transforms").Resize(SMALL)])
        batches = list(self._batches(small))
        if not batches:
            raise VideoUnreadableError("the video stream has no frames")
        pts = np.concatenate([batch.pts_seconds.numpy() for batch in batches])
        duration = np.concatenate([batch.duration_seconds.numpy() for batch in batches])
        if not np.isfinite(pts).all() or (np.diff(pts) < 0).any():
            raise VideoUnreadableError("the times of the frames do not rise")
        total = len(pts)
        keys = np.isin(np.arange(total), small._get_key_frame_indices())  # noqa: SLF001  there is no other way
        ticks, none = np.rint(pts / float(MICROSECOND)).astype(np.int64), np.zeros(total, np.bool_)
        lasting = np.rint(duration / float(MICROSECOND)).astype(np.int64)
        packets = Packets(ticks, ticks, lasting, np.ones(total, np.int64), keys, none, none)
        end = float(pts[-1] + duration[-1])
        promised = float(np.nextafter(end, np.inf)) if self._cut else end
        return VideoIndex(packets, pts, np.arange(total), end, promised_end_seconds=promised)

    def _batches(self, small: Any) -> Iterator[Any]:  # noqa: ANN401  as above
        """All frames in small; of a file that is cut short those before the first that cannot be decoded."""
        places = range(len(small))
        for start in places[::LOOKED_AT]:
            batch = places[start : start + LOOKED_AT]
            try:
                yield _decoded(small, [*batch])
            except VideoUnreadableError:
                if not self._cut:
                    raise
                with suppress(VideoUnreadableError):
                    for place in batch:
                        yield _decoded(small, [place])
                return

    def take(self, shot: Shot, pick: Pick | None, allocate: Allocate = fresh) -> Decoded:
        """Decode what was chosen, a few at a time, and scale it by Pillow's bicubic filter."""
        index, choice = self.index, Choice(shot, pick)
        if self._cut and shot.on_damage == "fail":
            raise VideoUnreadableError("the file is cut short")
        if choice.look is not None:
            choice = choice.after(self.take(choice.look.shot, None).frames)
        chosen, said = choice.chosen(index)
        rotation = round(-(self._facts.rotation or 0)) % 360
        pixels, shown = self._painted(chosen, shot, rotation, allocate)
        times = index.pts_seconds[chosen]
        begin = index.start_seconds if shot.start_s is None else shot.start_s
        last = float(np.nextafter(index.end_seconds, np.inf)) if self._cut else index.end_seconds
        end = last if shot.end_s is None else min(shot.end_s, last)
        covered = coverage((begin, end), index.end_seconds, times, np.zeros(len(times), np.bool_))
        warnings = ("the file is cut short", *said) if self._cut else tuple(said)
        return Decoded(Frames(pixels, times), self._told(shown, rotation), covered, warnings, 0, 0)

    def _painted(
        self, chosen: NDArray[np.int64], shot: Shot, rotation: int, allocate: Allocate
    ) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The pixels, and how large the video is shown."""
        shown, pixels = (0, 0), np.empty((0, 1, 1, 3), np.uint8)
        size = 3 * max(self._facts.width * self._facts.height, 1)
        step = min(AT_ONCE, max(1, AT_ONCE_BYTES // size))
        for start in range(0, len(chosen), step):
            pictures = _decoded(self._decoder, chosen[start : start + step].tolist()).data.numpy()
            if not start:
                shown = self._shown(pictures.shape[2], pictures.shape[1], rotation)
                width, height = target_size(*shown, shot.size, frames=len(chosen))
                room = allocate(len(chosen) * height * width * 3)
                pixels = room.reshape(len(chosen), height, width, 3)
            for row, picture in enumerate(pictures, start):
                _scale(picture, pixels[row])
        return pixels, shown

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
            decoder="torchcodec",
        )

    def close(self) -> None:
        """Nothing is open beside the descriptor."""


def load() -> None:
    """Import it and decode a tiny clip, so that it has nothing left to load; ``ImportError`` says why not."""
    _package("torch").set_num_threads(1)
    clip, colours = io.BytesIO(), [Image.new("RGB", (16, 16), name) for name in ("red", "lime", "blue")]
    colours[0].save(clip, "GIF", save_all=True, append_images=colours[1:], duration=40)
    data = clip.getvalue()
    try:
        video = TorchCodec(lambda: Cursor(lambda at, count: data[at : at + count], len(data)), DEFAULT_LIMITS)
        video.take(Shot(), None)
    except VideoUnreadableError as error:
        raise ImportError(f"TorchCodec does not work with this system's FFmpeg: {error}") from error


def _package(name: str) -> Any:  # noqa: ANN401  the package has no types
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(INSTALL) from error


def _decoded(decoder: Any, places: list[int]) -> Any:  # noqa: ANN401  as above
    try:
        return decoder.get_frames_at(places)
    except RuntimeError as error:
        _require_room(4 * decoder.metadata.width * decoder.metadata.height)
        raise _refusal("decode", error) from error


def _require_room(size: int) -> None:
    """``MemoryError`` where not one more picture has room: FFmpeg's filters do not say that this is why."""
    try:
        mmap.mmap(-1, max(size, 1)).close()
    except OSError as error:
        raise MemoryError from error


def _refusal(doing: str, error: Exception) -> VideoUnreadableError:
    if "allocate memory" in str(error):
        raise MemoryError from error
    if "load libtorchcodec" in str(error):  # at the first use, not at the import
        raise ImportError(NO_FFMPEG) from error
    said = PLACE.sub("", str(error).partition("\n")[0])[:200]
    return VideoUnreadableError(f"TorchCodec cannot {doing} it: {said}")


def _cut_short(file: Cursor) -> bool:
    head = file.head(256)
    boxes = end_of_boxes(file.read_at, file.size) if container_of(head) == "mov" else 0
    return max(boxes, promised_bytes(head)) > file.size


def _scale(picture: NDArray[np.uint8], onto: NDArray[np.uint8]) -> None:
    if picture.shape != onto.shape:
        size = onto.shape[1], onto.shape[0]
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    onto[:] = picture

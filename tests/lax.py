"""Videos that PyAV cannot read for lack of a demuxer or a decoder that takes them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.clips import X264, Coding, drifting, encode
from tests.hostile.boxes import box, found, full, replaced

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Coding(options={**X264, "g": "12", "bf": "0"})
FRAMES, SIZE = 25, (96, 64)


def lax(path: Path, size: tuple[int, int] = SIZE, frames: int = FRAMES) -> Path:
    """A whole MP4 but for a table of time offsets that claims more entries than it has, and needs none.

    FFmpeg 8, which PyAV brings, does not open it; FFmpeg 5, 6 and 7 do, and read every frame at its time.
    """
    data = encode(path, drifting, frames, size, PLAIN).read_bytes()
    keys = found(data, "stss")
    offsets = full("ctts", 0, struct.pack(">I", 1000))
    path.write_bytes(replaced(data, "stss", data[keys.start : keys.end] + offsets))
    return path


def without_decoder(path: Path, padding: int = 0) -> Path:
    """An MP4 that names a codec, EVC, for which PyAV's FFmpeg has no decoder; with so many bytes more."""
    data = encode(path, drifting, FRAMES, SIZE, PLAIN).read_bytes().replace(b"avc1", b"evc1")
    if padding:
        data += box("free", bytes(padding))
    path.write_bytes(data)
    return path

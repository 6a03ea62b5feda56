"""Which files may be handed to a decoder that cannot be told what to open: decided by their first bytes.

The list is that of :mod:`serve_app.video.input`, as far as its containers begin with something of their own.
Texts, playlists and pictures are not on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PROBED = 1 << 20  # FFmpeg looks no further to tell what a file is
MOST_BOXES = 100_000

FIRST: Final[dict[bytes, str]] = {
    b"\x1aE\xdf\xa3": "matroska",
    b"\x00\x00\x01\xba": "mpeg",
    b"\x00\x00\x01\xb3": "mpegvideo",
    b"FLV\x01": "flv",
    b"OggS\x00": "ogg",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01": "mxf",
    b"nut/multimedia container\x00": "nut",
    b"DKIF\x00\x00": "ivf",
    b".RMF\x00": "rm",
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11": "wtv",
}
# QuickTime's files may begin with any of these; a picture's brand follows the first.
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
PICTURES = (b"mif1", b"heic", b"heix", b"avif", b"jxl ", b"jp2 ")
TS_PACKETS = (188, 192, 204)
# What names other files and servers is told by these, wherever in the probed bytes they stand.
OTHERS = (b"#extm3u", b"ffconcat", b"<mpd", b"<compositionplaylist", b"c=in ip")


def container_of(head: bytes) -> str | None:
    """The demuxer whose mark the file begins with; ``None`` if it is none of those that are allowed."""
    if head[4:8] in BOXES:
        return None if head[4:8] == b"ftyp" and head[8:12] in PICTURES else "mov"
    if head[:4] == b"RIFF" and head[8:11] in (b"AVI", b"AMV"):
        return "avi"
    for size in TS_PACKETS:
        # A TS packet of 192 bytes begins with a time of four.
        at = size % 188 if size == 192 else 0
        if len(head) > at + 4 * size and all(head[at + n * size] == 0x47 for n in range(5)):
            return "mpegts"
    return next((name for mark, name in FIRST.items() if head.startswith(mark)), None)


def names_others(head: bytes) -> bool:
    """Whether any FFmpeg could take the file for a playlist; ``head`` are its first ``PROBED`` bytes."""
    lower = head.lower()
    return any(mark in lower for mark in OTHERS)


def end_of_boxes(read_at: Callable[[int, int], bytes], size: int) -> int:
    """Where the last of an MP4's outermost boxes ends by its own word, beyond ``size`` if it is cut short."""
    at = 0
    for _ in range(MOST_BOXES):
        if at >= size or len(head := read_at(at, 16)) < 8:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # zero: to the end
            break
        at += length
    return at

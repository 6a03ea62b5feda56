"""Walks and makes the boxes of MP4 (ISO/IEC 14496-12): a size, four letters, and what is in it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bytes between a box's head and the boxes in it.
INSIDE = {
    **dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"ilst"), 0),
    **dict.fromkeys((b"mvex", b"moof", b"traf", b"mfra", b"gmhd"), 0),
    **dict.fromkeys((b"meta",), 4),
    **dict.fromkeys((b"stsd", b"dref"), 8),
    **dict.fromkeys((b"avc1", b"hvc1", b"hev1", b"av01", b"mp4v", b"jpeg"), 78),
    **dict.fromkeys((b"mp4a",), 28),
    **dict.fromkeys((b"\xa9too", b"\xa9nam"), 0),
}
HEAD = 8


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies in the file; ``end`` is behind its last byte."""

    kind: bytes
    start: int
    end: int

    @property
    def name(self) -> str:
        """Its four letters."""
        return self.kind.decode("latin-1")

    @property
    def body(self) -> int:
        """Where what is in it begins."""
        return self.start + HEAD


def walk(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """All boxes, each before those in it."""
    end = len(data) if end is None else end
    while start + HEAD <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if not HEAD <= size <= end - start:
            return
        box = Box(kind, start, start + size)
        yield box
        if kind in INSIDE:
            yield from walk(data, box.body + INSIDE[kind], box.end)
        start = box.end


def found(data: bytes, name: str) -> Box:
    """The first box of this name."""
    return next(box for box in walk(data) if box.name == name)


def put(data: bytes, at: int, layout: str, *values: float | bytes) -> bytes:
    """The data with numbers written over it, big-endian."""
    new = bytearray(data)
    struct.pack_into(f">{layout}", new, at, *values)
    return bytes(new)


def box(name: str, *parts: bytes) -> bytes:
    """A box of these parts."""
    body = b"".join(parts)
    return struct.pack(">I4s", HEAD + len(body), name.encode("latin-1")) + body


def full(name: str, version: int, *parts: bytes, flags: int = 0) -> bytes:
    """The same with a version and flags."""
    return box(name, struct.pack(">I", version << 24 | flags), *parts)


def replaced(data: bytes, name: str, new: bytes) -> bytes:
    """The file with another box in the place of the first of this name, and the sizes around it set right.

    For files whose ``mdat`` lies before ``moov``, so that no offset changes.
    """
    old = found(data, name)
    around = [one for one in walk(data) if one.start < old.start and one.end >= old.end]
    grown = len(new) - (old.end - old.start)
    for one in around:
        data = put(data, one.start, "I", one.end - one.start + grown)
    return data[: old.start] + new + data[old.end :]

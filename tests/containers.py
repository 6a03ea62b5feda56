"""Containers bent by hand: edit lists, wrong headers, cover art. All of FFmpeg's own writing before."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import av
from av.stream import Disposition
from PIL import Image

NESTED = (b"moov", b"trak", b"edts", b"mdia")
DURATION, DEFAULT_DURATION = b"\x44\x89\x88", b"\x23\xe3\x83\x84"  # Matroska ids, each with its usual size


def edited(path: Path, entries: list[tuple[int, int]]) -> Path:
    """An MP4 with this edit list: milliseconds shown, and where in the media (ticks; -1: nothing)."""
    table = b"".join(struct.pack(">Iihh", shown, at, 1, 0) for shown, at in entries)
    elst = b"\0\0\0\0" + len(entries).to_bytes(4, "big") + table
    changed = path.with_name(f"edited-{path.name}")
    changed.write_bytes(_boxes(path.read_bytes(), elst))
    return changed


def _boxes(data: bytes, elst: bytes) -> bytes:
    # The tables stand behind the media, so that no offset in them moves.
    out, at = b"", 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + size]
        body = elst if kind == b"elst" else _boxes(body, elst) if kind in NESTED else body
        out += (len(body) + 8).to_bytes(4, "big") + kind + body
        at += size
    return out


def lying(path: Path, after: bytes, offset: int, value: bytes) -> Path:
    """A copy with ``value`` written so many bytes after every occurrence of ``after``."""
    data, at = bytearray(path.read_bytes()), 0
    while (at := data.find(after, at)) >= 0:
        at += len(after)
        data[at + offset : at + offset + len(value)] = value
    changed = path.with_name(f"lying-{path.name}")
    changed.write_bytes(data)
    return changed


def with_cover(path: Path, clip: Path) -> Path:
    """The clip with a picture attached in front of it, as music and film shops do."""
    picture = io.BytesIO()
    Image.new("RGB", (320, 320), "white").save(picture, "JPEG")
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(av.open(str(clip)))
        target = stack.enter_context(av.open(str(path), "w"))
        art = target.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt = 320, 320, "yuvj420p"
        art.disposition = Disposition.attached_pic
        stream = target.add_stream_from_template(source.streams.video[0])
        cover = av.Packet(picture.getvalue())
        cover.stream, cover.pts, cover.dts, cover.is_keyframe = art, 0, 0, True
        target.mux(cover)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path


def marked(path: Path, clip: Path, flags: list[bool]) -> Path:
    """The clip with these packets marked as keyframes, in decode order."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet, flag in zip(packets, flags, strict=True):
            packet.stream, packet.is_keyframe = stream, flag
            target.mux(packet)
    return path

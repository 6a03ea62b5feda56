"""Cases: headers and bodies that ask for much more than they are: pixels, tracks, entries, searches."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from tests.hostile.boxes import HEAD, Box, box, found, put, walk
from tests.hostile.case import MEMORY, REFUSED, SPOILT, TIMEOUT, UNREADABLE, Case
from tests.hostile.outcome import DECODED

if TYPE_CHECKING:
    from tests.hostile.case import Make
    from tests.hostile.seeds import Seeds

MIB = 1 << 20
START_CODES = {
    "h264": b"\x00\x00\x01\x65",
    "hevc": b"\x00\x00\x01\x26",
    "mpeg": b"\x00\x00\x01\xb3",
    "pack": b"\x00\x00\x01\xba",
}
PACKET = 188


def constant(data: bytes) -> Make:
    """These bytes, whatever the clips are."""
    return lambda _: data


# --- pixels


class Bits:
    """Bits of an H.264 header, written one after the other."""

    def __init__(self) -> None:
        self._text = ""

    def u(self, value: int, width: int) -> Bits:
        """A number of so many bits."""
        self._text += f"{value:0{width}b}"
        return self

    def ue(self, *values: int) -> Bits:
        """Numbers of variable length (ISO/IEC 14496-10, 9.1)."""
        for value in values:
            number = f"{value + 1:b}"
            self._text += "0" * (len(number) - 1) + number
        return self

    def unit(self, head: int) -> bytes:
        """The bits as a unit, with a stop bit."""
        text = self._text + "1"
        text += "0" * (-len(text) % 8)
        raw = int(text, 2).to_bytes(len(text) // 8, "big")
        return bytes([head]) + raw.replace(b"\0\0", b"\0\0\3")


def parameters(blocks: int, references: int) -> bytes:
    """Parameter sets of H.264 for square pictures of so many macro blocks a side."""
    sps = Bits().u(66, 8).u(0, 8).u(62, 8).ue(0, 4, 2, references).u(0, 1).ue(blocks - 1, blocks - 1)
    sequence = sps.u(1, 1).u(1, 1).u(0, 1).u(0, 1).unit(0x67)
    picture = Bits().ue(0, 0).u(0, 1).u(0, 1).ue(0, 0, 0).u(0, 1).u(0, 2).ue(0, 0, 0).u(0, 3).unit(0x68)
    return b"".join(b"\0\0\0\1" + unit for unit in (sequence, picture))


def huge_h264(blocks: int, references: int, frames: int = 3) -> bytes:
    """A stream of large pictures of which no more than a head is there."""
    idr = Bits().ue(0, 7, 0).u(0, 4).ue(0).u(0, 1).u(0, 1).ue(0).unit(0x65)
    return parameters(blocks, references) + (b"\0\0\0\1" + idr + bytes(range(1, 200))) * frames


def gif(width: int, height: int, frames: int = 1, side: int = 1) -> bytes:
    """A canvas of so many pixels, of which a corner is painted."""
    data = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\x08\x04\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0)
    return data + (frame + b"\x02\x02\x44\x01\x00") * frames + b"\x3b"


def large_entry(width: int, height: int) -> Make:
    """An MJPEG clip whose header says another size; the pictures say their own."""

    def make(seeds: Seeds) -> bytes:
        data = seeds["motion.mjpeg.mov"]
        return put(data, found(data, "stsd").body + 8 + HEAD + 24, "HH", width, height)

    return make


def large_jpegs(seeds: Seeds) -> bytes:
    """Pictures whose own heads say 16000 x 16000, in a track that says 64 x 48."""
    data = bytearray(seeds["motion.mjpeg.mov"])
    at = data.find(b"\xff\xc0")
    while at >= 0:
        struct.pack_into(">HH", data, at + 5, 16_000, 16_000)
        at = data.find(b"\xff\xc0", at + 2)
    return bytes(data)


# --- tracks


def many_tracks(count: int) -> Make:
    """The clip's track so many times over."""

    def make(seeds: Seeds) -> bytes:
        data = seeds["pyramid.mp4"]
        track, moov = found(data, "trak"), found(data, "moov")
        copies = b"".join(
            put(data[track.start : track.end], HEAD * 2 + 12, "I", number + 2) for number in range(count)
        )
        grown = put(data, moov.start, "I", moov.end - moov.start + len(copies))
        return grown[: track.end] + copies + grown[track.end :]

    return make


def many_fragments(count: int) -> Make:
    """The clip's first fragment so many times over."""

    def make(seeds: Seeds) -> bytes:
        data = seeds["fragments.mp4"]
        first: Box = found(data, "moof")
        body = next(one for one in walk(data) if one.name == "mdat" and one.start >= first.end)
        return data + data[first.start : body.end] * count

    return make


def packed_moov(size: int) -> Make:
    """A compressed movie header of so many zeros."""
    packed = zlib.compress(bytes(size), 9)
    head = box("dcom", b"zlib"), box("cmvd", struct.pack(">I", size), packed)
    return constant(box("ftyp", b"qt  \0\0\0\0") + box("moov", box("cmov", *head)))


# --- transport streams


def section(pid: int, table: bytes) -> bytes:
    """A packet that begins a table."""
    head = struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10)
    return (head + b"\0" + table).ljust(PACKET, b"\xff")[:PACKET]


def programs(count: int) -> bytes:
    """Packets that each name another program."""
    return b"".join(
        section(
            0, struct.pack(">BHHBBBHH", 0, 0xB00D, k & 0xFFFF, 0xC1, 0, 0, k & 0xFFFF, 0xE000 | k & 0x1FFF)
        )
        for k in range(count)
    )


PIXELS = [
    Case("pixels/h264-16000x16000", constant(huge_h264(1000, 1)), (REFUSED, UNREADABLE)),
    Case("pixels/h264-8192x8192-16-references", constant(huge_h264(512, 16)), (MEMORY, UNREADABLE, DECODED)),
    Case("pixels/h264-1000000-blocks", constant(huge_h264(10**6, 16)), (UNREADABLE,)),
    Case("pixels/gif-65535x65535", constant(gif(65535, 65535)), (REFUSED, UNREADABLE)),
    Case("pixels/gif-16000x16000", constant(gif(16_000, 16_000)), (REFUSED,), saying="16000x16000"),
    Case("pixels/gif-8000x8000-100-times", constant(gif(8000, 8000, 100)), (MEMORY, DECODED)),
    Case("pixels/gif-65535x1", constant(gif(65535, 1)), (REFUSED, DECODED)),
    Case("pixels/gif-without-any", constant(gif(0, 0)), SPOILT),
    # FFmpeg believes the pictures' own size, so no limit refuses this. Being much lower than the header says,
    # they count as halves of interlaced pictures: every other packet is refused, each frame woven from two.
    Case("pixels/jpeg-entry-16000x16000", large_entry(16_000, 16_000), (UNREADABLE,)),
    Case("pixels/jpeg-entry-65535x1", large_entry(65535, 1), SPOILT),
    Case("pixels/jpegs-16000x16000-inside", large_jpegs, (UNREADABLE, REFUSED, MEMORY)),
]
TRACKS = [
    Case("many/800-tracks", many_tracks(800), (DECODED, UNREADABLE, MEMORY)),
    Case("many/3000-tracks", many_tracks(3000), (DECODED, UNREADABLE, MEMORY, TIMEOUT)),
    Case("many/2000-fragments", many_fragments(2000), (DECODED, UNREADABLE, TIMEOUT)),
    Case("many/moov-of-100-mib-in-100-kib", packed_moov(100 * MIB), (UNREADABLE, MEMORY)),
    Case("many/gif-of-20000-pictures", constant(gif(16, 16, 20_000)), (DECODED, REFUSED, TIMEOUT)),
]
SEARCHES = [
    *(
        Case(f"search/4-mib-of-start-codes-{name}", constant(code * MIB), (UNREADABLE, MEMORY, TIMEOUT))
        for name, code in START_CODES.items()
    ),
    Case("search/4-mib-of-sync-bytes", constant(b"\x47" * 4 * MIB), (UNREADABLE, TIMEOUT)),
    Case(
        "search/ts-of-garbage",
        constant(b"".join(b"\x47\x40\x00\x10" + bytes([k % 251]) * 184 for k in range(5000))),
        (UNREADABLE,),
    ),
    Case("search/ts-of-8000-programs", constant(programs(8000)), (UNREADABLE, TIMEOUT)),
    Case("search/ts-then-zeros", lambda seeds: seeds["broadcast.ts"] + bytes(2 * MIB), (DECODED, UNREADABLE)),
    Case(
        "search/ts-out-of-step",
        lambda seeds: b"\x47" + seeds["broadcast.ts"][1:] + b"x" + seeds["broadcast.ts"],
        SPOILT,
    ),
    Case("search/zeros-then-a-clip", lambda seeds: bytes(MIB) + seeds["raw.h264"], SPOILT),
    Case("search/two-clips-in-one", lambda seeds: seeds["pyramid.mp4"] * 2, SPOILT),
    Case("search/clip-then-4-mib-of-noise", lambda seeds: seeds["pyramid.mp4"] + b"noise" * MIB, (DECODED,)),
]
CASES = PIXELS + TRACKS + SEARCHES

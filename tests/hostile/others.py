"""Cases: Matroska, AVI, FLV and transport streams that lie, in sizes, indexes and titles."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.hostile.case import MEMORY, SPOILT, TIMEOUT, UNREADABLE, Case
from tests.hostile.outcome import DECODED

if TYPE_CHECKING:
    from tests.hostile.case import Make
    from tests.hostile.seeds import Seeds

SEGMENT, CLUSTER, CUES = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b"
INFO, TRACKS, TITLE = b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\x7b\xa9"
SCALE, DURATION, DEFAULT = b"\x2a\xd7\xb1", b"\x44\x89", b"\x23\xe3\x83"
UNKNOWN = b"\x01" + b"\xff" * 7
HUGE = b"\x01" + b"\x7f" * 7
MKV = "open-gop.mkv"
EBML = bytes.fromhex("1a45dfa3934282886d6174726f736b61428781044285810242f28104")
NUMBERS = {"most": 2**31 - 1, "negative": -(2**31), "none": 0}


def size_of(mark: bytes, size: bytes, name: str = MKV) -> Make:
    """A Matroska clip with other bytes in the place of an element's size."""

    def make(seeds: Seeds) -> bytes:
        data = seeds[name]
        at = data.index(mark) + len(mark)
        return data[:at] + size + data[at + len(size) :]

    return make


def value_of(mark: bytes, value: bytes) -> Make:
    """A Matroska clip with other bytes in the place of an element's value, whose size is one byte."""

    def make(seeds: Seeds) -> bytes:
        data = seeds[MKV]
        at = data.index(mark) + len(mark)
        width = data[at] & 0x7F
        return data[: at + 1] + value[:width].rjust(width, b"\0") + data[at + 1 + width :]

    return make


def avi(mark: bytes, offset: int, value: int) -> Make:
    """An AVI clip with a number put behind a name."""

    def make(seeds: Seeds) -> bytes:
        data = bytearray(seeds["mpeg4.avi"])
        struct.pack_into("<i", data, data.index(mark) + offset, value)
        return bytes(data)

    return make


def lying_index(position: int, size: int) -> Make:
    """An AVI clip whose index names other places."""

    def make(seeds: Seeds) -> bytes:
        data = bytearray(seeds["mpeg4.avi"])
        at = data.rindex(b"idx1")
        for entry in range(at + 8, len(data) - 15, 16):
            struct.pack_into("<II", data, entry + 8, position, size)
        return bytes(data)

    return make


def nest(depth: int) -> bytes:
    """Elements in elements, of unknown size."""
    return EBML + (SEGMENT + UNKNOWN) * depth


def spoken(name: str, was: bytes, title: bytes) -> Make:
    """A clip with another title of the same length."""

    def make(seeds: Seeds) -> bytes:
        data = seeds[name]
        return (
            data[: data.index(was)] + title[: len(was)].ljust(len(was)) + data[data.index(was) + len(was) :]
        )

    return make


MATROSKA = [
    *(
        Case(f"matroska/{what}-{name}", size_of(mark, size), SPOILT)
        for what, mark in {
            "segment": SEGMENT,
            "cluster": CLUSTER,
            "info": INFO,
            "tracks": TRACKS,
            "cues": CUES,
        }.items()
        for name, size in {"of-unknown-size": UNKNOWN, "of-64-pib": HUGE, "of-nothing": b"\x80"}.items()
    ),
    Case("matroska/scale-zero", value_of(SCALE, bytes(8)), SPOILT),
    Case("matroska/scale-most", value_of(SCALE, b"\xff" * 8), SPOILT),
    Case("matroska/duration-nan", value_of(DURATION, struct.pack(">d", float("nan"))), SPOILT),
    Case("matroska/duration-infinite", value_of(DURATION, struct.pack(">d", float("inf"))), SPOILT),
    Case("matroska/duration-negative", value_of(DURATION, struct.pack(">d", -1e300)), SPOILT),
    Case("matroska/duration-1e300", value_of(DURATION, struct.pack(">d", 1e300)), SPOILT),
    Case("matroska/frame-of-nothing", value_of(DEFAULT, bytes(8)), SPOILT),
    Case("matroska/frame-of-584-years", value_of(DEFAULT, b"\xff" * 8), SPOILT),
    Case("matroska/100000-segments-in-segments", lambda _: nest(100_000), (UNREADABLE, TIMEOUT)),
    Case(
        "matroska/void-bomb",
        lambda _: EBML + SEGMENT + UNKNOWN + b"\xec\x80" * (1 << 21),
        (UNREADABLE, TIMEOUT),
    ),
    Case("matroska/void-of-64-pib", lambda _: EBML + SEGMENT + UNKNOWN + b"\xec" + HUGE, (UNREADABLE,)),
    Case(
        "matroska/clusters-of-nothing", lambda s: s[MKV] + (CLUSTER + b"\x80") * 100_000, (*SPOILT, TIMEOUT)
    ),
    Case("matroska/no-more-than-a-head", lambda _: EBML, (UNREADABLE,)),
    Case("matroska/attachment-of-64-pib", size_of(b"\x46\x5c", HUGE, "rich.mkv"), SPOILT),
    Case("matroska/frames-without-durations", lambda seeds: seeds["vp8.webm"], (DECODED,)),
]
AVI = [
    *(
        Case(f"avi/index-{name}", lying_index(number & 0xFFFFFFFF, 500), SPOILT)
        for name, number in NUMBERS.items()
    ),
    *(
        Case(f"avi/packets-{name}", lying_index(4, number & 0xFFFFFFFF), SPOILT)
        for name, number in NUMBERS.items()
    ),
    *(Case(f"avi/rate-{name}", avi(b"strh", 8 + 24, number), SPOILT) for name, number in NUMBERS.items()),
    *(Case(f"avi/scale-{name}", avi(b"strh", 8 + 20, number), SPOILT) for name, number in NUMBERS.items()),
    *(Case(f"avi/start-{name}", avi(b"strh", 8 + 28, number), SPOILT) for name, number in NUMBERS.items()),
    *(Case(f"avi/streams-{name}", avi(b"avih", 8 + 24, number), SPOILT) for name, number in NUMBERS.items()),
    *(
        Case(f"avi/width-{name}", avi(b"strf", 8 + 4, number), (*SPOILT, MEMORY))
        for name, number in NUMBERS.items()
    ),
    Case("avi/riff-of-4-gib", avi(b"RIFF", 4, -1), SPOILT),
    Case("avi/movi-of-4-gib", avi(b"movi", -4, -1), SPOILT),
]
TITLES = [
    *(
        Case(f"title/{name}-{what}", spoken(name, b"a title", title), (DECODED,))
        for name in ("rich.mp4", "rich.mkv")
        for what, title in {
            "bad-utf-8": b"\xff\xfe\x80\xc0\xaf\xf8\x88",
            "surrogates": b"\xed\xa0\x80\xed\xbf\xbfx",
            "control": b"\x1b[2J\r\n\x07",
            "zeros": bytes(7),
        }.items()
    ),
    Case("title/attachment-with-a-bad-name", spoken("rich.mkv", b"font.ttf", b"\xff\xfe../../"), (DECODED,)),
    Case(
        "title/attachment-of-a-bad-type",
        spoken("rich.mkv", b"font/ttf", b"\x00\xff\xff\xff\xff\xff\xff\xff"),
        (DECODED,),
    ),
]
CASES = MATROSKA + AVI + TITLES

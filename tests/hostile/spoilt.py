"""Cases: good clips that were cut, or that have some bits flipped."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from serve_app.video.geometry import FixedSize
from serve_app.video.job import Shot
from tests.hostile.boxes import found, walk
from tests.hostile.case import NO_FRAMES, SPOILT, UNREADABLE, Case
from tests.hostile.outcome import DECODED

if TYPE_CHECKING:
    from tests.hostile.case import Make
    from tests.hostile.seeds import Seeds

PLACES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
# These say beforehand how much there is: what is not there is told, and nothing is captioned as if whole.
TOLD = ("pyramid.mp4", "hevc.mp4", "motion.mjpeg.mov", "mpeg4.avi")
# These end where they end, or say it in a way that a cut at the very end leaves unused.
UNTOLD = ("fragments.mp4", "open-gop.mkv", "vp9.webm", "broadcast.ts", "mpeg2.mpg", "animation.gif")
OTHERS = ("raw.h264", "flash.flv", "windows.asf", "broadcast.mxf", "lossless.nut")

# Every kind of box in the generated clips, and where it is first found.
BOXES = {
    "pyramid.mp4": (
        *("ftyp", "free", "mdat", "moov", "mvhd", "trak", "tkhd", "edts", "elst", "mdia", "mdhd", "hdlr"),
        *("minf", "vmhd", "dinf", "dref", "url ", "stbl", "stsd", "avc1", "avcC", "btrt", "stts", "stss"),
        *("ctts", "stsc", "stsz", "stco", "udta", "meta", "ilst", "\xa9too", "data"),
    ),
    "fragments.mp4": (
        *("mvex", "trex", "moof", "mfhd", "traf", "tfhd", "tfdt", "trun", "mfra", "tfra", "mfro"),
    ),
    "rich.mp4": ("smhd", "mp4a", "esds", "sgpd", "sbgp", "\xa9nam"),
    "hevc.mp4": ("hev1", "hvcC", "sdtp"),
    "av1.mp4": ("av01", "av1C"),
    "mpeg4.mp4": ("mp4v",),
    "motion.mjpeg.mov": ("wide", "jpeg", "\xa9swr"),
}
LAST = 0.99  # only a table of titles, or one that is not needed, lies behind
ENDS = {True: (UNREADABLE,), False: (DECODED, UNREADABLE)}
FLIPPED_BITS = 6


def cut(name: str, share: float) -> Make:
    """The first part of a clip."""
    return lambda seeds: seeds[name][: int(len(seeds[name]) * share)]


def before(kind: str) -> Make:
    """The clip up to the body of its first box of a kind."""
    return lambda seeds: seeds["pyramid.mp4"][: found(seeds["pyramid.mp4"], kind).body]


def flipped(name: str, kind: str, part: str) -> Make:
    """A clip with bits flipped in the size, the name or the body of one box."""

    def make(seeds: Seeds) -> bytes:
        data, rng = bytearray(seeds[name]), random.Random(f"{kind}/{part}")
        box = found(bytes(data), kind)
        first = {"size": box.start, "name": box.start + 4, "body": box.body}[part]
        last = box.end if part == "body" else first + 4
        for _ in range(FLIPPED_BITS if part == "body" else 1):
            data[rng.randrange(first, max(last, first + 1))] ^= 1 << rng.randrange(8)
        return bytes(data)

    return make


def strewn(name: str, seed: int) -> Make:
    """A clip with one bit in four hundred flipped, all over."""

    def make(seeds: Seeds) -> bytes:
        data, rng = bytearray(seeds[name]), random.Random(seed)
        for _ in range(len(data) // 50):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)

    return make


def kinds(seeds: Seeds) -> set[str]:
    """Every kind of box in these clips."""
    return {box.name for name in BOXES for box in walk(seeds[name])}


def _parts(kind: str) -> tuple[str, ...]:
    # The only boxes without a body.
    return ("size", "name") if kind in {"free", "wide"} else ("size", "name", "body")


CUT = [
    Case(f"cut/{name}-{share}", cut(name, share), ENDS[name in TOLD and share < LAST])
    for name in (*TOLD, *UNTOLD, *OTHERS)
    for share in (PLACES if name not in OTHERS else (0.1, 0.5, 0.9))
]
BOUNDARIES = [
    Case(f"cut/before-{kind}", before(kind), (UNREADABLE,))
    for kind in ("moov", "trak", "stsd", "stts", "stsz", "stco")
]
FLIPS = [
    Case(f"flip/{name}-{kind.strip()}-{part}", flipped(name, kind, part), SPOILT)
    for name, kinds_ in BOXES.items()
    for kind in kinds_
    for part in _parts(kind)
]
STREWN = [
    Case(f"strewn/{name}-{seed}", strewn(name, seed), SPOILT)
    for name in (
        "pyramid.mp4",
        "open-gop.mkv",
        "mpeg4.avi",
        "broadcast.ts",
        "animation.gif",
        "vp9.webm",
        "av1.mp4",
    )
    for seed in (1, 2)
]
PARTLY = Shot(size=FixedSize(64, 48), on_damage="partial")
LEFT = [
    Case(f"left/{name}-{share}", cut(name, share), (DECODED, UNREADABLE, NO_FRAMES), PARTLY)
    for name in ("mpeg4.avi", "fragments.mp4", "open-gop.mkv", "broadcast.ts")
    for share in PLACES
]
CASES = LEFT + CUT + BOUNDARIES + FLIPS + STREWN

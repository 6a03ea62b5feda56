"""Cases: MP4 files whose tables lie about sizes, counts, places and times."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from serve_app.schema import FpsSampling, NumFramesSampling
from serve_app.video.geometry import FixedSize
from serve_app.video.job import Shot
from tests.hostile.boxes import HEAD, box, found, full, put, replaced
from tests.hostile.case import NO_FRAMES, REFUSED, SPOILT, TIMEOUT, UNREADABLE, Case
from tests.hostile.outcome import DECODED

if TYPE_CHECKING:
    from tests.hostile.case import Make
    from tests.hostile.seeds import Seeds

CLIP = "pyramid.mp4"
MOST = 0xFFFFFFFF
COUNTED = {  # offset of the number of entries in a box's body
    "stsz": 8,
    "stts": 4,
    "stss": 4,
    "ctts": 4,
    "stsc": 4,
    "stco": 4,
    "stsd": 4,
    "dref": 4,
    "elst": 4,
}


def wrong(kind: str, offset: int, layout: str, *values: float | bytes) -> Make:
    """The clip with numbers put into a box's body."""
    return lambda seeds: put(seeds[CLIP], found(seeds[CLIP], kind).body + offset, layout, *values)


def instead(kind: str, *parts: bytes) -> Make:
    """The clip with another box of the same name."""
    return lambda seeds: replaced(seeds[CLIP], kind, full(kind, 0, *parts))


def sized(kind: str, layout: str, *sizes: int | bytes) -> Make:
    """The clip with another size at a box's head."""
    return lambda seeds: put(seeds[CLIP], found(seeds[CLIP], kind).start, layout, *sizes)


def _same(seeds: Seeds) -> bytes:
    # A box in itself, a thousand deep.
    nest = b""
    for _ in range(1000):
        nest = box("udta", nest)
    return replaced(seeds[CLIP], "udta", nest)


def _config(data: bytes) -> Make:
    return lambda seeds: replaced(seeds[CLIP], "avcC", box("avcC", data))


def _one_ahead(seeds: Seeds) -> bytes:
    # No edit list, which would cut it away; 512 ticks are a second.
    data = instead("ctts", struct.pack(">IIiIi", 2, 24, 0, 1, 2**28 - 1))(seeds)
    data = replaced(data, "edts", box("free", bytes(28)))
    return put(data, found(data, "mdhd").body + 12, "I", 512)


def _edits(*edits: tuple[int, int]) -> bytes:
    return struct.pack(">I", len(edits)) + b"".join(struct.pack(">IiI", *edit, 0x10000) for edit in edits)


COUNTS = [
    Case(f"count/{kind}-{name}", wrong(kind, offset, "I", count), SPOILT)
    for kind, offset in COUNTED.items()
    for name, count in {"none": 0, "one": 1, "a million": 10**6, "most": MOST}.items()
]
SIZES = [
    Case("size/stsz-all-4-gib", wrong("stsz", 4, "I", MOST), SPOILT),
    Case("size/stsz-first-2-gib", wrong("stsz", 12, "I", 0x7FFFFFFF), SPOILT),
    Case("size/stsz-first-of-a-partial-file", wrong("stsz", 12, "I", 0x7FFFFFFF), SPOILT, partial=True),
    Case("size/stco-beyond-the-end", wrong("stco", 8, "I", MOST), (UNREADABLE,)),
    Case(
        "size/stco-beyond-the-end-of-a-partial-file", wrong("stco", 8, "I", MOST), (UNREADABLE,), partial=True
    ),
    Case("size/stco-the-header-itself", wrong("stco", 8, "I", 0), (UNREADABLE,)),
    Case("size/stsc-a-chunk-of-all", wrong("stsc", 12, "I", MOST), SPOILT),
    Case("size/stsc-chunks-backwards", wrong("stsc", 8, "III", MOST, 1, 1), SPOILT),
    Case("size/stsc-no-such-description", wrong("stsc", 16, "I", 99), SPOILT),
    Case("size/mdat-64-bit", sized("mdat", "I4sQ", 1, b"mdat", 1 << 62), SPOILT),
    Case("size/mdat-to-the-end", sized("mdat", "I", 0), (UNREADABLE,)),
    Case("size/mdat-negative", sized("mdat", "I4sQ", 1, b"mdat", (1 << 64) - 8), SPOILT),
    Case("size/moov-of-seven-bytes", sized("moov", "I", 7), (UNREADABLE,)),
    Case("size/stbl-of-4-gib", sized("stbl", "I", MOST), SPOILT),
    Case("size/boxes-a-thousand-deep", _same, (DECODED, UNREADABLE)),
    Case("size/avcC-empty", _config(b""), SPOILT),
    Case("size/avcC-units-of-64-kib", _config(b"\x01\x64\x00\x0a\xff\xff\xff\xff" * 8), SPOILT),
    Case("size/avcC-31-sets-of-nothing", _config(b"\x01\x64\x00\x0a\xff\xff" + bytes(62) + b"\xff"), SPOILT),
]
TIMES = [
    Case("time/mdhd-scale-zero", wrong("mdhd", 12, "I", 0), SPOILT),
    Case("time/mdhd-scale-most", wrong("mdhd", 12, "I", MOST), SPOILT),
    Case("time/mdhd-scale-negative", wrong("mdhd", 12, "I", 0x80000000), SPOILT),
    Case("time/mdhd-duration-most", wrong("mdhd", 16, "I", MOST), (DECODED,)),
    Case("time/mdhd-a-million-fps", wrong("mdhd", 12, "I", 512 * 10**6), (DECODED,)),
    Case("time/mvhd-scale-zero", wrong("mvhd", 12, "I", 0), SPOILT),
    Case("time/mvhd-duration-most", wrong("mvhd", 16, "I", MOST), (DECODED,)),
    Case("time/tkhd-duration-most", wrong("tkhd", 20, "I", MOST), SPOILT),
    Case("time/stts-delta-most", wrong("stts", 12, "I", MOST), SPOILT),
    Case("time/stts-delta-negative", wrong("stts", 12, "i", -512), SPOILT),
    Case("time/stts-delta-zero", wrong("stts", 12, "I", 0), (DECODED,)),
    Case(
        "time/stts-136-years-a-frame",
        instead("stts", struct.pack(">III", 1, 25, 0x7FFFFFFF)),
        (REFUSED,),
        saying="duration_s",
    ),
    Case("time/ctts-all-negative", instead("ctts", struct.pack(">IIi", 1, 25, -(2**31))), SPOILT),
    Case("time/ctts-all-most", instead("ctts", struct.pack(">IIi", 1, 25, 2**31 - 1)), SPOILT),
    Case(
        "time/one-frame-six-days-ahead",
        _one_ahead,
        (REFUSED,),
        saying="duration_s",
    ),
    Case(
        "time/range-of-nothing", lambda seeds: seeds[CLIP], (NO_FRAMES,), Shot(FpsSampling(), start_s=1e300)
    ),
    Case("time/range-from-infinity", lambda seeds: seeds[CLIP], (NO_FRAMES,), Shot(start_s=math.inf)),
    Case("time/range-from-nan", lambda seeds: seeds[CLIP], (NO_FRAMES,), Shot(start_s=math.nan)),
    Case(
        "time/range-before-the-start",
        lambda seeds: seeds[CLIP],
        (NO_FRAMES,),
        Shot(FpsSampling(), end_s=-1e300),
    ),
]
EDITS = [
    Case("edit/none", instead("elst", struct.pack(">I", 0)), (DECODED,)),
    Case("edit/20000-entries", instead("elst", _edits(*[(40, 1024)] * 20_000)), (*SPOILT, TIMEOUT)),
    Case(
        "edit/2000-entries-backwards",
        instead("elst", _edits(*[(1, 12_800 - k) for k in range(2000)])),
        (*SPOILT, TIMEOUT),
    ),
    Case("edit/empty-ones-only", instead("elst", _edits(*[(1000, -1)] * 100)), SPOILT),
    Case("edit/negative-start", instead("elst", _edits((1000, -(2**31)))), SPOILT),
    Case("edit/136-years", instead("elst", _edits((MOST, 0x7FFFFFFF))), SPOILT),
    Case("edit/behind-the-last-frame", instead("elst", _edits((1000, 10**9))), SPOILT),
    Case("edit/68-years-before-it", instead("elst", _edits((0x7FFFFFFF, -1), (1000, 1024))), SPOILT),
]
TRACKS = [
    Case("track/size-of-tkhd-most", wrong("tkhd", 76, "II", MOST, MOST), SPOILT),
    Case("track/matrix-of-zeros", wrong("tkhd", 40, "9i", *[0] * 9), SPOILT),
    Case("track/matrix-of-most", wrong("tkhd", 40, "9i", *[2**31 - 1] * 9), SPOILT),
    Case("track/matrix-of-least", wrong("tkhd", 40, "9i", *[-(2**31)] * 9), SPOILT),
    Case("track/entry-of-zero-pixels", wrong("stsd", 8 + HEAD + 24, "HH", 0, 0), SPOILT),
    Case("track/entry-of-65535-pixels", wrong("stsd", 8 + HEAD + 24, "HH", 65535, 65535), SPOILT),
    Case("track/unknown-codec", wrong("stsd", 12, "4s", b"zzzz"), (UNREADABLE,), saying="no decoder"),
    Case("track/codec-of-sound", wrong("stsd", 12, "4s", b"mp4a"), SPOILT),
    Case("track/codec-vp9-for-h264", wrong("stsd", 12, "4s", b"vp09"), (UNREADABLE,)),
    Case("track/handler-of-text", wrong("hdlr", 8, "4s", b"text"), SPOILT),
    Case(
        "track/data-in-a-local-file",
        instead("dref", struct.pack(">I", 1), full("url ", 0, b"file:///etc/passwd\0")),
        SPOILT,
    ),
    Case(
        "track/hundred-frames-of-one",
        lambda seeds: seeds[CLIP],
        (DECODED,),
        Shot(NumFramesSampling(num_frames=768), size=FixedSize(64, 48)),
    ),
]
CASES = COUNTS + SIZES + TIMES + EDITS + TRACKS

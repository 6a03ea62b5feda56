"""Headers that lie or say nothing: times and pixels are the packets' own, and the record tells."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.engines.protocol import Generation
from serve_app.order import Orders
from serve_app.preparation import Facts
from serve_app.result import Place, Said, captioned
from serve_app.schema import CaptionRequest, EngineFacts, FpsSampling, FrameFacts, SourceFacts
from serve_app.settings import Settings
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.clips import X264, Coding, drifting, encode, full_decode, mux
from tests.containers import DEFAULT_DURATION, DURATION, lying

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.video.job import Decoded

FRAMES = 50  # two seconds
H264 = Coding(options={**X264, "g": "15", "bf": "3"})
CODINGS = {
    "a.mp4": H264,
    "a.mkv": H264,
    "a.flv": H264,
    "a.avi": Coding("mpeg4", options={"g": "15"}),
    "live.mkv": Coding(options=H264.options, container_options={"live": "1"}),
    "raw.obu": Coding("libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"}, container="obu"),
    "a.ivf": Coding("libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"}),
}
NO_DURATION = "the header names no duration, 2.000 s were found"

# A file, what stands in front of what is changed, the distance, the value, and the warnings.
LIES: dict[str, tuple[str, bytes, int, bytes, tuple[str, ...]]] = {
    "too many frames": (
        "a.mp4",
        b"stts",
        8,
        (500).to_bytes(4, "big"),
        ("the header says 500 frames, 50 were found",),
    ),
    "no length": (
        "a.mp4",
        b"mdhd",
        16,
        bytes(4),
        ("the header says 0.000 s, the frames cover 2.000 s",),
    ),
    "far too long": (
        "a.mkv",
        DURATION,
        0,
        struct.pack(">d", 99_000),
        ("the header says 99.000 s, the frames cover 2.000 s",),
    ),
    "too short": (
        "a.mkv",
        DURATION,
        0,
        struct.pack(">d", 100),
        ("the header says 0.100 s, the frames cover 2.000 s",),
    ),
    "negative": (
        "a.mkv",
        DURATION,
        0,
        struct.pack(">d", -5000),
        ("the header says -5.000 s, the frames cover 2.000 s",),
    ),
    "zero": ("a.mkv", DURATION, 0, bytes(8), (NO_DURATION,)),
    "not a number": ("a.mkv", DURATION, 0, struct.pack(">d", float("nan")), (NO_DURATION,)),
    "twice the rate": (
        "a.mkv",
        DEFAULT_DURATION,
        0,
        (20_000_000).to_bytes(4, "big"),
        ("the header says 50.000 fps, the frames average 25.000 fps",),
    ),
    "no rate": ("a.mkv", b"\x23\xe3\x83\x84", -4, b"\xec\x86\0\0", ()),  # an element to be skipped
    "few frames": (
        "a.avi",
        b"strh",
        36,
        (9).to_bytes(4, "little"),
        ("the header says 9 frames, 50 were found", "the header says 0.360 s, the frames cover 2.000 s"),
    ),
    "many frames": (
        "a.avi",
        b"strh",
        36,
        (9000).to_bytes(4, "little"),
        ("the header says 9000 frames, 50 were found", "the header says 360.000 s, the frames cover 2.000 s"),
    ),
    "a wrong length in Flash": (
        "a.flv",
        b"duration\0",
        0,
        struct.pack(">d", 77),
        ("the header says 77.000 s, the frames cover 2.000 s",),
    ),
    "a wrong rate in Flash": (
        "a.flv",
        b"framerate\0",
        0,
        struct.pack(">d", 240),
        ("the header says 240.000 fps, the frames average 25.000 fps",),
    ),
}


def decoded(path: Path) -> Decoded:
    return decode_file(DecodeJob(path, Shot(FpsSampling(fps=240), size=FixedSize(48, 32))))


def equal_to_a_full_decode(path: Path, got: Decoded) -> None:
    times, pixels = full_decode(path, 48, 32)
    assert got.frames.pts_seconds == pytest.approx(times, abs=1e-9)
    assert (got.frames.data == pixels).all()
    assert got.video.frame_count == FRAMES
    assert got.video.fps == pytest.approx(25)
    assert got.video.duration_s == pytest.approx(2, abs=0.021)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_changes_no_time_and_no_pixel(tmp_path: Path, lie: str) -> None:
    """Count, length and rate are found in the packets; the warning names what was said and what is."""
    name, after, offset, value, warnings = LIES[lie]
    honest = encode(tmp_path / name, drifting, FRAMES, (96, 64), CODINGS[name])
    assert decoded(honest).warnings == ()
    liar = lying(honest, after, offset, value)
    assert liar.read_bytes() != honest.read_bytes()
    got = decoded(liar)
    equal_to_a_full_decode(liar, got)
    assert got.warnings == warnings


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        ("live.mkv", (NO_DURATION,)),
        ("raw.obu", (NO_DURATION,)),
        ("a.ivf", ("the header names no frame rate",)),
    ],
)
def test_a_header_that_says_nothing_is_no_obstacle(
    tmp_path: Path, name: str, warnings: tuple[str, ...]
) -> None:
    """A live recording and bare streams have no length or no rate: both are found and that is said."""
    path = encode(tmp_path / name, drifting, FRAMES, (96, 64), CODINGS[name])
    got = decoded(path)
    equal_to_a_full_decode(path, got)
    assert got.warnings == warnings


def test_a_table_that_ends_early_is_reported(tmp_path: Path) -> None:
    """Sample times for ten of fifty frames: FFmpeg crowds the others together, and the warnings say so."""
    honest = encode(tmp_path / "a.mp4", drifting, FRAMES, (96, 64), H264)
    got = decoded(lying(honest, b"stts", 8, (10).to_bytes(4, "big")))
    assert got.warnings[0] == "the header says 10 frames, 50 were found"
    assert got.warnings[1].startswith("the header says 25.000 fps")
    assert (np.diff(got.frames.pts_seconds) > 0).all()


def test_the_record_says_stream_turn_times_and_what_was_wrong(tmp_path: Path) -> None:
    """All four reach the caption: the second stream, turned by 90 degrees, its times, the wrong length."""
    other = encode(tmp_path / "o.mp4", drifting, FRAMES, (96, 64), H264)
    turned = encode(tmp_path / "t.mp4", drifting, FRAMES, (96, 64), Coding(options=X264, rotation=90))
    both = mux(tmp_path / "both.mkv", other, turned, default=1)
    got = decoded(lying(both, DURATION, 0, struct.pack(">d", 99_000)))
    facts = Facts(
        source=SourceFacts(url="file:///v", sha256="0" * 64, bytes=1, bytes_fetched=1),
        video=got.video,
        frames=FrameFacts(pts_seconds=got.frames.pts_seconds.tolist(), width=48, height=32),
        coverage=got.coverage,
        warnings=got.warnings,
        fetch_s=0,
        decode_s=0,
    )
    said = Said(Generation("text", None, "stop"), EngineFacts(kind="baseline", model=None), "w")
    record = captioned(
        facts, said, Orders(Settings()).of(CaptionRequest(url="file:///a")), 0, Place("n", "d")
    )
    assert (record.video.stream, record.video.rotation) == (1, 90)
    assert record.frames.pts_seconds == pytest.approx(np.arange(FRAMES) / 25, abs=1e-3)
    assert record.warnings == ["the header says 99.000 s, the frames cover 2.000 s"]

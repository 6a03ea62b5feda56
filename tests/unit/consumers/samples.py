"""Literal values that the tests of the Kafka side share."""

from __future__ import annotations

from consumers.records import InputRecord, Marks, Names
from serve_app.schema import (
    Caption,
    Captioned,
    Coverage,
    EngineFacts,
    FrameFacts,
    SourceFacts,
    Timings,
    VideoFacts,
    Workers,
)

NAMES = Names(captions="video.captions", dead_letters="video.requests.dlq")
MARKS = Marks(config_hash="abc", consumer="replica")

CAPTIONED = Captioned(
    caption="A red square moves left.",
    captions=[Caption(start_s=0, end_s=2, text="A red square moves left.")],
    task="describe",
    engine=EngineFacts(kind="baseline", model=None),
    usage=None,
    source=SourceFacts(url="file:///clip.mp4", sha256="00" * 32, bytes=1234, bytes_fetched=1234),
    video=VideoFacts(
        duration_s=2, width=320, height=240, fps=25, codec="h264", frame_count=50, stream=0, rotation=0
    ),
    frames=FrameFacts(pts_seconds=[0.0, 0.5, 1.0, 1.5], width=308, height=224),
    coverage=Coverage(complete=True, start_s=0, end_s=2, ranges=(), missing_pts_seconds=()),
    warnings=[],
    timings=Timings(fetch_s=0.01, decode_s=0.1, caption_s=0.05),
    workers=Workers(node="127.0.0.1", decoder="d/1", captioner="c/2"),
)


def record(offset: int = 0, value: bytes | None = b"file:///clip.mp4", partition: int = 0) -> InputRecord:
    return InputRecord("video.requests", partition, offset, b"key", value, (("a", b"1"),), 1_700_000_000_000)

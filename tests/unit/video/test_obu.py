"""AV1 headers: which packets no frame refers to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from serve_app.schema import NumFramesSampling
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.obu import ObuHeaders
from tests.clips import Coding, drifting, encode, full_decode

if TYPE_CHECKING:
    from pathlib import Path

AV1 = {"preset": "12", "g": "60", "svtav1-params": "lp=1"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two GOPs in which frames refer to each other in several layers."""
    return encode(
        tmp_path_factory.mktemp("av1") / "a.mp4", drifting, 100, (128, 96), Coding("libsvtav1", options=AV1)
    )


def packets_of(path: Path) -> tuple[bytes | None, list[bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context.extradata, [bytes(p) for p in container.demux(stream) if p.size]


def test_packets_that_nobody_refers_to_are_found_and_change_nothing(clip: Path) -> None:
    """A part of them is; the other frames decode to the same pixels without them."""
    extradata, packets = packets_of(clip)
    headers = ObuHeaders(extradata)
    kept = [headers.is_referenced(packet) for packet in packets]
    assert kept[0]
    assert 10 < kept.count(False) < 60
    times, pixels = full_decode(clip, 48, 32)
    few = decode_file(DecodeJob(clip, Shot(NumFramesSampling(num_frames=7), size=FixedSize(48, 32))))
    same = np.searchsorted(times, few.frames.pts_seconds - 1e-4)
    assert (pixels[same] == few.frames.data).all()
    assert few.warnings == ()


def test_without_a_sequence_header_everything_is_referred_to(clip: Path) -> None:
    """Until a packet brings one, and nothing is known of a frame whose header is not understood."""
    _, packets = packets_of(clip)
    assert all(ObuHeaders(None).is_referenced(packet) for packet in packets)
    headers = ObuHeaders(None)
    assert not all([headers.is_referenced(packet) for packet in packets])  # noqa: C419  each brings its own
    short = bytes([0x0A, 0x01, 0x18])  # a sequence header of a still picture
    assert headers.is_referenced(short)
    assert all(headers.is_referenced(packet) for packet in packets[1:10])


def test_rubbish_is_referred_to_and_raises_nothing(clip: Path) -> None:
    """Cut, empty and random packets end the search."""
    extradata, packets = packets_of(clip)
    dice = random.Random(1)
    for _ in range(300):
        packet = bytearray(dice.choice(packets)[:200])
        for _ in range(dice.randrange(1, 9)):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        ObuHeaders(extradata).is_referenced(bytes(packet[: dice.randrange(len(packet) + 1)]))
    assert ObuHeaders(extradata).is_referenced(b"")
    assert ObuHeaders(b"\x81").is_referenced(b"\xff" * 40)

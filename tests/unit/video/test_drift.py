"""``on_damage: fail``: pictures that refer to damage are not taken for whole, as far as anybody can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from serve_app.errors import VideoUnreadableError
from serve_app.schema import FpsSampling, NumFramesSampling
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.clips import CODINGS, X264, Coding, drifting, encode, full_decode

if TYPE_CHECKING:
    from pathlib import Path

FRAMES, FEW, SMALL = 100, FpsSampling(fps=2), FixedSize(48, 32)  # four seconds
TOLD = "1 packets showed no frame: frames that refer to them may be wrong"


def packet_of(path: Path, ordinal: int) -> tuple[int, int]:
    """Where a packet lies, and its size."""
    with av.open(str(path)) as container:
        place, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][ordinal]
    return int(place or 0), size


def zeroed(whole: Path, at: int, count: int) -> Path:
    path, data = whole.with_name(f"zeroed-{whole.name}"), bytearray(whole.read_bytes())
    data[at : at + count] = bytes(count)
    path.write_bytes(data)
    return path


ONLY_P = {
    "h264.mp4": Coding(options={**X264, "g": "25", "bf": "0"}),
    "mpeg4.mp4": Coding("mpeg4", options={"g": "25"}),
    "vp9.webm": Coding("libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "g": "25"}),
}


@pytest.mark.parametrize("name", ONLY_P)
def test_a_frame_that_refers_to_damage_is_none_to_caption(tmp_path: Path, name: str) -> None:
    """With ``fail``, a packet that cannot be decoded fails frames after it in its GOP, and no others."""
    whole = encode(tmp_path / name, drifting, FRAMES, (128, 96), ONLY_P[name])
    place, size = packet_of(whole, 10)
    # Of VP9 and in Matroska the first bytes stay: without them it would be no packet.
    path = zeroed(whole, place + 4, size - 4) if name == "vp9.webm" else zeroed(whole, place, size)
    with pytest.raises(VideoUnreadableError, match="1 of 8 chosen frames refer to packets that could not"):
        decode_file(DecodeJob(path, Shot(FEW, size=SMALL)))
    behind = decode_file(DecodeJob(path, Shot(FEW, 1.0, size=SMALL)))
    times, pixels = full_decode(whole, 48, 32)
    same = np.searchsorted(times, behind.frames.pts_seconds - 1e-4)
    assert (pixels[same] == behind.frames.data).all()
    assert not any("packets" in warning for warning in behind.warnings)


@pytest.mark.parametrize(("ordinal", "told"), [(10, {TOLD}), (40, set())])
def test_a_frame_that_silently_never_comes_is_told(tmp_path: Path, ordinal: int, told: set[str]) -> None:
    """With ``fail``, what no decoder complains of is a warning; none of it where nobody asked for frames."""
    whole = encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), ONLY_P["h264.mp4"])
    place, size = packet_of(whole, ordinal)
    path = zeroed(whole, place + 4, size - 4)  # its length stays, and a unit that holds no slice
    got = decode_file(DecodeJob(path, Shot(FEW, end_s=1.0, size=SMALL)))
    assert set(got.warnings) == told


@pytest.mark.parametrize("name", ["pyramid.mp4", "open-gop.mp4", "hevc.mp4", "hevc-layers.mp4", "raw.h264"])
def test_a_whole_video_has_no_word_of_damage(tmp_path: Path, name: str) -> None:
    """Packets that are skipped since nobody refers to them are none that silently never came."""
    whole = encode(tmp_path / name, drifting, FRAMES, (128, 96), CODINGS[name])
    for sampling in (FEW, NumFramesSampling(num_frames=3)):
        got = decode_file(DecodeJob(whole, Shot(sampling, size=SMALL)))
        assert not any("packets" in warning for warning in got.warnings)

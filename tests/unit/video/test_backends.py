"""One contract for what decodes behind :class:`VideoDecoder`: PyAV, and TorchCodec where it is installed.

TorchCodec takes the system's FFmpeg, whose version differs from machine to machine: times are equal, pixels
nearly so. It comes with torch, which is too large for the development environment: ``make parity`` runs the
suite where it is.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pytest

from serve_app.errors import NoFramesError, VideoRefusedError, VideoUnreadableError
from serve_app.settings import LimitSettings
from serve_app.video.api import FixedSize, FpsSampling, NumFramesSampling, VideoDecoder
from tests.clips import CODINGS, X264, Coding, drifting, encode, full_decode
from tests.torchcodecs import INSTALLED, usable

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.schema import OnDamage
    from serve_app.video.job import Decoded

Name = Literal["pyav", "torchcodec"]
BACKENDS = ["pyav", pytest.param("torchcodec", marks=usable)] if INSTALLED else ["pyav"]
backends = pytest.mark.parametrize("backend", BACKENDS)
SIZE = FixedSize(48, 32)
UNEVEN = tuple(float(t) for t in np.cumsum([0.04, 0.1, 0.02, 0.5] * 15))
CLIPS = {
    "pyramid.mp4": CODINGS["pyramid.mp4"],
    "open-gop.mkv": CODINGS["open-gop.mkv"],
    "vp9.webm": CODINGS["vp9.webm"],
    "mpeg4.mp4": CODINGS["mpeg4.mp4"],
    "uneven.mkv": Coding(options={**X264, "g": "15", "bf": "3"}, pts_seconds=UNEVEN),
    "late.mkv": Coding(options={**X264, "g": "15"}, pts_seconds=tuple(7 + n / 25 for n in range(60))),
}


def every_frame(data: bytes, backend: Name, on_damage: OnDamage) -> Decoded:
    with VideoDecoder(data, backend=backend, on_damage=on_damage) as video:
        return video.sampled(FpsSampling(fps=25))


@backends
@pytest.mark.parametrize("name", CLIPS)
def test_times_are_the_containers_and_pixels_a_full_decodes(tmp_path: Path, backend: Name, name: str) -> None:
    """The index, a range and a sampling name the same frames, whichever library decodes."""
    path = encode(tmp_path / name, drifting, 60, (96, 64), CLIPS[name])
    times, pixels = full_decode(path, 48, 32)
    with VideoDecoder(path, size=SIZE, backend=backend) as video:
        assert video.index.pts_seconds == pytest.approx(times, abs=1e-6)
        assert video.index.keyframes[0] == 0
        part = video.sampled(FpsSampling(fps=240), times[10], times[20])
        few = video.frames_at([3, 31, 59])
        windows = [w.frames.pts_seconds for w in video.windows(1.0, FpsSampling(fps=240))]
    assert part.frames.pts_seconds == pytest.approx(times[10:20], abs=1e-6)
    assert np.abs(part.frames.data.astype(int) - pixels[10:20]).mean() < 6
    assert np.abs(few.data.astype(int) - pixels[[3, 31, 59]]).mean(axis=(1, 2, 3)).max() < 6
    # A window begins with what is on screen, which the one before may have shown, too.
    assert np.unique(np.concatenate(windows)) == pytest.approx(times, abs=1e-6)
    assert part.coverage.complete


@backends
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pictures_are_upright_and_wide_pixels_are_widened(
    tmp_path: Path, backend: Name, rotation: int
) -> None:
    """Turn, sample aspect ratio and the facts about both agree."""
    coding = Coding(options=X264, rotation=rotation, sample_aspect_ratio=Fraction(2))
    path = encode(tmp_path / "a.mp4", drifting, 5, (96, 64), coding)
    _, pixels = full_decode(path, 192, 64)
    with VideoDecoder(path, backend=backend) as video:
        got = video.sampled(NumFramesSampling(num_frames=1))
    expected = np.rot90(pixels[2], -rotation // 90)
    assert got.frames.data[0].shape == expected.shape
    assert np.abs(got.frames.data[0].astype(int) - expected).mean() < 8
    assert (got.video.rotation, got.video.width) == (rotation, expected.shape[1])
    assert got.video.decoder == backend


@backends
def test_refusals_are_the_same(tmp_path: Path, backend: Name) -> None:
    """No video, nothing in the range, a place that is none, more than is allowed: one error for each."""
    path = encode(tmp_path / "a.mp4", drifting, 25, (96, 64))
    with pytest.raises(VideoUnreadableError):
        VideoDecoder(b"hello" * 100, backend=backend)
    with pytest.raises(VideoRefusedError, match="pictures of 96x64"):
        VideoDecoder(path, backend=backend, limits=LimitSettings(picture_pixels=100))
    with VideoDecoder(path, backend=backend) as video:
        with pytest.raises(NoFramesError, match=r"from 5\.000 s"):
            video.sampled(FpsSampling(), 5.0)
        with pytest.raises(IndexError, match="allowed: 0 to 24"):
            video.frames_at([25])


@backends
def test_the_same_file_gives_the_same_frames(tmp_path: Path, backend: Name) -> None:
    """Twice the same bytes, in whatever order they were asked for."""
    path = encode(tmp_path / "a.mp4", drifting, 60, (96, 64), CODINGS["pyramid.mp4"])
    with VideoDecoder(path, size=SIZE, backend=backend) as video:
        late, early = video.frames_at([50]), video.frames_at([2, 50])
    assert (early.data[1] == late.data[0]).all()


@backends
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi"])
def test_a_cut_file_is_whole_for_neither(tmp_path: Path, backend: Name, name: str) -> None:
    """What is cut short is an error, or used with a coverage and a warning that say so."""
    front = {"movflags": "faststart"} if name == "a.mp4" else {}
    coding = Coding(options={**X264, "g": "15", "bf": "0"}, container_options=front)
    data = encode(tmp_path / name, drifting, 60, (96, 64), coding).read_bytes()
    half = data[: len(data) * 2 // 3]
    with pytest.raises(VideoUnreadableError, match="the file is cut short"):
        every_frame(half, backend, "fail")
    got = every_frame(half, backend, "partial")
    assert 15 <= len(got.frames) < 60
    assert not got.coverage.complete
    assert any(said.startswith("the file is cut short") for said in got.warnings)


def test_either_is_pyav_where_it_can(tmp_path: Path) -> None:
    """No fallback, no warning."""
    path = encode(tmp_path / "a.mp4", drifting, 5, (96, 64))
    with VideoDecoder(path, backend="either") as video:
        assert repr(video).startswith("VideoDecoder(pyav,")
        assert video.sampled(FpsSampling()).warnings == ()


def test_a_backend_that_is_none_is_named() -> None:
    """The refusal lists those that there are."""
    with pytest.raises(ValueError, match=r"^backend must be one of pyav, torchcodec, either, is 'gpu'$"):
        VideoDecoder(b"", backend=cast("Name", "gpu"))

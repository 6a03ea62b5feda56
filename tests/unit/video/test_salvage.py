"""``on_damage: partial``: what is whole is used, what is not is left out and named, nothing is made up."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from serve_app.errors import NoFramesError, VideoUnreadableError
from serve_app.order import Orders
from serve_app.preparation import Preparation, Prepared
from serve_app.schema import CaptionRequest, FpsSampling, NumFramesSampling, Sampling
from serve_app.settings import LimitSettings, Settings
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.sandbox import Sandbox
from tests.clips import CODINGS, X264, Coding, drifting, encode, full_decode

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.schema.request import OnDamage
    from serve_app.video.job import Decoded

FRAMES = 100  # four seconds
EVERY, FEW = FpsSampling(fps=240), FpsSampling(fps=2)
FASTSTART = Coding(options={**X264, "g": "25", "bf": "2"}, container_options={"movflags": "+faststart"})
CUT = {
    "a.mp4": FASTSTART,
    "a.mkv": Coding(options={**X264, "g": "25", "bf": "2"}),
    "a.webm": Coding("libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "g": "25"}),
    "a.avi": Coding("mpeg4", options={"g": "25"}),
}


def shot(sampling: Sampling, start_s: float | None = None, on_damage: OnDamage = "partial") -> Shot:
    return Shot(sampling, start_s, size=FixedSize(48, 32), on_damage=on_damage)


def decoded(path: Path, asked: Shot) -> Decoded:
    return decode_file(DecodeJob(path, asked))


def cut(whole: Path, share: float) -> Path:
    path = whole.with_name(f"cut-{whole.name}")
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    return path


def zeroed(whole: Path, at: int, count: int) -> Path:
    path, data = whole.with_name(f"zeroed-{whole.name}"), bytearray(whole.read_bytes())
    data[at : at + count] = bytes(count)
    path.write_bytes(data)
    return path


def all_are_true(whole: Path, got: Decoded) -> None:
    """Every frame has its own pixels, and none is named twice."""
    times, pixels = full_decode(whole, 48, 32)
    same = np.searchsorted(times, got.frames.pts_seconds - 1e-4)
    assert times[same] == pytest.approx(got.frames.pts_seconds, abs=1e-4)
    assert (pixels[same] == got.frames.data).all()
    missing = np.array(got.coverage.missing_pts_seconds)
    assert not np.isin(missing, got.frames.pts_seconds).any()


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_half_a_download_gives_what_is_there(tmp_path: Path, name: str, share: float) -> None:
    """Up to the cut every frame comes out as from the whole file; the coverage ends there and says so."""
    whole = encode(tmp_path / name, drifting, FRAMES, (128, 96), CUT[name])
    path = cut(whole, share)
    with pytest.raises(VideoUnreadableError, match="the file is cut short"):
        decoded(path, shot(EVERY, on_damage="fail"))
    got = decoded(path, shot(EVERY))
    all_are_true(whole, got)
    assert 10 < len(got.frames) < FRAMES
    assert not got.coverage.complete
    (covered,) = got.coverage.ranges
    assert covered.start_s == got.coverage.start_s == got.frames.pts_seconds[0]
    assert covered.end_s == pytest.approx(got.frames.pts_seconds[-1], abs=0.13)
    if name != "a.avi":  # its length is counted from what is there
        assert got.coverage.end_s == pytest.approx(4, abs=0.09)
    assert any(warning.startswith("the file is cut short") for warning in got.warnings)


def test_a_range_beyond_the_cut_holds_no_frame(tmp_path: Path) -> None:
    """If nothing is left of what was asked, that is an error that says where the video ends."""
    path = cut(encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), FASTSTART), 0.4)
    with pytest.raises(NoFramesError, match=r"no frame is shown from 3\.500 s"):
        decoded(path, shot(EVERY, start_s=3.5))


def test_damage_in_the_middle_leaves_a_hole(tmp_path: Path) -> None:
    """The GOP that was hit is left out from there on, the GOPs around it are whole, and the hole is named."""
    whole = encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), FASTSTART)
    path = zeroed(whole, whole.stat().st_size // 2, 2000)
    got = decoded(path, shot(EVERY))
    all_are_true(whole, got)
    lost = got.coverage.missing_pts_seconds
    assert 1 <= len(lost) <= 50
    assert len(got.frames) + len(lost) == FRAMES
    assert f"{len(lost)} of 100 chosen frames are lost to damage and left out" in got.warnings
    before, after = got.coverage.ranges
    assert [before.start_s, before.end_s] == pytest.approx([0, lost[0]])
    assert [after.start_s, after.end_s] == pytest.approx([lost[-1] + 0.04, 4])


@pytest.mark.parametrize("name", ["pyramid.mp4", "open-gop.mp4", "mpeg4.mp4", "mpeg2.ts", "broadcast.ts"])
def test_no_frame_behind_damage_is_taken_for_whole(tmp_path: Path, name: str) -> None:
    """Zeros at many places, many frames or few: those handed out look like the original's."""
    whole = encode(tmp_path / name, drifting, FRAMES, (128, 96), CODINGS[name])
    times, pixels = full_decode(whole, 48, 32)
    dice, size, lost = random.Random(3), whole.stat().st_size, 0
    for _ in range(6):
        path = zeroed(whole, dice.randrange(size // 4, size * 3 // 4), 400)
        for sampling in (EVERY, FEW):
            got = decoded(path, shot(sampling))
            lost += len(got.coverage.missing_pts_seconds)
            same = np.searchsorted(times, got.frames.pts_seconds - 1e-4)
            apart = np.abs(pixels[same].astype(int) - got.frames.data).mean(axis=(1, 2, 3))
            assert (apart < 3).all()
    assert lost


def test_a_frame_that_silently_never_comes_is_damage(tmp_path: Path) -> None:
    """An HEVC packet of zeros raises no error and shows no frame: what follows it in its GOP is left out."""
    whole = encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), CODINGS["hevc.mp4"])
    with av.open(str(whole)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    place, size = packets[33]
    path = zeroed(whole, int(place or 0), size)
    got = decoded(path, shot(FEW))
    all_are_true(whole, got)
    assert got.coverage.missing_pts_seconds


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    """Damage that reaches every chosen frame ends as an error, not as an empty answer."""
    coding = Coding(options={**X264, "g": "600", "bf": "0"}, container_options={"movflags": "+faststart"})
    whole = encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), coding)
    start = whole.read_bytes().index(b"mdat") + 4
    path = zeroed(whole, start, 6000)
    with pytest.raises(VideoUnreadableError, match="none of 3 chosen frames could be decoded whole"):
        decoded(path, shot(NumFramesSampling(num_frames=3)))


def test_a_whole_video_is_complete(tmp_path: Path) -> None:
    """With nothing wrong, `partial` changes nothing and the coverage is the asked range."""
    whole = encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), FASTSTART)
    part, full = decoded(whole, shot(FEW, 1.0)), decoded(whole, shot(FEW, 1.0, "fail"))
    assert (part.frames.data == full.frames.data).all()
    assert part.coverage == full.coverage
    assert part.coverage.model_dump() == {
        "complete": True,
        "start_s": 1.0,
        "end_s": 4.0,
        "ranges": ({"start_s": 1.0, "end_s": 4.0},),
        "missing_pts_seconds": (),
    }


async def test_the_child_tells_what_is_missing(tmp_path: Path) -> None:
    """Frames and coverage cross the process boundary together: the memory holds those that are left."""
    whole = encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), FASTSTART)
    path = zeroed(whole, whole.stat().st_size // 2, 2000)
    here = decoded(path, shot(EVERY))
    box = Sandbox(children=1, timeout_s=60, max_frames_bytes=1 << 20, limits=LimitSettings())
    await box.start()
    async with box.decode(DecodeJob(path, shot(EVERY))) as got:
        assert (got.frames.data == here.frames.data).all()
        assert (got.coverage, got.warnings) == (here.coverage, here.warnings)
    await box.close()


async def test_a_request_decides_before_the_settings(tmp_path: Path) -> None:
    """The settings' `on_damage` counts where a request is silent, and no further."""
    path = cut(encode(tmp_path / "a.mp4", drifting, FRAMES, (128, 96), FASTSTART), 0.4)
    settings = Settings.model_validate(
        {
            "decoder": {"on_damage": "partial", "max_frames_mib": 64},
            "sources": {"file_roots": [str(tmp_path)]},
        }
    )
    preparation, orders = Preparation(settings), Orders(settings)
    await preparation.start()
    async with preparation.open(orders.of(CaptionRequest(url=path.as_uri()))) as prepared:
        assert isinstance(prepared, Prepared)
        assert not prepared.facts.coverage.complete
    with pytest.raises(VideoUnreadableError, match="the file is cut short"):
        async with preparation.open(orders.of(CaptionRequest(url=path.as_uri(), on_damage="fail"))):
            pass
    await preparation.close()


def test_a_request_may_say_either() -> None:
    """`on_damage` is `fail`, `partial`, or left to the settings; the refusal of others names both."""
    url = "https://example.org/v.mp4"
    assert CaptionRequest(url=url).on_damage is None
    assert CaptionRequest(url=url, on_damage="partial").on_damage == "partial"
    with pytest.raises(ValueError, match="'fail' or 'partial'"):
        CaptionRequest.model_validate({"url": url, "on_damage": "ignore"})

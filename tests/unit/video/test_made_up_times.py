"""Containers whose times lack, are made up or jump back: frames come in order, and the warnings tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from serve_app.schema import FpsSampling
from serve_app.video.api import VideoDecoder, VideoUnreadableError
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.times import NEAR
from tests.clips import QUIET, X264, Coding, drifting, encode, full_decode

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.video.job import Decoded

FRAMES, FPS, EVERY, SMALL = 50, 25, FpsSampling(fps=240), FixedSize(48, 32)
PYRAMID = {**X264, "g": "15", "bf": "3", "x264-params": "b-pyramid=normal:ref=4"}
MPEG4 = Coding("mpeg4", options={"bf": "2", "g": "15"})
COUNTED = "the container stores no presentation times: frames are counted, and have the times of decoding"
BACK = "the container's times jump back {}: what follows is shifted behind what precedes"
HEVC = {**QUIET, "x265-params": QUIET["x265-params"] + ":bframes=4:b-pyramid=1:keyint=15"}


def decoded(path: Path, shot: Shot | None = None) -> Decoded:
    return decode_file(DecodeJob(path, shot or Shot(EVERY, size=SMALL)))


def transport(path: Path, start_s: float) -> Path:
    times = tuple(start_s + n / FPS for n in range(FRAMES))
    coding = Coding(options={**X264, "g": "15", "bf": "3"}, pts_seconds=times, container="mpegts")
    return encode(path, drifting, FRAMES, (96, 64), coding)


def without_pts(path: Path, *frames: int) -> Path:
    """The same transport stream, the pictures stored at these places without their time."""
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(b"\0\0\1\xe0", at)]
    for frame in frames:
        data[starts[frame] + 7] &= 0x3F
    other = path.with_name(f"without-{path.name}")
    other.write_bytes(data)
    return other


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("name", ["a.avi", "a.asf", "a.mxf"])
@pytest.mark.parametrize("frames_between", ["1", "3"])
def test_containers_without_presentation_times_show_frames_in_order(
    tmp_path: Path, name: str, frames_between: str
) -> None:
    """H.264 with B-frames where only decoding times are stored: every frame once, in order, at its time."""
    coding = Coding(options={**PYRAMID, "bf": frames_between})
    path = encode(tmp_path / name, drifting, FRAMES, (96, 64), coding)
    _, pixels = full_decode(path, 48, 32)
    got = decoded(path)
    assert got.frames.pts_seconds == pytest.approx(np.arange(FRAMES) / FPS, abs=1e-3)
    assert (got.frames.data == pixels).all()
    assert COUNTED in got.warnings
    part = decoded(path, Shot(EVERY, 0.5, 1.0, SMALL))
    chosen = np.searchsorted(got.frames.pts_seconds, part.frames.pts_seconds)
    assert (part.frames.data == pixels[chosen]).all()


@pytest.mark.parametrize("ordinal", [5, 20, 40])
def test_damage_among_counted_frames_leaves_out_what_comes_near(tmp_path: Path, ordinal: int) -> None:
    """A refused picture shifts the counts of those shown after it, of which some are stored before it."""
    whole = encode(tmp_path / "a.avi", drifting, FRAMES, (96, 64), Coding(options=PYRAMID))
    times, pixels = np.arange(FRAMES) / FPS, full_decode(whole, 48, 32)[1]
    with av.open(str(whole)) as container:
        place, size = [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size][ordinal]
    data = whole.read_bytes()
    filler = re.sub(rb"\x00\x00\x01.", b"\x00\x00\x01\x0c", data[place : place + size], flags=re.DOTALL)
    path = tmp_path / "b.avi"
    path.write_bytes(data[:place] + filler + data[place + size :])
    with pytest.raises(VideoUnreadableError, match="49 of 50 chosen frames could be decoded"):
        decoded(path)
    try:
        part = decoded(path, Shot(EVERY, size=SMALL, on_damage="partial"))
    except VideoUnreadableError:
        assert ordinal < NEAR
    else:
        assert not part.coverage.complete
        same = np.searchsorted(times, part.frames.pts_seconds - 1e-3)
        assert (part.frames.data == pixels[same]).all()


CONTAINERS_THAT_TELL = {
    "hevc.flv": Coding("libx265", options=HEVC),
    "mpeg4.asf": MPEG4,
    "mpeg4.avi": MPEG4,
    "only-p.avi": Coding(options={**X264, "bf": "0"}),
    "h264.nut": Coding(options=PYRAMID),
    "mpeg2.mxf": Coding("mpeg2video", options={"bf": "2", "g": "12"}),
}


@pytest.mark.parametrize("name", CONTAINERS_THAT_TELL)
def test_other_times_are_believed(tmp_path: Path, name: str) -> None:
    """Where the container stores pts, or FFmpeg knows the order, they are used, with seeking and skipping."""
    path = encode(tmp_path / name, drifting, FRAMES, (96, 64), CONTAINERS_THAT_TELL[name])
    times, pixels = full_decode(path, 48, 32)
    got = decoded(path)
    assert got.frames.pts_seconds == pytest.approx(times, abs=1e-9)
    assert (got.frames.data == pixels).all()
    assert COUNTED not in got.warnings


def test_one_lacking_pts_is_filled_in(tmp_path: Path) -> None:
    """All times stay those of the container, 10 s to 12 s, and the gap is closed with its very frame."""
    whole = transport(tmp_path / "a.ts", 10.0)
    times, pixels = full_decode(whole, 48, 32)
    got = decoded(without_pts(whole, 20))
    assert got.frames.pts_seconds == pytest.approx(times, abs=1e-4)
    assert (got.frames.data == pixels).all()
    assert got.warnings[0] == "1 of 50 packets have no pts: 1 were filled in from those around them"


def test_several_lacking_pts_leave_frames_out(tmp_path: Path) -> None:
    """Which of two neighbours belongs where, nobody can tell: neither is shown, and all others are right."""
    whole = transport(tmp_path / "a.ts", 10.0)
    times, pixels = full_decode(whole, 48, 32)
    got = decoded(without_pts(whole, 20, 21))
    same = np.searchsorted(times, got.frames.pts_seconds - 1e-4)
    assert len(same) == FRAMES - 2
    assert (got.frames.data == pixels[same]).all()
    left_out = "2 of 50 packets have no pts: 0 were filled in from those around them, 2 frames are left out"
    assert got.warnings[0] == left_out


def test_a_keyframe_without_pts_leaves_its_neighbours_right(tmp_path: Path) -> None:
    """Leading frames of an open GOP start at a keyframe before, also where theirs has no time."""
    options = {**X264, "bf": "3", "x264-params": "open-gop=1:keyint=12:min-keyint=12"}
    coding = Coding(options=options, container="mpegts")
    whole = encode(tmp_path / "a.ts", drifting, FRAMES, (96, 64), coding)
    with VideoDecoder(whole) as video:
        key = int(np.flatnonzero(video.index.packets.keyframe)[2])
    times, pixels = full_decode(whole, 48, 32)
    with VideoDecoder(without_pts(whole, key), size=SMALL) as video:
        for frame in range(len(video)):
            seen = video.frames_at([frame])
            same = int(np.searchsorted(times, seen.pts_seconds[0] - 1e-4))
            assert (seen.data[0] == pixels[same]).all()


def test_a_program_stream_with_few_pts_starts_where_they_do(tmp_path: Path) -> None:
    """Several pictures in one PES packet: frames are counted from the first one's time."""
    path = encode(tmp_path / "a.mpg", drifting, FRAMES, (96, 64), Coding(options=PYRAMID))
    times, pixels = full_decode(path, 48, 32)
    got = decoded(path)
    assert times[0] > 0.1
    assert got.frames.pts_seconds == pytest.approx(times[0] + np.arange(FRAMES) / FPS, abs=1e-3)
    assert (got.frames.data == pixels).all()
    assert "packets have no pts; times are counted at 25.000 fps from" in got.warnings[0]


def test_recordings_joined_byte_by_byte_follow_each_other(tmp_path: Path) -> None:
    """Three times one recording of two seconds is six seconds, in order; each join is told."""
    one = transport(tmp_path / "a.ts", 0.0)
    _, pixels = full_decode(one, 48, 32)
    path = joined(tmp_path / "b.ts", one, one, one)
    got = decoded(path)
    assert np.diff(got.frames.pts_seconds) == pytest.approx(np.full(3 * FRAMES - 1, 1 / FPS), abs=1e-4)
    assert (got.frames.data == np.concatenate([pixels] * 3)).all()
    assert got.warnings[0] == BACK.format("2 times")
    with VideoDecoder(path, size=SMALL) as video:
        late = video.frames_at([2 * FRAMES + 7, 2 * FRAMES + 40])
    assert (late.data == pixels[[7, 40]]).all()


def test_a_recording_joined_to_a_later_one_is_whole(tmp_path: Path) -> None:
    """At 10 s goes on what begins at 0 s: the counters break there, which is no damage."""
    late, early = transport(tmp_path / "a.ts", 10.0), transport(tmp_path / "b.ts", 0.0)
    got = decoded(joined(tmp_path / "c.ts", late, early))
    both = [full_decode(path, 48, 32)[1] for path in (late, early)]
    assert got.frames.pts_seconds == pytest.approx(10.0 + np.arange(2 * FRAMES) / FPS, abs=1e-3)
    assert (got.frames.data == np.concatenate(both)).all()
    assert got.coverage.complete
    assert got.warnings[0] == BACK.format("1 time")


def test_a_clock_that_turns_over_at_a_join_is_a_jump_back(tmp_path: Path) -> None:
    """From 100 s back to 0 s FFmpeg adds a day: it is still a join."""
    late, early = transport(tmp_path / "a.ts", 100.0), transport(tmp_path / "b.ts", 0.0)
    got = decoded(joined(tmp_path / "c.ts", late, early))
    assert got.frames.pts_seconds == pytest.approx(100.0 + np.arange(2 * FRAMES) / FPS, abs=1e-3)
    assert got.warnings[0] == BACK.format("1 time")

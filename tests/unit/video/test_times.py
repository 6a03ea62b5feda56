"""The times of every kind of container are those of its frames, and ranges are half-open on them."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, cycle, islice
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from serve_app.schema import FpsSampling
from serve_app.video.clips import FPS, square_on
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.clips import QUIET, X264, Coding, drifting, encode, full_decode, mux
from tests.containers import edited, with_cover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_app.video.job import Decoded

    Make = Callable[[Path], Path]

FRAMES = 50
EVERY = FpsSampling(fps=240)
LATE = tuple(7 + n / FPS for n in range(FRAMES))
UNEVEN = tuple(islice(accumulate(cycle((0.04, 0.1, 0.02, 0.5))), FRAMES))
GOPS = {**X264, "g": "15", "bf": "3"}
OPEN = {**X264, "bf": "3", "x264-params": "open-gop=1:keyint=12:min-keyint=12"}
HEVC_OPEN = {**QUIET, "x265-params": QUIET["x265-params"] + ":open-gop=1:keyint=12:min-keyint=12:bframes=3"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "15"}
AV1 = {"preset": "12", "g": "15", "svtav1-params": "lp=1"}
EVEN, ODD = (96, 64), (97, 65)
TICK = 512  # of a frame, in FFmpeg's MP4 at 25 frames per second

PLAIN: dict[str, tuple[Coding, tuple[int, int]]] = {
    "ten-bit.mp4": (Coding(pixels="yuv420p10le", options=GOPS), EVEN),
    "4-4-4-odd.mp4": (Coding(pixels="yuv444p", options=GOPS), ODD),
    "4-2-2-ten-bit.mkv": (Coding(pixels="yuv422p10le", options=GOPS), (96, 65)),
    "grey.mp4": (Coding(pixels="gray", options=GOPS), EVEN),
    "hevc-ten-bit.mp4": (Coding("libx265", pixels="yuv420p10le", options={**QUIET, "g": "15"}), EVEN),
    "hevc-4-4-4-odd.mkv": (Coding("libx265", pixels="yuv444p", options={**QUIET, "g": "15"}), ODD),
    "hevc-open-gop.mkv": (Coding("libx265", options=HEVC_OPEN), EVEN),
    "hevc.ts": (Coding("libx265", options={**QUIET, "g": "15"}, container="mpegts"), EVEN),
    "vp9-4-4-4.webm": (Coding("libvpx-vp9", pixels="yuv444p", options=VP9), ODD),
    "vp9-odd.mkv": (Coding("libvpx-vp9", options=VP9), ODD),
    "vp9-uneven.webm": (Coding("libvpx-vp9", options=VP9, pts_seconds=UNEVEN), EVEN),
    "av1-ten-bit.webm": (Coding("libsvtav1", pixels="yuv420p10le", options=AV1), EVEN),
    "av1-odd.mkv": (Coding("libsvtav1", options=AV1), ODD),
    "mpeg4-odd.avi": (Coding("mpeg4", options={"g": "15", "bf": "2"}), ODD),
    "gif-odd.gif": (Coding("gif", pixels="rgb8", options={}), ODD),
    "mjpeg-odd.mov": (Coding("mjpeg", pixels="yuvj444p", options={}), ODD),
    "prores.mov": (Coding("prores_ks", pixels="yuv422p10le", options={}), EVEN),
    "ffv1.mkv": (Coding("ffv1", pixels="yuv444p10le", options={}), ODD),
    "flash.flv": (Coding(options=GOPS), EVEN),
    "uneven-pyramid.mkv": (Coding(options=GOPS, pts_seconds=UNEVEN), EVEN),
    "uneven.ts": (Coding(options=GOPS, pts_seconds=UNEVEN, container="mpegts"), EVEN),
    "late.mp4": (Coding(options=GOPS, pts_seconds=LATE), EVEN),
    "late.webm": (Coding("libvpx-vp9", options=VP9, pts_seconds=LATE), EVEN),
    "late-open-gop.ts": (Coding(options=OPEN, pts_seconds=LATE, container="mpegts"), EVEN),
}


def open_gop(path: Path) -> Path:
    return encode(path, drifting, FRAMES, EVEN, Coding(options=OPEN))


def red(path: Path) -> Path:
    return encode(path, square_on((200, 0, 0), (200, 0, 0)), FRAMES, EVEN, Coding(fps=10, options=GOPS))


BENT: dict[str, Make] = {
    "a cut into an open GOP": lambda folder: edited(open_gop(folder / "a.mp4"), [(800, 18 * TICK)]),
    "two edits with a hole between": lambda folder: edited(
        open_gop(folder / "a.mp4"), [(480, 4 * TICK), (600, 30 * TICK)]
    ),
    "an empty edit in front": lambda folder: edited(
        open_gop(folder / "a.mp4"), [(1500, -1), (2000, 2 * TICK)]
    ),
    "a cover in front": lambda folder: with_cover(folder / "b.mp4", open_gop(folder / "a.mp4")),
    "two streams in MP4": lambda folder: mux(
        folder / "c.mp4", red(folder / "r.mp4"), open_gop(folder / "a.mp4"), default=1
    ),
    "two streams in Matroska": lambda folder: mux(
        folder / "c.mkv", red(folder / "r.mp4"), open_gop(folder / "a.mp4"), default=1
    ),
}
CORPUS: dict[str, Make] = {
    **{
        name: lambda folder, name=name: encode(  # type: ignore[misc]  # each lambda keeps its own name
            folder / name, drifting, FRAMES, PLAIN[name][1], PLAIN[name][0]
        )
        for name in PLAIN
    },
    **BENT,
}
Full = tuple["Path", "NDArray[np.float64]", "NDArray[np.uint8]", int]


@pytest.fixture(scope="module", params=CORPUS)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Full:
    """A file, every frame that a full decode of it shows, and how many it gives."""
    path = CORPUS[request.param](tmp_path_factory.mktemp("times"))
    times, pixels = full_decode(path, 48, 32)
    # Where two edits meet, FFmpeg gives two frames one pts: the first of them is on screen for no time.
    seen = np.append(np.diff(times) > 0, True)
    return path, times[seen], pixels[seen], len(times)


def decoded(path: Path, start_s: float | None = None, end_s: float | None = None) -> Decoded:
    return decode_file(DecodeJob(path, Shot(EVERY, start_s, end_s, FixedSize(48, 32))))


def test_all_times_and_pixels_are_those_of_a_full_decode(full: Full) -> None:
    """Every frame comes out once, with the pts that a full decode gives it and with its pixels."""
    path, times, pixels, total = full
    got = decoded(path)
    assert got.frames.pts_seconds == pytest.approx(times, abs=1e-9)
    assert (got.frames.data == pixels).all()
    assert got.video.frame_count == total


def test_ranges_are_half_open(full: Full) -> None:
    """From one frame's pts to another's: the first is in, the second is not; neighbours share no frame."""
    path, times, pixels, _ = full
    low, middle, high = (len(times) * part // 8 for part in (1, 3, 7))
    first = decoded(path, times[low], times[middle])
    second = decoded(path, times[middle], times[high])
    assert first.frames.pts_seconds == pytest.approx(times[low:middle], abs=1e-9)
    assert second.frames.pts_seconds == pytest.approx(times[middle:high], abs=1e-9)
    assert (np.concatenate((first.frames.data, second.frames.data)) == pixels[low:high]).all()


def test_a_frame_is_shown_until_the_next(full: Full) -> None:
    """A range that starts between two frames begins with the one on screen."""
    path, times, pixels, _ = full
    between = (times[7] + times[8]) / 2
    got = decoded(path, between, times[9])
    assert got.frames.pts_seconds == pytest.approx(times[7:9], abs=1e-9)
    assert (got.frames.data == pixels[7:9]).all()


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("ratio", [None, Fraction(3, 2)], ids=["square", "wide pixels"])
def test_turning_and_widening_leave_times_and_pixels(
    tmp_path: Path, name: str, rotation: int, ratio: Fraction | None
) -> None:
    """Rotation and sample aspect ratio, also together, are applied to a full decode's very pixels."""
    coding = Coding(options=GOPS, rotation=rotation, sample_aspect_ratio=ratio)
    path = encode(tmp_path / name, drifting, FRAMES, EVEN, coding)
    shown = (144 if ratio else 96, 64)
    times, pixels = full_decode(path, *shown)
    got = decode_file(DecodeJob(path, Shot(EVERY, size=FixedSize())))
    assert got.frames.pts_seconds == pytest.approx(times, abs=1e-9)
    assert (got.frames.data == np.rot90(pixels, -rotation // 90, axes=(1, 2))).all()
    assert (got.video.rotation, got.video.width) == (rotation, shown[rotation % 180 > 0])


def test_the_chosen_stream_is_told(tmp_path: Path) -> None:
    """A cover before the video is passed over, and so is a stream that is not the default."""
    cover = BENT["a cover in front"](tmp_path)
    with av.open(str(cover)) as container:
        expected = [s.index for s in container.streams.video if s.codec_context.name == "h264"]
        assert len(container.streams.video) == 2
    assert [decoded(cover).video.stream] == expected
    for name in ("two streams in MP4", "two streams in Matroska"):
        assert decoded(BENT[name](tmp_path)).video.stream == 1

"""The decoder as a library: index, plan, frames, windows."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.video.api import (
    FixedSize,
    FpsSampling,
    NoFramesError,
    NumFramesSampling,
    SceneSampling,
    VideoDecoder,
    VideoUnreadableError,
)
from serve_app.video.clips import shots
from tests.clips import CODINGS, X264, Coding, drifting, encode, full_decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = FixedSize(48, 32)
FASTSTART = Coding(options={**X264, "g": "25", "bf": "2"}, container_options={"movflags": "+faststart"})
Clip = tuple["Path", "NDArray[np.float64]", "NDArray[np.uint8]"]


@pytest.fixture(scope="module", params=["open-gop.mp4", "vp9.webm", "intra-refresh.mp4", "raw.h264"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Six seconds, and all of its frames."""
    path = tmp_path_factory.mktemp("api") / request.param
    encode(path, drifting, 150, (96, 64), CODINGS[request.param])
    times, pixels = full_decode(path, 48, 32)
    return path, np.arange(150) / 25 if np.isnan(times).any() else times, pixels


def test_the_index_tells_times_and_keyframes_without_pixels(clip: Clip) -> None:
    """All times, and where GOPs begin, before anything is decoded."""
    path, times, _ = clip
    with VideoDecoder(path) as video:
        assert video.index.pts_seconds == pytest.approx(times, abs=1e-9)
        assert len(video) == 150
        assert repr(video).endswith("VideoIndex(150 frames, 0.000 s to 6.000 s))")
        if path.name == "open-gop.mp4":
            assert video.index.keyframes[:3].tolist() == [0, 12, 24]


def test_frames_come_by_place_by_time_and_by_sampling(clip: Clip) -> None:
    """Three ways to the same frames, one after another on one open file, in any direction."""
    path, times, pixels = clip
    with VideoDecoder(path, size=SIZE) as video:
        late = video.frames_at([77, 78, 140])
        early = video.frames_played_at([0.05, 0.06, 1.0])
        spread = video.sampled(NumFramesSampling(num_frames=4), 2.0, 4.0)
    assert (late.data == pixels[[77, 78, 140]]).all()
    assert late.pts_seconds == pytest.approx(times[[77, 78, 140]], abs=1e-9)
    assert (early.data == pixels[[1, 25]]).all()
    same = np.searchsorted(times, spread.frames.pts_seconds - 1e-6)
    assert same.tolist() == [50, 66, 83, 99]
    assert (spread.frames.data == pixels[same]).all()


def test_a_plan_is_a_value(tmp_path: Path) -> None:
    """What would be decoded is known beforehand: one GOP for one frame, its packets counted."""
    path = encode(tmp_path / "a.mp4", drifting, 100, (96, 64), FASTSTART)
    with VideoDecoder(path) as video:
        plan = video.plan(video.choose(NumFramesSampling(num_frames=1), 2.0, 3.0))
        assert plan == video.plan([62])
        (stretch,) = plan.stretches
        assert stretch.start == 50
        assert 1 < plan.packets <= 25


def test_scenes_take_a_look_first(tmp_path: Path) -> None:
    """Two colours make two shots; times alone cannot choose them, and the refusal says so."""
    draw = shots([(220, 0, 0), (0, 0, 220)], 50)
    path = encode(tmp_path / "a.mp4", draw, 100, (96, 64), FASTSTART)
    with VideoDecoder(path, size=SIZE) as video:
        got = video.sampled(SceneSampling())
        assert [int(picture.mean(axis=(0, 1)).argmax()) for picture in got.frames.data] == [0, 2]
        with pytest.raises(ValueError, match="the scene strategy looks at the pictures"):
            video.choose(SceneSampling())


def test_bytes_are_a_source_too(clip: Clip) -> None:
    """A video in memory gives the frames of the file, each time the same."""
    path, _, pixels = clip
    for _ in range(2):
        with VideoDecoder(path.read_bytes(), size=SIZE) as video:
            assert (video.frames_at([3, 4]).data == pixels[[3, 4]]).all()


@pytest.mark.parametrize(("length", "overlap"), [(2.0, 0.0), (2.5, 0.5), (60.0, 0.0)])
def test_windows_hold_a_full_decodes_frames(clip: Clip, length: float, overlap: float) -> None:
    """Every window has exactly the frames of its half-open range, shared where windows overlap."""
    path, times, pixels = clip
    seen: list[int] = []
    with VideoDecoder(path, size=SIZE) as video:
        for window in video.windows(length, FpsSampling(fps=240), overlap_s=overlap):
            inside = np.flatnonzero((times > window.start_s - 1e-6) & (times < window.end_s - 1e-6))
            assert window.frames.pts_seconds == pytest.approx(times[inside], abs=1e-9)
            assert (window.frames.data == pixels[inside]).all()
            seen += inside.tolist()
    assert sorted(set(seen)) == list(range(150))
    assert (len(seen) == 150) is (overlap == 0)


def test_windows_are_not_kept(tmp_path: Path) -> None:
    """Windows are decoded when they are asked for, and let go of when their reader lets go."""
    path = encode(tmp_path / "a.mp4", drifting, 100, (96, 64), FASTSTART)
    with VideoDecoder(path) as video:
        coming = video.windows(1.0, FpsSampling(fps=5))
        window = next(coming)
        pixels = weakref.ref(window.frames.data)
        del window
        gc.collect()
        assert pixels() is None
        assert next(coming).start_s == pytest.approx(1.0)


def test_a_cut_file_gives_windows_up_to_the_cut(tmp_path: Path) -> None:
    """With ``partial`` the coverage of the last windows tells; with ``fail`` there is none."""
    whole = encode(tmp_path / "a.mp4", drifting, 100, (96, 64), FASTSTART).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with VideoDecoder(path, on_damage="partial") as video:
        found = list(video.windows(1.0, FpsSampling(fps=5)))
        assert [window.decoded.coverage.complete for window in found][:2] == [True, True]
        assert 2 <= len(found) <= 3
    with VideoDecoder(path) as video, pytest.raises(VideoUnreadableError, match="cut short"):
        video.sampled(FpsSampling(fps=1))


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda v: v.frames_at([0, 100]), IndexError, "^there is no frame 100; allowed: 0 to 99$"),
        (lambda v: v.frames_at([-1]), IndexError, "^there is no frame -1; allowed: 0 to 99$"),
        (lambda v: v.frames_at([]), IndexError, "^indices must hold one place at least, is empty$"),
        (lambda v: v.frames_at([5, 5]), IndexError, "^indices must rise, each once$"),
        (
            lambda v: v.frames_played_at([4.0]),
            ValueError,
            "^no frame is shown at 4 s; allowed: from 0.000 s to 4.000 s, the end not included$",
        ),
        (lambda v: v.windows(0.0, FpsSampling()), ValueError, "^length_s must be above 0"),
        (
            lambda v: v.windows(1.0, FpsSampling(), start_s=9.0),
            NoFramesError,
            "^no frame is shown from 9.000 s",
        ),
        (lambda v: v.sampled(FpsSampling(), 4.5), NoFramesError, r"from 0\.000 s to 4\.000 s$"),
    ],
)
def test_refusals_name_the_value_and_what_is_allowed(
    tmp_path: Path, call: Callable[[VideoDecoder], object], kind: type[Exception], said: str
) -> None:
    """A place or a time that the video does not have is an error that says which it has."""
    path = encode(tmp_path / "a.mp4", drifting, 100, (96, 64), FASTSTART)
    with VideoDecoder(path) as video, pytest.raises(kind, match=said):
        call(video)


def test_a_closed_decoder_says_so(tmp_path: Path) -> None:
    """Frames stay after the file is closed; asking for more is an error, closing twice is none."""
    video = VideoDecoder(encode(tmp_path / "a.mp4", drifting, 5, (96, 64)))
    frames = video.frames_at([4])
    video.close()
    video.close()
    assert frames.data.shape == (1, 64, 96, 3)
    with pytest.raises(ValueError, match=r"^the decoder is closed$"):
        video.frames_at([4])


def test_what_is_no_video_is_refused_when_it_is_opened() -> None:
    """The same words as everywhere, and no open file left behind."""
    with pytest.raises(VideoUnreadableError, match=r"^not a video in a known container"):
        VideoDecoder(b"hello")
    with pytest.raises(OSError, match="No such file"):
        VideoDecoder("/nonexistent.mp4")


def test_the_library_needs_neither_ray_nor_kafka_nor_torch() -> None:
    """It can be imported where none of them is installed."""
    look = "import sys, serve_app.video.api, serve_app.video.outputs; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert not set(loaded.split()) & {"ray", "confluent_kafka", "torch", "torchcodec", "aiohttp"}

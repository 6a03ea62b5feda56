"""What real containers do to a decoder: turns, shapes, several streams, odd times, wrong headers."""

from __future__ import annotations

import gc
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from serve_app.errors import NoFramesError, VideoRefusedError
from serve_app.schema import FpsSampling, NumFramesSampling
from serve_app.settings import GeometrySettings
from serve_app.video.clips import square_on
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.clips import PRECISE, X264, Coding, drifting, encode, mux

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_app.video.job import Decoded

ONE = NumFramesSampling(num_frames=1)


def decoded(path: Path, shot: Shot | None = None) -> Decoded:
    return decode_file(DecodeJob(path, shot or Shot()))


def corner(index: int, picture: NDArray[np.uint8]) -> None:
    """White at the top left, black elsewhere."""
    height, width, _ = picture.shape
    picture[: height // 2, : width // 2] = 255 - index


def waves(_: int, picture: NDArray[np.uint8]) -> None:
    """Smooth waves of several lengths in each colour, as in a photograph."""
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    for channel, length in enumerate((9, 17, 31)):
        picture[..., channel] = 128 + 60 * np.sin(x / length) + 60 * np.cos(y / (length + 4))


def bright_corner(pixels: NDArray[np.uint8]) -> tuple[str, str]:
    """Which quarter of the picture is the brightest."""
    height, width, _ = pixels.shape
    quarters = pixels[: height // 2 * 2, : width // 2 * 2].reshape(2, height // 2, 2, width // 2, 3)
    row, column = np.unravel_index(quarters.mean(axis=(1, 3, 4)).argmax(), (2, 2))
    return ("top", "bottom")[row], ("left", "right")[column]


@pytest.mark.parametrize(
    ("rotation", "where", "shape"),
    [
        (0, ("top", "left"), (96, 64)),
        (90, ("top", "right"), (64, 96)),
        (180, ("bottom", "right"), (96, 64)),
        (270, ("bottom", "left"), (64, 96)),
    ],
)
def test_pictures_are_shown_upright(
    tmp_path: Path, rotation: int, where: tuple[str, str], shape: tuple[int, int]
) -> None:
    """A clip filmed with the camera turned comes out as a player shows it, and the facts say so."""
    path = encode(tmp_path / "a.mp4", corner, 5, (96, 64), Coding(rotation=rotation))
    got = decoded(path, Shot(ONE, size=FixedSize()))
    assert bright_corner(got.frames.data[0]) == where
    assert (got.frames.width, got.frames.height) == shape == (got.video.width, got.video.height)
    assert got.video.rotation == rotation


def test_a_mirrored_picture_is_mirrored_back(tmp_path: Path) -> None:
    """A display matrix may flip as well as turn; that is applied, told, and not called a turn."""
    path = encode(tmp_path / "a.mp4", corner, 5, (96, 64), Coding(mirrored=True))
    got = decoded(path, Shot(ONE, size=FixedSize()))
    assert bright_corner(got.frames.data[0]) == ("top", "right")
    assert got.video.rotation == 0
    assert got.warnings == ("the display matrix mirrors the pictures: they were flipped as it says",)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_pixels_that_are_not_square_are_widened(tmp_path: Path, name: str) -> None:
    """A sample aspect ratio of 2 shows the picture twice as wide."""
    path = encode(tmp_path / name, drifting, 5, (96, 64), Coding(sample_aspect_ratio=Fraction(2)))
    got = decoded(path, Shot(ONE, size=FixedSize()))
    assert (got.video.width, got.video.height) == (192, 64) == (got.frames.width, got.frames.height)


def test_frames_leave_at_the_models_size(tmp_path: Path) -> None:
    """Settings decide the size; both sides are multiples of the factor."""
    path = encode(tmp_path / "a.mp4", drifting, 5, (320, 240))
    got = decoded(path, Shot(ONE, size=GeometrySettings(factor=32, min_pixels=1, max_pixels=320 * 240)))
    assert (got.frames.width, got.frames.height) == (320, 224)


def test_scaling_is_bicubic_as_others_have_it(tmp_path: Path) -> None:
    """Swscale straight to the size and Pillow's bicubic differ by less than one level on average."""
    path = encode(tmp_path / "a.mp4", waves, 3, (320, 240), Coding(options={**X264, "crf": "10"}))
    full = decoded(path, Shot(ONE, size=FixedSize())).frames.data[0]
    small = decoded(path, Shot(ONE, size=FixedSize(112, 84))).frames.data[0]
    pillow = np.asarray(Image.fromarray(full).resize((112, 84), Image.Resampling.BICUBIC))
    assert np.abs(small.astype(int) - pillow).mean() < 1


def test_the_default_stream_is_chosen(tmp_path: Path) -> None:
    """Of several video streams the one marked as default is decoded, wherever it stands."""
    red = encode(tmp_path / "red.mp4", square_on((220, 0, 0), (220, 0, 0)), 10, (64, 48))
    blue = encode(tmp_path / "blue.mp4", square_on((0, 0, 220), (0, 0, 220)), 10, (64, 48))
    got = decoded(mux(tmp_path / "both.mkv", red, blue, default=1), Shot(ONE))
    assert got.video.stream == 1
    assert got.frames.data[..., 2].mean() > 150 > got.frames.data[..., 0].mean()


def test_times_follow_an_uneven_clock(tmp_path: Path) -> None:
    """With a variable frame rate the exact times come out, and what is shown longest counts once."""
    times = (0.0, 0.1, 0.15, 1.5, 1.6, 4.0)
    path = encode(tmp_path / "a.mp4", drifting, 6, (64, 48), Coding(pts_seconds=times))
    got = decoded(path, Shot(FpsSampling(fps=2)))
    assert got.frames.pts_seconds == pytest.approx([0.0, 0.15, 1.5, 1.6, 4.0], abs=1e-4)
    assert got.video.frame_count == 6


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_times_that_start_late_stay_late(tmp_path: Path, name: str) -> None:
    """A broadcast that starts at 20 s starts at 20 s, and ranges are on the same clock."""
    times = tuple(20 + n / 25 for n in range(100))
    path = encode(tmp_path / name, drifting, 100, (64, 48), Coding(pts_seconds=times))
    got = decoded(path, Shot(FpsSampling(fps=1)))
    first = got.frames.pts_seconds[0]
    assert 19.9 < first < 22
    assert got.frames.pts_seconds == pytest.approx([first, first + 1, first + 2, first + 3], abs=0.041)
    part = decoded(path, Shot(FpsSampling(fps=1), first + 1, first + 2))
    assert part.frames.pts_seconds == pytest.approx([first + 1], abs=0.041)


def test_gaps_are_bridged(tmp_path: Path) -> None:
    """AVI fills a gap with empty chunks: the frame before it stays on screen, those after it are found."""
    coding = Coding("mpeg4", options={"g": "10"})
    plain, gap = encode(tmp_path / "a.avi", drifting, 40, (64, 48), coding), tmp_path / "b.avi"
    with av.open(str(plain)) as source, av.open(str(gap), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None and packet.dts is not None:
                late = 25 * (packet.dts >= 20)
                packet.stream, packet.pts, packet.dts = stream, packet.pts + late, packet.dts + late
                target.mux(packet)
    got = decoded(gap, Shot(FpsSampling(fps=5)))
    assert got.video.frame_count == 40
    assert got.frames.pts_seconds == pytest.approx([0, 0.2, 0.4, 0.6, 0.76, 1.8, 2.0, 2.2, 2.4])


def test_a_range_outside_the_video_names_both(tmp_path: Path) -> None:
    """Asking past the end is an error that says where the end is."""
    path = encode(tmp_path / "a.mp4", drifting, 25, (64, 48))
    with pytest.raises(NoFramesError, match=r"5\.000 s.*to 1\.000 s"):
        decoded(path, Shot(ONE, start_s=5.0))


def test_an_edit_list_hides_what_it_cuts(tmp_path: Path) -> None:
    """Frames before the cut are decoded but not shown, and the rest is a full decode's."""
    whole = encode(tmp_path / "a.mp4", drifting, 60, (64, 48), Coding(options={**X264, "g": "60", "bf": "2"}))
    data = bytearray(whole.read_bytes())
    entry = data.index(b"elst") + 12
    media_time = int.from_bytes(data[entry + 4 : entry + 8], "big")
    data[entry + 4 : entry + 8] = (media_time + 20 * 512).to_bytes(4, "big")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data)
    got = decoded(cut, Shot(FpsSampling(fps=5), size=FixedSize(64, 48)))
    with av.open(str(cut)) as container:
        shown = {
            f.time: f.to_ndarray(format="rgb24", interpolation=PRECISE) for f in container.decode(video=0)
        }
    assert got.video.frame_count == len(shown) < 60
    for pts, pixels in zip(got.frames.pts_seconds, got.frames.data, strict=True):
        nearest = min(shown, key=lambda time: abs(time - pts))
        assert abs(nearest - pts) < 1e-6
        assert (shown[nearest] == pixels).all()


def test_a_recording_that_starts_mid_gop_is_shown_from_its_first_keyframe(tmp_path: Path) -> None:
    """A transport stream cut at both ends loses what cannot be decoded, and nothing is made up for it."""
    coding = Coding(options={**X264, "g": "25", "bf": "2"}, container="mpegts")
    data = encode(tmp_path / "a.ts", drifting, 100, (64, 48), coding).read_bytes()
    middle = tmp_path / "b.ts"
    middle.write_bytes(data[len(data) // 3 // 188 * 188 :])
    got = decoded(middle, Shot(FpsSampling(fps=5)))
    assert 8 <= len(got.frames) < 20
    assert got.video.frame_count in (50, 75)


def test_a_title_in_a_broken_encoding_is_no_obstacle(tmp_path: Path) -> None:
    """Text that is not UTF-8 does not spoil a good video."""
    path = tmp_path / "a.mkv"
    encode(path, drifting, 5, (64, 48))
    titled = tmp_path / "b.mkv"
    with av.open(str(path)) as source, av.open(str(titled), "w") as target:
        target.metadata["title"] = "QQQQQQQQ"
        stream = target.add_stream_from_template(source.streams[0])
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    titled.write_bytes(titled.read_bytes().replace(b"QQQQQQQQ", b"\xff\xfe\xc3\x28\xff\xff\xff\xff"))
    assert decoded(titled).video.frame_count == 5


def test_more_pixels_than_allowed_are_refused(tmp_path: Path) -> None:
    """Pictures above the limit are refused before one of them is decoded."""
    path = encode(
        tmp_path / "a.mkv",
        lambda _, __: None,
        1,
        (16_000, 8_000),
        Coding("mjpeg", pixels="yuvj420p", options={}),
    )
    with pytest.raises(VideoRefusedError, match="16000x8000 have 128000000 pixels, 67108864 are allowed"):
        decoded(path)


def test_facts_and_costs_are_reported(tmp_path: Path) -> None:
    """Duration, size, rate, codec and count come from the packets; CPU and wall seconds are positive."""
    got = decoded(encode(tmp_path / "a.mp4", drifting, 50, (64, 48)))
    facts = got.video
    assert (facts.duration_s, facts.fps, facts.codec, facts.frame_count) == (2.0, 25.0, "h264", 50)
    assert got.warnings == ()
    assert got.cpu_s > 0
    assert got.wall_s > 0


def test_decoded_pictures_are_let_go_of(tmp_path: Path) -> None:
    """No picture waits for the garbage collector: sixty of them in 4K would take what a child may have."""
    path = encode(tmp_path / "a.mp4", drifting, 60, (64, 48), Coding(rotation=90))
    gc.collect()
    gc.disable()
    try:
        decoded(path, Shot(FpsSampling(fps=240)))
        left = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert left <= 1

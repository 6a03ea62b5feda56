"""A list of images becomes frames: chosen by their times, scaled alike, each error with its image."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from serve_app.errors import NoFramesError, VideoRefusedError, VideoUnreadableError
from serve_app.schema import FpsSampling, KeyframesSampling, NumFramesSampling, SceneSampling, TimesSampling
from serve_app.settings import DecoderSettings, LimitSettings
from serve_app.settings.models import BUILT_IN, profile_of
from serve_app.video.choice import Choice
from serve_app.video.geometry import FixedSize
from serve_app.video.index import listed
from serve_app.video.job import Asked, Decoded, DecodeJob, Shot
from serve_app.video.sandbox import Sandbox
from serve_app.video.series import Series, decode_series
from tests.albums import album, album_of, packed, shade

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from serve_app.schema import Sampling

SHADES = [packed(shade(20 * place)) for place in range(10)]
SMALL = FixedSize(8, 6)
KINDS = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "L", "LA", "RGBA", "P", "1", "I;16"),
    "WEBP": ("RGB", "L", "LA", "RGBA", "P"),
    "BMP": ("RGB", "L", "P", "1"),
    "GIF": ("RGB", "L", "RGBA", "P", "1"),
}


def fresh(size: int) -> np.ndarray:
    return np.empty(size, np.uint8)


def decoded(images: Sequence[bytes], shot: Shot, fps: float = 2.0) -> Decoded:
    with album(images, fps) as file:
        return decode_series(Series(file.fileno(), len(images)), shot, fresh)


@pytest.mark.parametrize(
    ("sampling", "places"),
    [
        (FpsSampling(fps=2), list(range(10))),
        (FpsSampling(fps=1), [0, 2, 4, 6, 8]),
        (NumFramesSampling(num_frames=3), [0, 4, 9]),
        (TimesSampling(times_s=(0.7, 4.5)), [1, 9]),
        (KeyframesSampling(), list(range(10))),
    ],
)
def test_images_are_chosen_as_frames_are(sampling: Sampling, places: list[int]) -> None:
    """Ten images at two a second are a video of five seconds; each frame is its own image."""
    made = decoded(SHADES, Shot(sampling, size=SMALL))
    assert made.frames.pts_seconds.tolist() == [place / 2 for place in places]
    assert made.frames.data[:, 0, 0, 0].tolist() == [20 * place for place in places]
    assert made.coverage.complete
    assert (made.coverage.start_s, made.coverage.end_s) == (0, 5)
    video = made.video
    assert (video.codec, video.frame_count, video.fps, video.duration_s) == ("png", 10, 2.0, 5.0)
    assert (video.width, video.height, video.rotation, made.warnings) == (64, 48, 0, ())


def test_only_what_is_chosen_needs_to_be_there() -> None:
    """What ``needed`` names suffices, whatever the strategy; a range and a bound narrow it."""
    shots = [
        Shot(NumFramesSampling(num_frames=3), size=SMALL),
        Shot(FpsSampling(fps=2), 1, 3, SMALL),
        Shot(FpsSampling(fps=2), size=SMALL, max_frames=2),
        Shot(SceneSampling(looks_per_s=1), size=SMALL),
    ]
    index = listed(np.arange(10) / 2, 5.0)
    for shot in shots:
        needed = Choice(shot).needed(index).tolist()
        some = [image if place in needed else b"" for place, image in enumerate(SHADES)]
        assert len(needed) < 10
        whole = decoded(SHADES, shot)
        assert np.array_equal(decoded(some, shot).frames.data, whole.frames.data)


def test_scenes_are_found_among_the_images() -> None:
    """Two shots give two frames at least, where the second begins."""
    images = [packed(shade(0))] * 4 + [packed(shade(250))] * 4
    made = decoded(images, Shot(SceneSampling(), size=SMALL))
    assert {0, 250} == set(made.frames.data.ravel().tolist())


@pytest.mark.parametrize("name", [one.name for one in BUILT_IN])
def test_a_model_takes_them_by_its_own_rule(name: str) -> None:
    """Number and size are those of a video with the same times."""
    profile = profile_of(name)
    assert profile is not None
    shot = Asked().shot(DecoderSettings(), profile)
    images = [packed(shade(place, (320, 240))) for place in range(60)]
    made = decoded(images, shot, fps=4)
    index = listed(np.arange(60) / 4, 15.0)
    chosen, _ = Choice(shot).chosen(index)
    assert made.frames.data[:, 0, 0, 0].tolist() == chosen.tolist()


def test_images_of_one_shape_are_scaled_to_the_first() -> None:
    """A thumbnail may be among them, which is told; the facts are the first one's."""
    images = [packed(shade(1, (128, 72))), packed(shade(2, (1280, 720))), packed(shade(3, (427, 240)))]
    made = decoded(images, Shot(FpsSampling(fps=2), size=FixedSize()))
    assert made.frames.data.shape == (3, 72, 128, 3)
    assert made.warnings == ("images change from (128, 72) to (1280, 720) pixels",)


def test_an_image_of_another_shape_is_refused() -> None:
    """Neither distortion nor bars are made up; the message names the image and both sizes."""
    images = [packed(shade(1, (64, 48))), packed(shade(1, (48, 64)))]
    told = "image 2 of 2 is 48x64; allowed: the shape of the first that was decoded, 64x48, to within 2%"
    with pytest.raises(VideoRefusedError, match=f"^{told}$"):
        decoded(images, Shot(FpsSampling(fps=2), size=SMALL))


def test_a_turned_image_counts_as_it_is_shown() -> None:
    """A portrait that is stored lying fits one that stands; facts say the turn, and a flip is told."""
    exif = Image.Exif()
    exif[0x0112] = 5
    images = [packed(shade(7, (64, 48)), "JPEG", exif), packed(shade(7, (48, 64)))]
    made = decoded(images, Shot(FpsSampling(fps=2), size=FixedSize()))
    assert made.frames.data.shape == (2, 64, 48, 3)
    assert (made.video.codec, made.video.rotation) == ("mjpeg", 90)
    assert made.warnings == ("EXIF mirrors the images: they were flipped as it says",)


def test_a_damaged_image_is_named_or_left_out() -> None:
    """It is an error, or with ``partial`` a gap in the coverage; nothing stands in for it."""
    noise = packed(Image.fromarray(np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)))
    images = [*SHADES[:2], noise[: len(noise) // 2], *SHADES[3:]]
    shot = Shot(FpsSampling(fps=2), size=SMALL)
    with pytest.raises(VideoUnreadableError, match=r"^image 3 of 10: damaged or cut short$"):
        decoded(images, shot)
    made = decoded(images, Shot(FpsSampling(fps=2), size=SMALL, on_damage="partial"))
    assert made.frames.data[:, 0, 0, 0].tolist() == [0, 20, 60, 80, 100, 120, 140, 160, 180]
    assert made.coverage.missing_pts_seconds == (1.0,)
    assert [(one.start_s, one.end_s) for one in made.coverage.ranges] == [(0, 1), (1.5, 5)]
    assert not made.coverage.complete
    assert made.warnings == ("1 of 10 chosen images are damaged and left out",)
    with pytest.raises(VideoUnreadableError, match="none of 1 chosen images could be decoded whole"):
        decoded([b"x"], Shot(size=SMALL, on_damage="partial"))


def test_limits_hold_for_lists() -> None:
    """Length and range are judged as for a video."""
    limits = LimitSettings(duration_s=4)
    with album(SHADES, 2.0) as file, pytest.raises(VideoRefusedError, match=r"5\.000 s long, 4 s are"):
        decode_series(Series(file.fileno(), 10), Shot(), fresh, limits)
    with pytest.raises(NoFramesError):
        decoded(SHADES, Shot(start_s=9))


@pytest.mark.parametrize(("times", "end"), [([0.0, 1.0, 2.0, 5.0], 6.0), ([3.0], 3.04)])
def test_the_last_image_lasts_as_long_as_the_others(times: list[float], end: float) -> None:
    """The usual gap, and for a single one that of a frame."""
    assert listed(np.array(times)).end_seconds == pytest.approx(end)


async def test_the_contained_child_decodes_every_format(tmp_path: Path) -> None:
    """It has loaded all that Pillow wants later, and the frames are those of this process."""
    exif = Image.Exif()
    exif[0x0112] = 3
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8))
    pictures = {mode: noise.convert(mode) for modes in KINDS.values() for mode in modes if mode != "I;16"}
    pictures["I;16"] = noise.convert("L").convert("I;16")
    images = [packed(pictures[mode], kind, exif) for kind, modes in KINDS.items() for mode in modes]
    several = io.BytesIO()
    noise.save(several, "MPO", save_all=True, append_images=[noise])
    images.append(several.getvalue())
    shot = Shot(FpsSampling(fps=2), size=SMALL)
    box = Sandbox(children=1, timeout_s=30.0, max_frames_bytes=1 << 20)
    await box.start()
    path = tmp_path / "a.album"
    path.write_bytes(album_of(images, 2.0))
    async with box.decode(DecodeJob(path, shot, images=len(images))) as made:
        assert np.array_equal(made.frames.data, decoded(images, shot).frames.data)
        assert len(made.frames.data) == len(images)
    await box.close()

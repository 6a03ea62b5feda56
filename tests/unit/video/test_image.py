"""One image: its formats and modes, which way up it is, and what is refused before it is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ExifTags, Image

from serve_app.errors import VideoRefusedError, VideoUnreadableError
from serve_app.settings import LimitSettings
from serve_app.video.image import decode_image
from serve_app.video.limits import DEFAULT_LIMITS
from tests.albums import packed, shade

TOLERANCE = 3  # of JPEG and WebP


def pixels(data: bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    still = decode_image(data, DEFAULT_LIMITS)
    width, height = size or still.shown
    onto = np.empty((height, width, 3), np.uint8)
    still.paint(onto)
    return onto


@pytest.mark.parametrize(
    ("kind", "codec"),
    [("JPEG", "mjpeg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp"), ("GIF", "gif")],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_every_format_gives_its_pixels(kind: str, codec: str, mode: str) -> None:
    """A grey of the usual palette stays itself, whatever the file and however it is stored."""
    if (kind, mode) == ("JPEG", "P"):
        mode = "CMYK"
    data = packed(shade(204).convert(mode), kind)
    assert decode_image(data, DEFAULT_LIMITS).codec == codec
    assert np.abs(pixels(data).astype(int) - 204).max() <= TOLERANCE


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    """Half of 65,535 is half of 255."""
    deep = Image.fromarray(np.full((48, 64), 0x8000, np.uint16))
    assert pixels(packed(deep)).tolist() == np.full((48, 64, 3), 128).tolist()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "tRNS"])
def test_what_is_transparent_lies_on_white(mode: str) -> None:
    """Black that cannot be seen is white, as the model's own loader has it."""
    if mode == "tRNS":
        picture = shade(0)
        picture.info["transparency"] = (0, 0, 0)
    else:
        picture = Image.new("RGBA", (64, 48), (0, 0, 0, 0)).convert(mode.replace("PA", "RGBA"))
    kind = "GIF" if mode == "PA" else "PNG"
    assert pixels(packed(picture, kind)).min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_says_which_way_up_it_is(orientation: int) -> None:
    """All eight orientations are Pillow's own, and the size is the one that is shown."""
    ramp = np.arange(64 * 48 * 3, dtype=np.uint32).reshape(48, 64, 3) % 251
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = packed(Image.fromarray(ramp.astype(np.uint8)), "PNG", exif)
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    upright = Image.fromarray(ramp.astype(np.uint8))
    upright = upright.transpose(turns[orientation]) if orientation in turns else upright
    assert decode_image(data, DEFAULT_LIMITS).shown == upright.size
    assert np.array_equal(pixels(data), np.asarray(upright))


def test_broken_words_about_a_good_picture_do_no_harm() -> None:
    """EXIF that cannot be read turns nothing."""
    clean = packed(shade(9), "JPEG")
    data = clean[:2] + b"\xff\xe1\x00\x10Exif\0\0MM\xff\xff\xff\xff\xff\xff" + clean[2:]
    assert decode_image(data, DEFAULT_LIMITS).shown == (64, 48)


def test_it_is_scaled_as_pillow_does() -> None:
    """Bicubic, the filter of the models' own loaders."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    wanted = np.asarray(Image.fromarray(noise).resize((28, 56), Image.Resampling.BICUBIC))
    assert np.array_equal(pixels(packed(Image.fromarray(noise)), (28, 56)), wanted)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_a_large_picture_is_refused_by_its_head(kind: str) -> None:
    """The value and the limit are told; twice the limit is where Pillow itself stops."""
    data = packed(shade(1), kind)
    with pytest.raises(VideoRefusedError, match=r"pictures of 64x48 have 3072 pixels, 3000 are allowed"):
        decode_image(data, LimitSettings(picture_pixels=3000))
    with pytest.raises(VideoRefusedError, match=r"more than 2000 pixels, 1000 are allowed"):
        decode_image(data, LimitSettings(picture_pixels=1000))


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "TGA", "PCX", "EPS", "PDF", "JPEG2000"])
def test_other_formats_are_no_images(kind: str) -> None:
    """Whatever else Pillow could open is refused."""
    with pytest.raises(VideoUnreadableError, match=r"^not a JPEG, PNG, WebP, BMP or GIF$"):
        decode_image(packed(shade(1), kind), DEFAULT_LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_half_an_image_is_none(kind: str) -> None:
    """What is cut short is never filled up with grey."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    data = packed(Image.fromarray(noise), kind)
    with pytest.raises(VideoUnreadableError, match=r"^damaged or cut short$"):
        decode_image(data[: len(data) // 2], DEFAULT_LIMITS)

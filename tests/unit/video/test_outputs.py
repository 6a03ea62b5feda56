"""Frames in other shapes: what is a view, what a file holds, and what refusals say."""

from __future__ import annotations

import base64
import importlib.util
import io
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image

from serve_app.video import outputs
from serve_app.video.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

HAS_TORCH = importlib.util.find_spec("torch") is not None


def some() -> Frames:
    """Three pictures of 8 x 6, all pixels different."""
    data = np.random.default_rng(5).integers(0, 256, (3, 6, 8, 3), np.uint8)
    return Frames(data, np.array([0.0, 0.5, 1.0]))


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_numpy_shapes_are_views() -> None:
    """Both orders of dimensions share the frames' memory."""
    frames = some()
    assert outputs.thwc(frames) is frames.data
    assert outputs.tchw(frames).shape == (3, 3, 6, 8)
    assert np.shares_memory(outputs.tchw(frames), frames.data)
    assert (outputs.tchw(frames)[1, 2] == frames.data[1, :, :, 2]).all()


def test_pictures_and_png_keep_every_pixel() -> None:
    """Pillow's pictures and PNG files hold what the array holds."""
    frames = some()
    for picture, text, data in zip(outputs.pil(frames), outputs.base64_png(frames), frames.data, strict=True):
        assert (np.asarray(picture) == data).all()
        assert opened(text).format == "PNG"
        assert (np.asarray(opened(text)) == data).all()


def test_jpeg_is_near_and_the_same_each_time() -> None:
    """A JPEG file has the size and roughly the colours, and is the same text for the same frames."""
    flat = Frames(np.full((2, 16, 16, 3), (200, 40, 90), np.uint8), np.array([0.0, 1.0]))
    texts = outputs.base64_jpeg(flat)
    assert texts == outputs.base64_jpeg(flat)
    assert opened(texts[0]).format == "JPEG"
    assert np.abs(np.asarray(opened(texts[0])).astype(int) - flat.data[0]).max() <= 4


def test_resizing_is_pillows_bicubic_and_keeps_times() -> None:
    """Another size, the same times, the frames themselves untouched."""
    frames = some()
    before = frames.data.copy()
    small = outputs.resized(frames, 4, 3)
    assert (small.width, small.height, len(small)) == (4, 3, 3)
    assert (small.pts_seconds == frames.pts_seconds).all()
    expected = Image.fromarray(frames.data[2]).resize((4, 3), Image.Resampling.BICUBIC)
    assert (small.data[2] == np.asarray(expected)).all()
    assert (frames.data == before).all()


def test_a_crop_is_a_view() -> None:
    """Left, top, width and height choose pixels; nothing is copied."""
    frames = some()
    part = outputs.cropped(frames, left=1, top=2, width=5, height=3)
    assert (part.data == frames.data[:, 2:5, 1:6]).all()
    assert np.shares_memory(part.data, frames.data)


def test_colours_are_turned_round_or_made_grey() -> None:
    """BGR is a view, grey is Pillow's luma."""
    frames = some()
    assert outputs.converted(frames, "rgb") is frames.data
    assert (outputs.converted(frames, "bgr")[..., 0] == frames.data[..., 2]).all()
    assert np.shares_memory(outputs.converted(frames, "bgr"), frames.data)
    grey = outputs.converted(frames, "gray")
    assert (grey[1] == np.asarray(Image.fromarray(frames.data[1]).convert("L"))).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: outputs.base64_jpeg(f, 0), "quality must be 1 to 95, is 0"),
        (lambda f: outputs.resized(f, 0, 3), "width must be 1 to 16384, is 0"),
        (lambda f: outputs.resized(f, 3, 99_999), "height must be 1 to 16384, is 99999"),
        (
            lambda f: outputs.cropped(f, left=4, top=0, width=5, height=1),
            "left and width must lie within 0 to 8, are 4 and 5",
        ),
        (
            lambda f: outputs.cropped(f, left=0, top=-1, width=1, height=1),
            "top and height must lie within 0 to 6, are -1 and 1",
        ),
        (
            lambda f: outputs.converted(f, cast("outputs.Colours", "yuv")),
            "colours must be 'rgb', 'bgr' or 'gray', is 'yuv'",
        ),
    ],
)
def test_refusals_name_the_value_and_what_is_allowed(call: Callable[[Frames], object], said: str) -> None:
    """A bad argument is an error before any work."""
    with pytest.raises(ValueError, match=f"^{said}$"):
        call(some())


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_without_torch_it_is_said_what_to_install() -> None:
    """The error names the package."""
    with pytest.raises(ImportError, match=r"^torch is not installed: pip install torch$"):
        outputs.torch(some())

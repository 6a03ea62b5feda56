"""One image of anybody's as RGB pixels: by Pillow, whose pixels are those of the models' own loaders.

What is transparent lies on white, as Qwen's loader has it. EXIF says which way up it is shown. Of an
animation the first picture is taken.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import (
    ExifTags,
    Image,
    ImagePalette,
    MpoImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from serve_app.errors import VideoRefusedError, VideoUnreadableError
from serve_app.video.geometry import Orientation
from serve_app.video.limits import check_picture
from serve_app.video.picture import upright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from serve_app.settings import LimitSettings

# Pillow imports its parts when it first needs them, which is too late for the child. EXIF is TIFF's format.
Image.preinit()
LOADED = (MpoImagePlugin, WebPImagePlugin, ImagePalette, TiffImagePlugin)
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
CODECS = {"JPEG": "mjpeg", "MPO": "mjpeg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif"}
# Whatever a parser of hostile bytes stumbles over; Pillow translates little of it.
BROKEN = (
    *(OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError),
    *(AssertionError, EOFError, RuntimeError, struct.error, zlib.error),
)
TURNS = {  # EXIF's orientations but the first, which is none
    2: Orientation(flip_x=True),
    3: Orientation(flip_x=True, flip_y=True),
    4: Orientation(flip_y=True),
    5: Orientation(transpose=True),
    6: Orientation(transpose=True, flip_x=True),
    7: Orientation(transpose=True, flip_x=True, flip_y=True),
    8: Orientation(transpose=True, flip_y=True),
}
WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A decoded image: its pixels as they are stored, and what makes them upright."""

    picture: Image.Image
    codec: str
    turn: Orientation

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height, upright."""
        width, height = self.picture.size
        return (height, width) if self.turn.transpose else (width, height)

    def paint(self, onto: NDArray[np.uint8]) -> None:
        """Fill ``onto``, uint8 of shape (H, W, 3), with Pillow's bicubic filter."""
        height, width = onto.shape[:2]
        size = (height, width) if self.turn.transpose else (width, height)
        onto[:] = upright(np.asarray(self.picture.resize(size, Image.Resampling.BICUBIC)), self.turn)


def decode_image(data: bytes, limits: LimitSettings) -> Still:
    """Decode an image; ``VideoUnreadableError``, and ``VideoRefusedError`` before a pixel of a large one."""
    most = limits.picture_pixels
    with _quietly(most):
        try:
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
            check_picture(*opened.size, limits)
            opened.load()
            picture = _rgb(opened)
        except Image.DecompressionBombError as error:
            allowed = f"{most} are allowed (decoder.limits.picture_pixels)"
            raise VideoRefusedError(f"pictures of more than {2 * most} pixels, {allowed}") from error
        except UnidentifiedImageError as error:
            raise VideoUnreadableError("not a JPEG, PNG, WebP, BMP or GIF") from error
        except BROKEN as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the system's own word, not the image's fault
            raise VideoUnreadableError("damaged or cut short") from error
        return Still(picture, CODECS[opened.format or ""], _turn_of(opened))


@contextmanager
def _quietly(pixels: int) -> Iterator[None]:
    """Pillow without its warnings, which a hostile file must not flood the log with.

    It refuses pictures of more than twice so many pixels itself, also those within a file that says less.
    """
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        # Pillow would cut off what is brighter than 255 of 65,535.
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGB", layer.size, WHITE)
    ground.paste(layer, mask=layer.getchannel("A"))
    return ground


def _turn_of(picture: Image.Image) -> Orientation:
    try:
        said = picture.getexif().get(ExifTags.Base.Orientation)
    except BROKEN:
        return Orientation()  # broken words about a good picture
    return TURNS.get(said, Orientation()) if isinstance(said, int) else Orientation()

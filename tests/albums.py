"""Images for tests, made in code, and lists of them as a decoding process gets them."""

from __future__ import annotations

import base64
import io
import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image

from serve_app.album import empty_table
from serve_app.video.index import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Exif


def shade(level: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A plain picture."""
    return Image.new("RGB", size, (level, level, level))


def packed(picture: Image.Image, kind: str = "PNG", exif: Exif | None = None) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind, **({} if exif is None else {"exif": exif}))
    return file.getvalue()


def data_url(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def album_of(images: Sequence[bytes], fps: float = 1.0) -> bytes:
    """A file of these images; an empty one is not there."""
    times = [place / fps for place in range(len(images))]
    table = empty_table(times, listed(np.array(times), len(images) / fps).end_seconds)
    at = table.nbytes
    for row, image in zip(table, images, strict=False):
        row["offset"], row["size"] = at, len(image)
        at += len(image)
    return table.tobytes() + b"".join(images)


def album(images: Sequence[bytes], fps: float = 1.0) -> IO[bytes]:
    """The same, open."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  whoever reads it closes it
    file.write(album_of(images, fps))
    file.flush()
    return file

"""Frames in other shapes and files: views where that is possible, copies where it is not.

Nothing here changes the frames that it is given. Sizes are best chosen when decoding: that is cheaper.
"""

from __future__ import annotations

import base64
import importlib
import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from serve_app.settings.profile import MAX_SIDE
from serve_app.video.frames import Frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

Colours = Literal["rgb", "bgr", "gray"]


def thwc(frames: Frames) -> NDArray[np.uint8]:
    """uint8 (T, H, W, 3): the frames' own array."""
    return frames.data


def tchw(frames: Frames) -> NDArray[np.uint8]:
    """uint8 (T, 3, H, W): a view; ``np.ascontiguousarray`` makes it one block."""
    return frames.data.transpose(0, 3, 1, 2)


def pil(frames: Frames) -> list[Image.Image]:
    """Pictures of Pillow's, mode RGB."""
    return [Image.fromarray(picture) for picture in frames.data]


def torch(frames: Frames, dimensions: Literal["TCHW", "THWC"] = "TCHW") -> Any:  # noqa: ANN401  its type is torch's
    """A uint8 tensor over the same memory, where that may be written; ``ImportError`` without torch."""
    try:
        package = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError("torch is not installed: pip install torch") from error
    # torch knows no tensor that must not be written.
    data = frames.data if frames.data.flags.writeable else frames.data.copy()
    tensor = package.from_numpy(data)
    return tensor.permute(0, 3, 1, 2) if dimensions == "TCHW" else tensor


def base64_jpeg(frames: Frames, quality: int = 90) -> list[str]:
    """JPEG files in Base64, without a prefix; ``quality`` is 1 to 95."""
    if not 1 <= quality <= 95:
        raise ValueError(f"quality must be 1 to 95, is {quality}")
    return [_encoded(picture, "JPEG", quality=quality) for picture in pil(frames)]


def base64_png(frames: Frames) -> list[str]:
    """PNG files in Base64, without a prefix: no pixel changes."""
    return [_encoded(picture, "PNG") for picture in pil(frames)]


def _encoded(picture: Image.Image, kind: str, **options: int) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def resized(frames: Frames, width: int, height: int) -> Frames:
    """The frames at another size, by Pillow's bicubic filter."""
    for name, side in (("width", width), ("height", height)):
        if not 1 <= side <= MAX_SIDE:
            raise ValueError(f"{name} must be 1 to {MAX_SIDE}, is {side}")
    data = np.empty((len(frames), height, width, 3), np.uint8)
    for row, picture in enumerate(pil(frames)):
        data[row] = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    return Frames(data, frames.pts_seconds)


def cropped(frames: Frames, *, left: int, top: int, width: int, height: int) -> Frames:
    """A part of each frame: a view of the same memory."""
    for name, begin, side, whole in (
        ("left and width", left, width, frames.width),
        ("top and height", top, height, frames.height),
    ):
        if begin < 0 or side < 1 or begin + side > whole:
            raise ValueError(f"{name} must lie within 0 to {whole}, are {begin} and {side}")
    return Frames(frames.data[:, top : top + height, left : left + width], frames.pts_seconds)


def converted(frames: Frames, colours: Colours) -> NDArray[np.uint8]:
    """uint8 (T, H, W, 3) as ``rgb`` or ``bgr``, both views, or (T, H, W) as ``gray``, Pillow's luma."""
    match colours:
        case "rgb":
            return frames.data
        case "bgr":
            return frames.data[..., ::-1]
        case "gray":
            grey = [np.asarray(picture.convert("L")) for picture in pil(frames)]
            return np.stack(grey) if grey else np.empty((0, frames.height, frames.width), np.uint8)
        case _:
            raise ValueError(f"colours must be 'rgb', 'bgr' or 'gray', is {colours!r}")

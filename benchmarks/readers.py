"""The ways to get sampled frames at the model's size: ours, the usual ones, and the floor.

Each takes a clip and a case and gives RGB pixels of shape (T, 252, 448, 3), on one decoding thread where it
lets itself be told.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image

from benchmarks.scenes import FPS
from serve_app.schema import FpsSampling
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize, Orientation
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.picture import Painter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.scenes import Case

    Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 448, 252
PACKAGES = {  # what to load before the clock starts
    "opencv": ("cv2",),
    "torchcodec": ("torchcodec", "torchcodec.decoders", "torchcodec.transforms"),
    "decord": ("decord",),
    "qwen_torchcodec": ("qwen_vl_utils", "torchcodec.decoders"),
    "qwen_decord": ("qwen_vl_utils", "decord"),
    "qwen_torchvision": ("qwen_vl_utils",),
}


def ours(path: Path, case: Case) -> Pixels:
    """Index, plan, decode what is needed, scale on the way."""
    return decode_file(DecodeJob(path, Shot(case.sampling, size=FixedSize(WIDTH, HEIGHT)))).frames.data


def checked(path: Path, case: Case) -> Pixels:
    """Every frame decoded, the wanted ones scaled like ours: what ours must equal, bit by bit."""
    painter, found = Painter(), np.empty((len(case.wanted), HEIGHT, WIDTH, 3), np.uint8)
    rows = {index: row for row, index in enumerate(case.wanted)}
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in rows:
                painter.paint(frame, Orientation(), found[rows[index]])
    return found


def pillow(path: Path, case: Case) -> Pixels:
    """PyAV decodes every frame, Pillow scales the wanted ones."""
    wanted = set(case.wanted)
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        pictures = [
            frame.to_image().resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            for index, frame in enumerate(container.decode(video=0))
            if index in wanted
        ]
    return np.stack([np.asarray(picture) for picture in pictures])


def opencv(path: Path, case: Case) -> Pixels:
    """OpenCV grabs every frame, retrieves and scales the wanted ones."""
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    wanted, pictures = set(case.wanted), []
    for index in range(case.wanted[-1] + 1):
        video.grab()
        if index in wanted:
            picture = cv2.resize(video.retrieve()[1], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            pictures.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    return np.stack(pictures)


def torchcodec(path: Path, case: Case) -> Pixels:
    """TorchCodec, approximate seeks, its own transform to the size."""
    importlib.import_module("torch").set_num_threads(1)
    resize = importlib.import_module("torchcodec.transforms").Resize((HEIGHT, WIDTH))
    video = importlib.import_module("torchcodec.decoders").VideoDecoder(
        str(path),
        seek_mode="approximate",
        num_ffmpeg_threads=1,
        dimension_order="NHWC",
        transforms=[resize],
    )
    return np.asarray(video.get_frames_at(case.wanted).data)


def decord(path: Path, case: Case) -> Pixels:
    """Decord, scaled in its reader."""
    package = importlib.import_module("decord")
    reader = package.VideoReader(str(path), ctx=package.cpu(0), width=WIDTH, height=HEIGHT, num_threads=1)
    return np.asarray(reader.get_batch(case.wanted).asnumpy())


def _qwen(path: Path, case: Case, reader: str) -> Pixels:
    """As many frames as the others, at times by its own rule; full size in memory, scaled by torchvision."""
    importlib.import_module("torch").set_num_threads(1)
    os.environ["TORCHCODEC_NUM_THREADS"] = "1"
    package = importlib.import_module("qwen_vl_utils.vision_process")
    package.FORCE_QWENVL_VIDEO_READER = reader
    asked = case.sampling
    count = {"fps": asked.fps} if isinstance(asked, FpsSampling) else {"nframes": asked.num_frames}
    found = package.fetch_video(
        {"video": str(path), "resized_height": HEIGHT, "resized_width": WIDTH, **count}
    )
    pixels: Pixels = found.byte().permute(0, 2, 3, 1).numpy()
    return pixels


def qwen_torchcodec(path: Path, case: Case) -> Pixels:
    """qwen-vl-utils with the reader it prefers."""
    return _qwen(path, case, "torchcodec")


def qwen_decord(path: Path, case: Case) -> Pixels:
    """qwen-vl-utils with decord, on as many threads as that takes."""
    return _qwen(path, case, "decord")


def qwen_torchvision(path: Path, case: Case) -> Pixels:
    """qwen-vl-utils with ``torchvision.io.read_video``, which newer torchvisions lack."""
    return _qwen(path, case, "torchvision")


def floor(path: Path, case: Case) -> Pixels:
    """Every frame that another one refers to, up to the last wanted one, decoded and thrown away."""
    last_s = case.wanted[-1] / FPS
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        context.thread_count, context.skip_frame = 1, "NONREF"
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= last_s:
                break
    return np.empty((0, HEIGHT, WIDTH, 3), np.uint8)


WAYS: dict[str, Callable[[Path, Case], Pixels]] = {
    way.__name__: way
    for way in (
        floor,
        ours,
        pillow,
        opencv,
        torchcodec,
        decord,
        qwen_torchcodec,
        qwen_decord,
        qwen_torchvision,
    )
}

"""Scenes for benchmarks of the decoder: clips made in code that cost about as much as filmed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve_app.schema import FpsSampling, NumFramesSampling
from serve_app.video.clips import Coding, encode

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FPS = 30
X264 = {
    "preset": "veryfast",
    "profile": "high",
    "crf": "27",
    "bf": "3",
    "g": "250",
    "x264-params": "b-pyramid=normal",
}
X265 = {
    "preset": "superfast",
    "crf": "30",
    "x265-params": "bframes=4:b-pyramid=1:keyint=250:log-level=error",
}
VP9 = {"deadline": "realtime", "cpu-used": "6", "crf": "34", "b": "0", "g": "250", "row-mt": "1"}
AV1 = {"preset": "11", "crf": "38", "g": "250", "svtav1-params": "lp=2"}
H264_MP4, HEVC_MP4 = ("libx264", ".mp4", X264), ("libx265", ".mp4", X265)
VP9_WEBM, AV1_MP4 = ("libvpx-vp9", ".webm", VP9), ("libsvtav1", ".mp4", AV1)


@dataclass(frozen=True)
class Case:
    """A clip of ``frames`` pictures at 30 fps, which of them are taken, and how it is written.

    ``coding`` is an encoder, the suffix of its container and its options.
    """

    name: str
    size: tuple[int, int]
    frames: int
    sampling: FpsSampling | NumFramesSampling
    coding: tuple[str, str, dict[str, str]] = H264_MP4

    @property
    def wanted(self) -> list[int]:
        """Indices of the frames, by the rules of the sampling."""
        if isinstance(self.sampling, FpsSampling):
            return list(range(0, self.frames, round(FPS / self.sampling.fps)))
        evenly = np.rint(np.linspace(0, self.frames - 1, self.sampling.num_frames))
        return [int(index) for index in evenly]


def cases(*, quick: bool) -> list[Case]:
    """Dense and sparse sampling, other codecs, a short clip; a sixth of the length when quick."""
    part = 6 if quick else 1
    two, eight = FpsSampling(fps=2), NumFramesSampling(num_frames=8)
    return [
        Case("1080p30, 20 s, 2 fps", (1920, 1080), 600 // part, two),
        Case("720p30, 60 s, 2 fps", (1280, 720), 1800 // part, two),
        Case("720p30, 60 s, 8 frames", (1280, 720), 1800 // part, eight),
        Case("480p30, 4 s, 2 fps", (854, 480), 120, two),
        Case("HEVC 2160p30, 5 s, 2 fps", (3840, 2160), 150 // part, two, HEVC_MP4),
        Case("VP9 1080p30, 10 s, 2 fps", (1920, 1080), 300 // part, two, VP9_WEBM),
        Case("AV1 1080p30, 10 s, 2 fps", (1920, 1080), 300 // part, two, AV1_MP4),
    ]


def clip_of(case: Case, folder: Path) -> Path:
    """Two textures seen through each other, panning apart, something dark that crosses them, and grain.

    Motion that no single vector describes makes B frames carry bits, as foliage, water and crowds do.
    """
    width, height = case.size
    encoder, suffix, options = case.coding
    path = folder / f"{encoder}-{height}p-{case.frames}{suffix}"
    if path.exists():
        return path
    random = np.random.default_rng(1)
    near, far = (_texture(random, 2 * width, 2 * height) for _ in range(2))
    grain = random.normal(0, 2, (2 * height, 2 * width, 1)).astype(np.int16)

    def draw(index: int, picture: NDArray[np.uint8]) -> None:
        seen = _window(near, index * 2 % width, index % height, case.size)
        seen = (2 * seen + _window(far, width - 1 - index % width, index // 2 % height, case.size)) // 3
        noise = _window(grain, int(random.integers(width)), int(random.integers(height)), case.size)
        picture[:] = np.clip(seen + noise, 0, 255)
        left = index * 5 % (width - 200)
        picture[height // 3 : height // 3 + 200, left : left + 200] //= 2

    unfinished = path.with_name(f"part-{path.name}")
    encode(unfinished, draw, case.frames, case.size, Coding(encoder, fps=FPS, options=options))
    return unfinished.rename(path)


def _window(scene: NDArray[np.int16], left: int, top: int, size: tuple[int, int]) -> NDArray[np.int16]:
    return scene[top : top + size[1], left : left + size[0]]


def _texture(random: np.random.Generator, width: int, height: int) -> NDArray[np.int16]:
    """Detail at four scales, the coarse ones stronger, as in photographs."""
    scene = np.full((height, width, 3), 128, np.float32)
    for step in (2, 8, 32, 128):
        blocks = random.normal(0, 9 * step**0.4, (height // step + 1, width // step + 1, 3))
        block = np.ones((step, step, 1), np.float32)
        scene += np.kron(blocks.astype(np.float32), block)[:height, :width]
    levels: NDArray[np.int16] = np.clip(scene, 8, 247).astype(np.int16)
    return levels

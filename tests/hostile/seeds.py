"""Good clips that the corpus and the fuzzer spoil; made once, each some kilobytes of 64 x 48 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np

from tests.clips import CODINGS, X264, Coding, drifting, encode

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FRAMES, SIZE = 25, (64, 48)
KEPT = (
    "pyramid.mp4",
    "fragments.mp4",
    "open-gop.mkv",
    "hevc.mp4",
    "av1.mp4",
    "mpeg4.mp4",
    "mpeg4.avi",
    "broadcast.ts",
    "mpeg2.mpg",
    "vp8.webm",
    "vp9.webm",
    "motion.mjpeg.mov",
    "animation.gif",
    "raw.h264",
)
OTHERS = {
    "flash.flv": Coding("flv", options={}),
    "windows.asf": Coding("wmv2", options={}, container="asf"),
    "lossless.nut": Coding("ffv1", options={}, container="nut"),
    "broadcast.mxf": Coding("mpeg2video", options={}, container="mxf"),
    "frames.ivf": Coding("libvpx", options={"deadline": "realtime", "cpu-used": "8"}, container="ivf"),
    "real.rm": Coding("rv10", options={}, container="rm"),
    "theora.ogv": Coding("libvpx", options={"deadline": "realtime", "cpu-used": "8"}, container="ogg"),
}
SEEDS: dict[str, Coding | None] = {
    **{name: CODINGS[name] for name in KEPT},
    **OTHERS,
    "rich.mp4": None,
    "rich.mkv": None,
}


def smooth(index: int, picture: NDArray[np.uint8]) -> None:
    """Few bytes in every codec."""
    picture[...] = (40, 10 * (index % 20), 90)


@dataclass(frozen=True, slots=True)
class Seeds:
    """The clips' bytes by name; each is made when it is first asked for."""

    folder: Path

    def __getitem__(self, name: str) -> bytes:
        path, coding = self.folder / name, SEEDS[name]
        if path.exists():
            return path.read_bytes()
        if coding is None:
            _write_rich(path)
        else:
            encode(path, smooth if name.endswith("gif") else drifting, FRAMES, SIZE, coding)
        return path.read_bytes()


def _write_rich(path: Path) -> None:
    """Picture, sound, a title, chapters' worth of metadata; an attachment where the container takes one."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "a title"
        video = container.add_stream("libx264", rate=25, options=dict(X264))
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.color_range = 1
        video.codec_context.colorspace = 1
        video.set_display_rotation(90)
        audio = container.add_stream("aac", rate=48_000)
        if path.suffix == ".mkv":
            container.add_attachment("font.ttf", "font/ttf", bytes(500))
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for index in range(FRAMES):
            drifting(index, picture)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 48_000, index * 1920
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))

"""Clips for tests, made in code; small, and the same on every run."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation

from serve_app.video.clips import FAST, Coding, encode, square_on

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CODINGS", "FAST", "Coding", "drifting", "encode", "full_decode", "mux", "write_clip"]

X264 = {"preset": "veryfast", "threads": "1", "sc_threshold": "0"}
QUIET = {"x265-params": "log-level=none:pools=1:frame-threads=1", "preset": "ultrafast"}

# Every way of referring to other frames that a planner could get wrong, by a file's name.
CODINGS: dict[str, Coding] = {
    "pyramid.mp4": Coding(options={**X264, "bf": "3", "g": "24", "x264-params": "b-pyramid=normal:ref=4"}),
    "open-gop.mp4": Coding(options={**X264, "bf": "3", "x264-params": "open-gop=1:keyint=12:min-keyint=12"}),
    "open-gop.mkv": Coding(options={**X264, "bf": "3", "x264-params": "open-gop=1:keyint=12:min-keyint=12"}),
    "intra-refresh.mp4": Coding(options={**X264, "x264-params": "intra-refresh=1:keyint=15:bframes=0"}),
    "one-keyframe.mp4": Coding(options={**X264, "g": "600", "bf": "3"}),
    "interlaced.mp4": Coding(options={**X264, "flags": "+ildct+ilme", "x264-params": "tff=1"}),
    "broadcast.ts": Coding(options={**X264, "bf": "2", "g": "15"}, container="mpegts"),
    "fragments.mp4": Coding(
        options={**X264, "bf": "2", "g": "15"}, container_options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "raw.h264": Coding(options={**X264, "bf": "2", "g": "15"}, container="h264"),
    "hevc.mp4": Coding("libx265", options={**QUIET, "g": "15", "bf": "3"}),
    "hevc-layers.mp4": Coding(
        "libx265",
        options={**QUIET, "x265-params": QUIET["x265-params"] + ":temporal-layers=3:keyint=15:bframes=3"},
    ),
    "mpeg4.avi": Coding("mpeg4", options={"bf": "2", "g": "15"}),
    "mpeg4.mp4": Coding("mpeg4", options={"bf": "2", "g": "15"}),
    "mpeg2.mpg": Coding("mpeg2video", options={"bf": "2", "g": "12"}),
    "mpeg2.ts": Coding("mpeg2video", options={"bf": "2", "g": "12"}, container="mpegts"),
    "vp8.webm": Coding(
        "libvpx", options={"deadline": "realtime", "cpu-used": "8", "g": "15", "auto-alt-ref": "1"}
    ),
    "vp9.webm": Coding("libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "g": "15"}),
    "vp9-alt-ref.webm": Coding(
        "libvpx-vp9", options={"deadline": "good", "cpu-used": "8", "g": "15", "lag-in-frames": "10"}
    ),
    "av1.mp4": Coding("libsvtav1", options={"preset": "12", "g": "15", "svtav1-params": "lp=1"}),
    "motion.mjpeg.mov": Coding("mjpeg", pixels="yuvj420p", options={}),
    "animation.gif": Coding("gif", pixels="rgb8", options={}),
}


PRECISE = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


def drifting(index: int, picture: NDArray[np.uint8]) -> None:
    """Gradients that drift, with a bright bar whose place tells the frame: no two frames are alike."""
    height, width, _ = picture.shape
    y, x = np.mgrid[0:height, 0:width]
    picture[..., 0] = (x * 2 + 5 * index) % 256
    picture[..., 1] = (y * 3 - 3 * index) % 256
    picture[..., 2] = (x + y + 7 * index) % 256
    picture[:, (index * 2) % width] = 255


def write_clip(path: Path, *, seconds: float, fps: int, width: int, height: int) -> Path:
    """A square that moves over a red ground."""
    draw = square_on((200, 30, 30), (255, 255, 255))
    return encode(path, draw, int(seconds * fps), (width, height), Coding(fps=fps))


def mux(path: Path, *clips: Path, default: int = 0) -> Path:
    """One file with the first stream of each clip, ``default`` marked as the default one."""
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(av.open(str(path), "w"))
        sources = [stack.enter_context(av.open(str(clip))) for clip in clips]
        streams = [target.add_stream_from_template(source.streams.video[0]) for source in sources]
        for place, stream in enumerate(streams):
            stream.disposition = Disposition.default if place == default else Disposition(0)
        for source, stream in zip(sources, streams, strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    return path


def write_audio(path: Path, cover: bytes | None = None) -> Path:
    """A file without video: a second of silence, and cover art if given."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=48_000)
        art = container.add_stream("mjpeg", rate=1) if cover else None
        if art is not None:
            art.width, art.height, art.pix_fmt = 64, 48, "yuvj420p"
            art.disposition = Disposition.attached_pic
        for index in range(50):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, index * 1024
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
        if art is not None and cover is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts = art, 0, 0
            packet.is_keyframe = True
            container.mux(packet)
    return path


def full_decode(path: Path, width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Every frame in the plainest way, for comparison: times (N,) and RGB pixels (N, H, W, 3)."""
    with av.open(str(path)) as container:
        best = container.streams.best("video")
        stream = container.streams.video[0] if best is None else cast("av.VideoStream", best)
        stream.codec_context.thread_count = 1
        pictures = [
            (
                np.nan
                if frame.pts is None or stream.time_base is None
                else float(frame.pts * stream.time_base),
                frame.to_ndarray(width=width, height=height, format="rgb24", interpolation=PRECISE),
            )
            for packet in container.demux(stream)
            for frame in stream.codec_context.decode(packet if packet.size else None)
        ]
    return np.array([time for time, _ in pictures]), np.stack([pixels for _, pixels in pictures])

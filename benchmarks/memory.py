"""Peak memory of a decoder that reads a long 1080p video in windows.

    python -m benchmarks.memory [--minutes 60] [--window 30] [--fps 2]

The video is a plain clip of 20 s, whose packets are written again and again with later times, so that it
costs little to make and to decode. One process decodes it window by window through ``serve_app.video.api``
and lets go of each; it notes the peak of its resident memory (VmHWM) when it is idle, when the index is read,
and after each window. Linux only.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

from benchmarks.scenes import X264
from serve_app.schema import FpsSampling
from serve_app.settings import GeometrySettings
from serve_app.video.api import VideoDecoder
from serve_app.video.clips import Coding, encode, square_on

CLIP_S, FPS = 20, 30
GOAL_MIB = 300


def looped(path: Path, clip: Path, seconds: float) -> Path:
    """The clip's packets until ``seconds`` are full, each round later by the clip's length."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        stream = target.add_stream_from_template(video)
        packets = [packet for packet in source.demux(video) if packet.size]
        stored = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe) for p in packets]
        length = round(CLIP_S / video.time_base)
        for turn in range(round(seconds / CLIP_S)):
            for data, pts, dts, duration, keyframe in stored:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, video.time_base, keyframe
                packet.pts, packet.dts, packet.duration = pts + turn * length, dts + turn * length, duration
                target.mux(packet)
    return path


def peak_mib() -> float:
    """The most that was resident at any time up to now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def work(path: Path, window_s: float, fps: float) -> None:
    """Decode all windows in this process and print what was noted."""
    idle, began = peak_mib(), time.process_time()
    peaks: list[float] = []
    count = 0
    with VideoDecoder(path, size=GeometrySettings()) as video:
        indexed = peak_mib()
        for window in video.windows(window_s, FpsSampling(fps=fps)):
            count += len(window.frames)
            peaks.append(peak_mib())
        duration_s = video.index.duration_seconds
        frame = [window.frames.width, window.frames.height]
    said = {"idle": idle, "indexed": indexed, "peaks": peaks, "frames": count, "frame": frame}
    print(json.dumps(said | {"duration_s": duration_s, "cpu_s": time.process_time() - began}))


def main() -> None:
    """Measure, or be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--window", type=float, default=30.0, help="seconds")
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "capstream-memory")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.window, options.fps)
        return
    options.folder.mkdir(exist_ok=True)
    path = options.folder / f"{options.minutes:g}-minutes.mp4"
    if not path.exists():
        draw, coding = square_on((60, 120, 80), (230, 220, 90)), Coding(fps=FPS, options=X264)
        clip = encode(options.folder / "clip.mp4", draw, CLIP_S * FPS, (1920, 1080), coding)
        looped(path, clip, options.minutes * 60)
    command = [sys.executable, "-m", "benchmarks.memory", "--worker", str(path)]
    command += ["--window", str(options.window), "--fps", str(options.fps)]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    report(json.loads(run.stdout), path)


def report(said: dict[str, list[float]], path: Path) -> None:
    """The figures, and whether the goal is met."""
    peaks, idle = said["peaks"], float(said["idle"])  # type: ignore[arg-type]  numbers beside the lists
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("av", "numpy"))
    print(f"{platform.machine()}, Python {platform.python_version()}, {versions}")
    print(f"{said['duration_s']:.0f} s, {path.stat().st_size / 2**20:.0f} MiB, {len(peaks)} windows,")
    print(f"{said['frames']} frames of {said['frame']}, {said['cpu_s']:.0f} CPU s")
    shown = sorted({0, 1, len(peaks) // 4, len(peaks) // 2, 3 * len(peaks) // 4, len(peaks) - 1})
    print(f"idle {idle:.0f} MiB, with the index {said['indexed']:.0f} MiB")
    print(", ".join(f"after window {n + 1}: {peaks[n]:.0f} MiB" for n in shown))
    above = peaks[-1] - idle
    print(f"{above:.0f} MiB above idle (goal {GOAL_MIB}): {'met' if above <= GOAL_MIB else 'MISSED'}")


if __name__ == "__main__":
    main()

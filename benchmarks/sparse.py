"""Eight frames of a long file over HTTP: CPU against decoding all of it, and bytes sent against its size.

    python -m benchmarks.sparse [--minutes 30] [--rounds 1]

The clip is made here: 1080p30, H.264, a keyframe every 10 s; 20 s are encoded and then repeated. A server
in a process of its own sends parts and counts what it writes, in steps of 64 KiB, also what nobody reads any
more. *ours* is the whole way: guard, fetch, the contained child, eight frames in its parent's hands; counted
are user and system seconds of this process and of the child, not the server's. *all* decodes every frame of
the local file on one thread, and converts the same eight.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from aiohttp import web

from serve_app.schema import NumFramesSampling
from serve_app.settings import SourceSettings
from serve_app.sources.fetch import Fetcher
from serve_app.video.clips import Coding, encode
from serve_app.video.geometry import FixedSize, Orientation
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.picture import Painter
from serve_app.video.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FPS, GOP_S, PART_S, SIZE = 30, 10, 20, (1920, 1080)
FRAMES = 8
STEP = 64 * 1024
X264 = {"preset": "ultrafast", "crf": "28", "g": str(GOP_S * FPS), "sc_threshold": "0", "threads": "2"}
SHOT = Shot(NumFramesSampling(num_frames=FRAMES), size=FixedSize(448, 252))


def write_clip(folder: Path, minutes: float) -> Path:
    """A still picture with a band of noise that changes, over and over."""
    path = folder / f"{minutes:g}.mp4"
    if path.exists():
        return path
    noise = np.random.default_rng(7)
    ground = noise.integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)

    def draw(_: int, picture: NDArray[np.uint8]) -> None:
        picture[:] = ground
        picture[520:536] = noise.integers(90, 150, (16, SIZE[0], 3), np.uint8)

    part = encode(folder / "part.mp4", draw, PART_S * FPS, SIZE, Coding(fps=FPS, options=X264))
    return repeated(part, path, round(minutes * 60 / PART_S))


def repeated(part: Path, path: Path, times: int) -> Path:
    """The same packets again and again, one after the other."""
    made = path.with_suffix(".part")
    with av.open(str(made), "w", format="mp4") as container:
        stream = None
        for turn in range(times):
            with av.open(str(part)) as source:
                video = source.streams.video[0]
                stream = stream or container.add_stream_from_template(video)
                length = int(PART_S / (video.time_base or 1))
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + turn * length, packet.dts + turn * length
                    packet.stream = stream
                    container.mux(packet)
    return made.rename(path)


class Server:
    """Sends a file, or parts of it."""

    def __init__(self, path: Path) -> None:
        self._path, self.sent, self.requests = path, 0, 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """All, or the asked part."""
        self.requests += 1
        size, wanted = self._path.stat().st_size, request.http_range
        start, end = wanted.start or 0, size if wanted.stop is None else wanted.stop
        part = "Range" in request.headers
        headers = {"ETag": '"one"', "Accept-Ranges": "bytes", "Content-Length": str(end - start)}
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{size}"} if part else {}
        response = web.StreamResponse(status=206 if part else 200, headers=headers)
        await response.prepare(request)
        # Who has seen that the file is large hangs up.
        with self._path.open("rb") as file, suppress(ConnectionError):
            file.seek(start)
            while start < end and (piece := file.read(min(STEP, end - start))):
                self.sent += len(piece)
                await response.write(piece)
                start += len(piece)
        return response

    async def told(self, _: web.Request) -> web.StreamResponse:
        """What was sent since the last time, and of how many requests."""
        said = f"{self.sent} {self.requests}"
        self.sent = self.requests = 0
        return web.Response(text=said)


async def serve(path: Path) -> None:
    """Tell the port on stdout, and serve until the process is ended."""
    server, app = Server(path), web.Application()
    app.router.add_get("/a.mp4", server.answer)
    app.router.add_get("/told", server.told)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sparse", "--serve", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield f"http://127.0.0.1:{int((process.stdout or sys.stdin.buffer).readline())}"
        finally:
            process.terminate()


def own_cpu_s() -> float:
    """User and system seconds of this process."""
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


async def ours(url: str) -> tuple[float, float, NDArray[np.uint8]]:
    """CPU seconds, seconds, and the frames."""
    fetcher = Fetcher(SourceSettings(allow_networks=(ip_network("127.0.0.0/8"),)))
    box = Sandbox(children=1, timeout_s=120, max_frames_bytes=64 * 1024 * 1024)
    await box.start()
    try:
        before, began = own_cpu_s(), time.perf_counter()
        async with fetcher.fetch(url, parts=True) as got:
            job = DecodeJob(got.path, SHOT, None if got.rest is None else got.rest.supply)
            async with box.decode(job) as decoded:
                took = own_cpu_s() - before + decoded.cpu_s, time.perf_counter() - began
                return *took, decoded.frames.data.copy()
    finally:
        await box.close()
        await fetcher.close()


def everything(path: Path) -> tuple[float, NDArray[np.uint8]]:
    """CPU seconds, and the same frames."""
    painter, found = Painter(), np.empty((FRAMES, 252, 448, 3), np.uint8)
    before = own_cpu_s()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        wanted = np.rint(np.linspace(0, stream.frames - 1, FRAMES)).astype(int).tolist()
        for index, frame in enumerate(container.decode(stream)):
            if index in wanted:
                painter.paint(frame, Orientation(), found[wanted.index(index)])
    return own_cpu_s() - before, found


def main() -> None:
    """Measure, or serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "capstream-sparse")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    options.folder.mkdir(exist_ok=True)
    path = write_clip(options.folder, options.minutes)
    size = path.stat().st_size
    print(f"{options.minutes:g} min, {size / 2**20:.0f} MiB, {os.cpu_count()} cores, PyAV {av.__version__}")
    for _ in range(options.rounds):
        with served(path) as base:
            cpu_s, wall_s, mine = asyncio.run(ours(f"{base}/a.mp4"))
            told = urllib.request.urlopen(f"{base}/told").read()  # noqa: S310  our own server
        all_s, theirs = everything(path)
        sent, requests = map(int, told.split())
        print(f"CPU: ours {cpu_s:.2f} s, all {all_s:.2f} s: 1/{all_s / cpu_s:.0f}; ours took {wall_s:.2f} s")
        print(f"sent: {sent / 2**20:.1f} MiB in {requests} requests, {sent / size:.4f} of the file")
        print(f"frames: {'identical' if np.array_equal(mine, theirs) else 'DIFFERENT'}")


if __name__ == "__main__":
    main()

"""CPU seconds to get sampled frames at the model's size: ours, the usual ways, and the floor.

    python benchmarks/decode.py [--quick] [--rounds N]

Each way runs in a process of its own, on one decoding thread, on the same clips and times, in turn,
best of N rounds. Counted are user and system seconds of that process from opening the file to holding
the frames as RGB arrays; imports are not. The floor decodes the frames that others refer to, which no
decoder can leave out, and converts none. Packages that are not installed are shown as missing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from serve_app.schema import FpsSampling, NumFramesSampling  # noqa: E402  a script finds its package first
from serve_app.video.clips import Coding, encode  # noqa: E402  as above
from serve_app.video.decoder import decode_file  # noqa: E402  as above
from serve_app.video.geometry import FixedSize, Orientation  # noqa: E402  as above
from serve_app.video.job import DecodeJob, Shot  # noqa: E402  as above
from serve_app.video.picture import Painter  # noqa: E402  as above

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 448, 252
PACKAGES = {"opencv": "cv2", "torchcodec": "torchcodec", "decord": "decord"}
X264 = {
    "preset": "fast",
    "profile": "high",
    "crf": "23",
    "bf": "3",
    "g": "250",
    "x264-params": "b-pyramid=normal",
}


@dataclass(frozen=True)
class Case:
    """A clip of ``frames`` pictures at 30 fps, of which ``wanted`` are taken."""

    name: str
    size: tuple[int, int]
    frames: int
    sampling: FpsSampling | NumFramesSampling

    @property
    def wanted(self) -> list[int]:
        """Indices of the frames, by the rules of the sampling."""
        if isinstance(self.sampling, FpsSampling):
            return list(range(0, self.frames, round(30 / self.sampling.fps)))
        return np.rint(np.linspace(0, self.frames - 1, self.sampling.num_frames)).astype(int).tolist()


def cases(*, quick: bool) -> list[Case]:
    """Dense and sparse sampling."""
    short = 6 if quick else 1
    two, eight = FpsSampling(fps=2), NumFramesSampling(num_frames=8)
    return [
        Case("1080p30, 20 s, 2 fps", (1920, 1080), 600 // short, two),
        Case("720p30, 60 s, 2 fps", (1280, 720), 1800 // short, two),
        Case("720p30, 60 s, 8 frames", (1280, 720), 1800 // short, eight),
    ]


def clip_of(case: Case, folder: Path) -> Path:
    """A textured scene that pans, something that moves across it, and grain, as a camera has them."""
    width, height = case.size
    path = folder / f"{height}p-{case.frames}.mp4"
    if path.exists():
        return path
    random = np.random.default_rng(1)
    scene = sum(
        np.kron(
            random.normal(0, 9 * step**0.4, (2 * height // step + 2, 2 * width // step + 2, 3)),
            np.ones((step, step, 1)),
        )[: 2 * height, : 2 * width]
        for step in (2, 8, 32, 128)
    )
    scene = np.clip(128 + scene, 8, 247).astype(np.int16)
    grain = [random.normal(0, 2.5, (height, width, 1)).astype(np.int16) for _ in range(7)]

    def draw(index: int, picture: Pixels) -> None:
        across, down = index * 2 % width, index % height
        picture[:] = np.clip(scene[down : down + height, across : across + width] + grain[index % 7], 0, 255)
        left = index * 5 % (width - 200)
        picture[height // 3 : height // 3 + 200, left : left + 200] //= 2

    part = path.with_suffix(".part.mp4")
    encode(part, draw, case.frames, case.size, Coding(fps=30, options=X264))
    return part.rename(path)


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
    from PIL import Image  # noqa: PLC0415  each way loads its own libraries only

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
    import cv2  # noqa: PLC0415  as above

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
    import torch  # noqa: PLC0415  as above
    from torchcodec.decoders import VideoDecoder  # noqa: PLC0415  as above
    from torchcodec.transforms import Resize  # noqa: PLC0415  as above

    torch.set_num_threads(1)
    video = VideoDecoder(
        str(path),
        seek_mode="approximate",
        num_ffmpeg_threads=1,
        dimension_order="NHWC",
        transforms=[Resize((HEIGHT, WIDTH))],
    )
    return np.asarray(video.get_frames_at(case.wanted).data)


def decord(path: Path, case: Case) -> Pixels:
    """Decord, scaled in its reader."""
    from decord import VideoReader, cpu  # noqa: PLC0415  as above

    reader = VideoReader(str(path), ctx=cpu(0), width=WIDTH, height=HEIGHT, num_threads=1)
    return np.asarray(reader.get_batch(case.wanted).asnumpy())


def floor(path: Path, _: Case) -> Pixels:
    """Every frame that another one refers to, decoded and thrown away."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        context.thread_count, context.skip_frame = 1, "NONREF"
        for _frame in container.decode(video=0):
            pass
    return np.empty((0, HEIGHT, WIDTH, 3), np.uint8)


WAYS: dict[str, Callable[[Path, Case], Pixels]] = {
    way.__name__: way for way in (floor, ours, pillow, opencv, torchcodec, decord)
}


def work(way: str, case: Case, path: Path, out: Path) -> None:
    """Run one way in this process; print its CPU seconds and keep its frames."""
    run = {**WAYS, "checked": checked}[way]
    if way in PACKAGES:
        importlib.import_module(PACKAGES[way])
    before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    pixels = run(path, case)
    after = sum(
        resource.getrusage(resource.RUSAGE_SELF)[:2] + resource.getrusage(resource.RUSAGE_CHILDREN)[:2]
    )
    np.save(out, pixels)
    sys.stdout.write(json.dumps({"cpu_s": after - before}))


def measured(way: str, number: int, folder: Path, options: argparse.Namespace) -> float | None:
    """CPU seconds of one run in a process of its own; ``None`` where the package is missing."""
    if way in PACKAGES and importlib.util.find_spec(PACKAGES[way]) is None:
        return None
    command = [sys.executable, __file__, "--worker", way, "--case", str(number), "--folder", str(folder)]
    run = subprocess.run(
        command + ["--quick"] * options.quick,
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return float(json.loads(run.stdout.decode().splitlines()[-1])["cpu_s"])


def versions() -> str:
    """What took part."""
    names = ("av", "numpy", "pillow", "opencv-python-headless", "torchcodec", "torch", "decord")
    found = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    return ", ".join(f"{name} {found.get(name, 'missing')}" for name in names)


def report(case: Case, best: dict[str, float | None], folder: Path) -> None:
    """One table, and whether ours is a full decode's frames."""
    reference = np.load(folder / "checked.npy").astype(np.int16)
    mine = best["ours"]
    assert mine is not None  # noqa: S101  ours has no package to miss
    print(f"\n### {case.name}: {len(case.wanted)} of {case.frames} frames to {WIDTH}x{HEIGHT}\n")
    print("| way | CPU s | of the floor | ours is faster by | mean difference, levels |")
    print("|---|---|---|---|---|")
    for way, seconds in best.items():
        if seconds is None:
            print(f"| {way} | missing | | | |")
            continue
        pixels = np.load(folder / f"{way}.npy").astype(np.int16)
        apart = f"{np.abs(pixels - reference).mean():.2f}" if len(pixels) else ""
        over = f"{seconds / best['floor']:.2f}" if best["floor"] else ""
        print(f"| {way} | {seconds:.2f} | {over} | {seconds / mine:.2f} | {apart} |")
    same = np.array_equal(np.load(folder / "ours.npy"), np.load(folder / "checked.npy"))
    print(f"\nOurs is {'identical to' if same else 'DIFFERENT FROM'} a full decode at the same times.")


def main() -> None:
    """Measure, or be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sixth of the length, one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "capstream-decode")
    parser.add_argument("--worker", choices=[*WAYS, "checked"], help=argparse.SUPPRESS)
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    table = cases(quick=options.quick)
    if options.worker:
        case = table[options.case]
        work(options.worker, case, clip_of(case, options.folder), options.folder / f"{options.worker}.npy")
        return
    print(versions())
    for number, case in enumerate(table):
        clip_of(case, options.folder)
        measured("checked", number, options.folder, options)
        rounds = [
            {way: measured(way, number, options.folder, options) for way in WAYS}
            for _ in range(1 if options.quick else options.rounds)
        ]
        best = {way: min((s for r in rounds if (s := r[way]) is not None), default=None) for way in WAYS}
        report(case, best, options.folder)


if __name__ == "__main__":
    main()

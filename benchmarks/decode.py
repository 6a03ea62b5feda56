"""CPU seconds to get sampled frames at the model's size: ours, the usual ways, and the floor.

    python benchmarks/decode.py [--quick] [--rounds N]

Each way runs in a process of its own, on one decoding thread, on the same clips and times, in turn,
best of N rounds. Counted are user and system seconds of that process from opening the file to holding
the frames as RGB arrays; imports are not. The floor decodes the frames that others refer to, which no
decoder can leave out, and converts none. Packages that are not installed are shown as missing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.scenes import Case, cases, clip_of  # noqa: E402  a script finds its package first
from serve_app.video.decoder import decode_file  # noqa: E402  as above
from serve_app.video.geometry import FixedSize, Orientation  # noqa: E402  as above
from serve_app.video.job import DecodeJob, Shot  # noqa: E402  as above
from serve_app.video.picture import Painter  # noqa: E402  as above

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 448, 252
PACKAGES = {  # what to load before the clock starts
    "opencv": ("cv2",),
    "torchcodec": ("torchcodec", "torchcodec.decoders", "torchcodec.transforms"),
    "decord": ("decord",),
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
    for package in PACKAGES.get(way, ()):
        importlib.import_module(package)
    before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    pixels = run(path, case)
    after = sum(
        resource.getrusage(resource.RUSAGE_SELF)[:2] + resource.getrusage(resource.RUSAGE_CHILDREN)[:2]
    )
    np.save(out, pixels)
    sys.stdout.write(json.dumps({"cpu_s": after - before}))


def measured(way: str, number: int, folder: Path, options: argparse.Namespace) -> float | None:
    """CPU seconds of one run in a process of its own; ``None`` where the package is missing."""
    if way in PACKAGES and importlib.util.find_spec(PACKAGES[way][0]) is None:
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

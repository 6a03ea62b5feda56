"""CPU seconds to get sampled frames at the model's size: ours, the usual ways, and the floor.

    python benchmarks/decode.py [--quick] [--rounds N] [--clip TEXT]

Each way of :mod:`benchmarks.readers` runs in a process of its own, on the same clips, in turn, best of N
rounds. Counted are user and system seconds of that process from opening the file to holding the frames as
RGB arrays; imports are not. The floor decodes the frames that others refer to, which no decoder can leave
out, and converts none. Packages that are not installed are shown as missing, and those that do not take a
clip with their last words.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.readers import PACKAGES, WAYS, checked  # noqa: E402  a script's own package
from benchmarks.scenes import FPS, Case, cases, clip_of  # noqa: E402  as above

NAMES = ("av", "numpy", "pillow", "opencv-python-headless", "torchcodec", "torch", "torchvision", "decord")
OWN_TIMES = "qwen"  # ways that begin so choose frames by their own rule: pixels cannot be compared


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


def measured(way: str, number: int, folder: Path, options: argparse.Namespace) -> float | str:
    """CPU seconds of one run in a process of its own, or why there are none."""
    for package in PACKAGES.get(way, ()):
        if importlib.util.find_spec(package.split(".")[0]) is None:
            return "missing"
    command = [sys.executable, __file__, "--worker", way, "--case", str(number), "--folder", str(folder)]
    run = subprocess.run(
        command + ["--quick"] * options.quick,
        capture_output=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if run.returncode:
        said = run.stderr.decode(errors="replace").split("\n")
        return next((line.strip()[:90] for line in reversed(said) if line.strip()), f"exit {run.returncode}")
    return float(json.loads(run.stdout.decode().splitlines()[-1])["cpu_s"])


def versions() -> str:
    """What took part."""
    found = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    return ", ".join(f"{name} {found.get(name, 'missing')}" for name in (*NAMES, "qwen-vl-utils"))


def best_of(number: int, folder: Path, options: argparse.Namespace) -> dict[str, float | str]:
    """Each way's least CPU seconds of all rounds, which go in turn; of one that failed, what it said."""
    best: dict[str, float | str] = {}
    for _ in range(1 if options.quick else options.rounds):
        for way in WAYS:
            so_far = best.get(way, math.inf)
            if isinstance(so_far, str):
                continue
            found = measured(way, number, folder, options)
            best[way] = found if isinstance(found, str) else min(so_far, found)
    return best


def report(case: Case, path: Path, best: dict[str, float | str], folder: Path) -> None:
    """One table, whether ours is a full decode's frames, and what the goals say."""
    reference = np.load(folder / "checked.npy").astype(np.int16)
    mine, floor = best["ours"], best["floor"]
    if isinstance(mine, str) or isinstance(floor, str):
        raise SystemExit(f"{case.name}: ours or the floor failed: {mine}, {floor}")
    rate = path.stat().st_size * 8 / (case.frames / FPS) / 1e6
    print(f"\n### {case.name}: {len(case.wanted)} of {case.frames} frames, {rate:.1f} Mbit/s\n")
    print("| way | CPU s | of the floor | of ours | mean difference, levels |")
    print("|---|---|---|---|---|")
    for way, seconds in best.items():
        if isinstance(seconds, str):
            print(f"| {way} | {seconds} | | | |")
            continue
        pixels = np.load(folder / f"{way}.npy").astype(np.int16)
        comparable = len(pixels) and not way.startswith(OWN_TIMES)
        apart = f"{np.abs(pixels - reference).mean():.2f}" if comparable else ""
        print(f"| {way} | {seconds:.2f} | {seconds / floor:.2f} | {seconds / mine:.2f} | {apart} |")
    same = np.array_equal(np.load(folder / "ours.npy"), np.load(folder / "checked.npy"))
    peers = {w: s for w, s in best.items() if w not in ("ours", "floor") and isinstance(s, float)}
    nearest = min(peers, key=peers.__getitem__)
    print(f"\nOurs is {'identical to' if same else 'DIFFERENT FROM'} a full decode at the same times.")
    over, apart = mine / floor, peers[nearest] / mine
    print(f"Ours is {over:.2f} of the floor; the best peer, {nearest}, is {apart:.2f} of ours.", flush=True)


def main() -> None:
    """Measure, or be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sixth of the length, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clip", default="", help="only clips whose name holds this")
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
        if options.clip not in case.name:
            continue
        path = clip_of(case, options.folder)
        measured("checked", number, options.folder, options)
        report(case, path, best_of(number, options.folder, options), options.folder)


if __name__ == "__main__":
    main()

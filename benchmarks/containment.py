"""What the contained child costs: the same decode here and in a child, and the replacement of a dead one.

Both decode a 20 s clip to frames at the model's size, in turn. Counted are user and system seconds: of this
process, and of the child as the kernel counts them; the time on the clock beside it. Then the idle child is
killed: the time until a replacement has answered its first job, against a job that finds a living child.

    python -m benchmarks.containment [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.scenes import Case, clip_of
from serve_app.schema import FpsSampling
from serve_app.settings import DecoderSettings
from serve_app.video.decoder import decode_file
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.sandbox import Sandbox

DECODED = Case("720p30, 20 s, 2 fps", (1280, 720), 600, FpsSampling(fps=2))
TINY = Case("240p30, 1 s, 2 fps", (320, 240), 30, FpsSampling(fps=2))


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock, and of processors."""

    wall_s: float
    cpu_s: float


def in_process(job: DecodeJob) -> Cost:
    """Decode here."""
    wall, cpu = time.perf_counter(), time.process_time()
    decode_file(job)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


async def in_child(sandbox: Sandbox, job: DecodeJob) -> Cost:
    """Decode in the child; what the parent does meanwhile counts too."""
    (child,) = (psutil.Process(pid) for pid in sandbox.pids())
    wall, cpu = time.perf_counter(), time.process_time() + _spent(child)
    async with sandbox.decode(job):
        pass
    return Cost(time.perf_counter() - wall, time.process_time() + _spent(child) - cpu)


def _spent(child: psutil.Process) -> float:
    times = child.cpu_times()
    return times.user + times.system


async def replaced(sandbox: Sandbox, job: DecodeJob) -> float:
    """Seconds from the death of the idle child until a job that comes at once has its frames."""
    (victim,) = sandbox.pids()
    os.kill(victim, signal.SIGKILL)
    began = time.perf_counter()
    while sandbox.pids():  # noqa: ASYNC110  until the kernel has ended it: there is no event
        await asyncio.sleep(0)
    async with sandbox.decode(job):
        return time.perf_counter() - began


async def measure(folder: Path, rounds: int) -> None:
    """Run and print."""
    sandbox = Sandbox.of(DecoderSettings())
    await sandbox.start()
    job, tiny = (DecodeJob(clip_of(case, folder), Shot(case.sampling)) for case in (DECODED, TINY))
    pairs = [(in_process(job), await in_child(sandbox, job)) for _ in range(rounds)]
    living, dead = [], []
    for _ in range(rounds):
        living.append((await in_child(sandbox, tiny)).wall_s)
        dead.append(await replaced(sandbox, tiny))
    contained = sandbox.contained
    await sandbox.close()
    print(f"in force: {len(contained.in_force)} guards; refused by this machine: {list(contained.missing)}")
    for what in ("cpu_s", "wall_s"):
        ratios = [getattr(child, what) / getattr(here, what) for here, child in pairs]
        shown = "  ".join(f"{one:.3f}" for one in ratios)
        print(f"{DECODED.name}, child / in process, {what}: {shown}, median {statistics.median(ratios):.3f}")
    print(f"a tiny job, living child: {statistics.median(living) * 1000:.0f} ms, median of {rounds}")
    print(f"the same, child just killed: {statistics.median(dead) * 1000:.0f} ms, median of {rounds}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "capstream-decode")
    asked = parser.parse_args()
    asked.folder.mkdir(exist_ok=True)
    asyncio.run(measure(asked.folder, asked.rounds))


if __name__ == "__main__":
    main()

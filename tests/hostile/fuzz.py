"""Spoils clips by chance and decodes them behind the real walls, for a bounded time.

    python -m tests.hostile.fuzz --seconds 600 --seed 7

What ends outside the known classes, does not end, or upsets the parent is written to a folder, and the exit
code is 1. A round has the same bytes wherever it runs: ``--first`` starts at a later one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image

from serve_app.schema import (
    FpsSampling,
    KeyframesSampling,
    NumFramesSampling,
    SceneSampling,
    UniformSampling,
)
from serve_app.video.geometry import FixedSize
from serve_app.video.job import Shot
from tests.albums import album_of, packed
from tests.hostile.mutation import mutated
from tests.hostile.outcome import DECODED, Outcome, job_of, outcome_of, sandbox
from tests.hostile.seeds import SEEDS, Seeds
from tests.hostile.stills import KINDS
from tests.hostile.walls import nothing_lacks

if TYPE_CHECKING:
    from serve_app.video.sandbox import Sandbox

KNOWN = frozenset(
    {
        DECODED,
        "VideoUnreadableError",
        "VideoRefusedError",
        "NoFramesError",
        "DecodeTimeoutError",
        "DecodeMemoryError",
    }
)
SHOTS = (
    Shot(),
    Shot(FpsSampling(fps=25, max_frames=64), size=FixedSize(64, 48)),
    Shot(KeyframesSampling(), size=FixedSize(64, None)),
    Shot(SceneSampling(), size=FixedSize(64, 48)),
    Shot(NumFramesSampling(num_frames=4), start_s=0.2),
    Shot(UniformSampling(segments=3), end_s=0.7),
    Shot(FpsSampling(fps=10), size=FixedSize(64, 48), on_damage="partial"),
    Shot(NumFramesSampling(num_frames=5), end_s=0.9, on_damage="partial"),
)
WORKERS = 2
STILL_EVERY = 8  # cases of which one is a list of images
GOOD_EVERY = 500  # cases between two looks at whether the children still decode what is good


@dataclass(slots=True)
class Tally:
    """What came of the cases."""

    classes: Counter[str] = field(default_factory=Counter)
    findings: list[Path] = field(default_factory=list)
    slowest_s: float = 0.0

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Count one."""
        self.classes[outcome.kind] += 1
        self.slowest_s = max(self.slowest_s, seconds)


@dataclass(frozen=True, slots=True)
class Fuzzer:
    """Works until its time is over; ``keep`` is where findings are written."""

    box: Sandbox
    clips: tuple[bytes, ...]
    stills: tuple[bytes, ...]
    seed: int
    keep: Path
    tally: Tally

    async def case(self, number: int, folder: Path) -> None:
        """One spoilt clip, or a list with a spoilt image in it."""
        rng = random.Random(f"{self.seed}/{number}")
        image = number % STILL_EVERY == 0
        data, shot = mutated(rng, self.stills if image else self.clips), rng.choice(SHOTS)
        if image:
            data = album_of([self.stills[0], data or b" ", self.stills[0]])
        job = replace(job_of(data, folder, shot), images=3 if image else 0)
        if not image and rng.random() < 0.3:
            job = replace(job, supply=nothing_lacks)
        began = time.monotonic()
        try:
            outcome = await outcome_of(self.box, job)
        except Exception as bug:  # noqa: BLE001  the parent may raise nothing but what outcomes are made of
            outcome = Outcome(type(bug).__name__, str(bug), ("raised in the parent",))
        job.path.unlink()
        self.tally.add(outcome, time.monotonic() - began)
        if outcome.kind not in KNOWN or outcome.faults:
            self._write(number, data, f"{shot}\npartial: {job.supply is not None}\n{outcome}\n")
        elif number % GOOD_EVERY == 0:
            await self._decodes_what_is_good(number, folder)

    async def _decodes_what_is_good(self, number: int, folder: Path) -> None:
        job = job_of(self.clips[0], folder)
        outcome = await outcome_of(self.box, job)
        job.path.unlink()
        if outcome.kind != DECODED:
            self._write(number, self.clips[0], f"a good clip: {outcome}\n")

    def _write(self, number: int, data: bytes, said: str) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"seed{self.seed}-{number}.bin"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(said)
        self.tally.findings.append(path)
        click.echo(f"{path}: {said}", err=True)


async def run(fuzzer: Fuzzer, seconds: float, first: int) -> None:
    """Let the workers share one row of numbers."""
    await fuzzer.box.start()
    numbers, until = itertools.count(first), time.monotonic() + seconds

    async def work(folder: Path) -> None:
        while time.monotonic() < until:
            await fuzzer.case(next(numbers), folder)

    with tempfile.TemporaryDirectory() as folder:
        try:
            await asyncio.gather(*(work(Path(folder)) for _ in range(WORKERS)))
        finally:
            await fuzzer.box.close()


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--first", type=click.IntRange(min=0), default=0, help="The number of the first case.")
@click.option("--keep", type=click.Path(path_type=Path), default=Path(".capstream/fuzz"), show_default=True)
def main(seconds: float, seed: int, first: int, keep: Path) -> None:
    """Decode spoilt clips for a while; exit code 1 if one found something."""
    os.environ.setdefault("SVT_LOG", "0")
    with tempfile.TemporaryDirectory() as folder:
        seeds = Seeds(Path(folder))
        clips = tuple(seeds[name] for name in SEEDS)
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8))
    stills = tuple(packed(noise, kind) for kind in KINDS)
    fuzzer = Fuzzer(sandbox(WORKERS), clips, stills, seed, keep, Tally())
    began = time.monotonic()
    asyncio.run(run(fuzzer, seconds, first))
    tally, took = fuzzer.tally, time.monotonic() - began
    count = tally.classes.total()
    click.echo(f"{count} cases in {took:.0f} s ({count / took:.1f}/s), the slowest {tally.slowest_s:.1f} s")
    for kind, cases in tally.classes.most_common():
        click.echo(f"{cases:8d}  {kind}")
    click.echo(f"{len(tally.findings)} findings{f' in {keep}' if tally.findings else ''}")
    sys.exit(1 if tally.findings else 0)


if __name__ == "__main__":
    main()

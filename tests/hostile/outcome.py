"""Decodes one file behind the real walls and says what came of it, in one value."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from serve_app.errors import RecordError
from serve_app.settings import LimitSettings
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.sandbox import Sandbox

if TYPE_CHECKING:
    from serve_app.video.job import Decoded

MIB = 1 << 20
DECODED = "decoded"
TIMEOUT_S = 30.0  # on the clock: a busy machine must not change an outcome
START_S = 60.0  # a child that was killed before is started first
LIMITS = LimitSettings(memory_mib=256, processor_s=1, packets=200_000, duration_s=86_400)
FRAMES_BYTES = 4 * MIB
MAX_MESSAGE = 300
# Of this machine; none may reach the output topic.
LOCAL = ("/proc/", "/dev/", str(Path.cwd()), tempfile.gettempdir(), sys.prefix, "fd:")


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is ``decoded`` or an error's class; ``faults`` is what no outcome may have."""

    kind: str
    message: str
    faults: tuple[str, ...] = ()


def sandbox(children: int = 2) -> Sandbox:
    """A sandbox with small limits."""
    return Sandbox(children, TIMEOUT_S, FRAMES_BYTES, LIMITS)


async def outcome_of(box: Sandbox, job: DecodeJob) -> Outcome:
    """What came of a job; ``TimeoutError`` if it did not end within its limit."""
    async with asyncio.timeout(TIMEOUT_S + START_S):
        try:
            async with box.decode(job) as decoded:
                return Outcome(DECODED, str(decoded.video), faults_of(decoded))
        except RecordError as error:
            return failed(error)


def failed(error: RecordError) -> Outcome:
    """An error as an outcome."""
    return Outcome(type(error).__name__, str(error), spoken_badly(str(error)))


def spoken_badly(message: str, most: int = MAX_MESSAGE) -> tuple[str, ...]:
    """What is wrong with a sentence for the output topic."""
    wrong = []
    if not message or len(message) > most:
        wrong.append(f"{len(message)} characters")
    if not message.isprintable():
        wrong.append("more than a line of text")
    wrong += [f"names {place}" for place in LOCAL if place in message]
    return tuple(wrong)


def faults_of(decoded: Decoded) -> tuple[str, ...]:
    """What is wrong with frames that were given as good."""
    wrong = [fault for warning in decoded.warnings for fault in spoken_badly(warning)]
    times, facts = decoded.frames.pts_seconds, decoded.video
    if not len(times) or decoded.frames.data.shape[0] != len(times):
        wrong.append("frames without times")
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        wrong.append(f"times {times[:5]}")
    if not math.isfinite(facts.duration_s) or not math.isfinite(facts.fps or 0):
        wrong.append(f"facts {facts}")
    return tuple(wrong)


def job_of(data: bytes, folder: Path, shot: Shot | None = None) -> DecodeJob:
    """A job that reads these bytes; the name tells nothing."""
    path = folder / f"{os.urandom(8).hex()}.bin"
    path.write_bytes(data)
    return DecodeJob(path, shot or Shot(size=FixedSize(64, 48)))

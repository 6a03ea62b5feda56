"""Files that crash or hang FFmpeg, simulated: no file is known that does either to the FFmpeg of PyAV.

A signal ends or stops the child in the middle of a job, as a fault of a C library would.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from serve_app.video.job import DecodeJob
from serve_app.video.sandbox import Sandbox
from tests.hostile.boxes import box, found
from tests.hostile.case import TIMEOUT
from tests.hostile.outcome import DECODED, FRAMES_BYTES, LIMITS, outcome_of
from tests.hostile.walls import SMALL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.hostile.seeds import Seeds

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHORT_S = 2.0
PATIENT_S = 30.0
DIED = "DecoderDiedError"
FAULTS = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGKILL", "SIGTERM")
MIDDLE = 200_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def single() -> AsyncIterator[Sandbox]:
    """One child, so that it is known who has the job."""
    one = Sandbox(1, PATIENT_S, FRAMES_BYTES, LIMITS)
    await one.start()
    yield one
    await one.close()


@pytest.fixture
def clip(tmp_path: Path, seeds: Seeds) -> Path:
    """A good clip whose header is so far behind that its reader has to ask for it."""
    data = seeds["pyramid.mp4"]
    at = found(data, "moov").start
    path = tmp_path / "clip.mp4"
    path.write_bytes(data[:at] + box("free", bytes(MIDDLE)) + data[at:])
    return path


async def struck(one: Sandbox, clip: Path, number: int, *, from_request: int) -> tuple[str, str]:
    """What came of a job whose child gets a signal when it asks for bytes, in the middle of reading."""
    asked = 0

    async def strike(_start: int, _end: int) -> None:
        nonlocal asked
        asked += 1
        if asked >= from_request:
            (pid,) = one.pids()
            os.kill(pid, number)

    outcome = await outcome_of(one, DecodeJob(clip, SMALL, strike))
    assert asked >= from_request
    assert not outcome.faults
    return outcome.kind, outcome.message


@pytest.mark.parametrize("from_request", [1, 2])
@pytest.mark.parametrize("name", FAULTS)
async def test_a_crash_is_told_by_its_signal(
    name: str, from_request: int, single: Sandbox, clip: Path
) -> None:
    """One attempt of one record; the next one finds a child of its own."""
    number = signal.Signals[name]
    before = single.pids()
    kind, message = await struck(single, clip, number, from_request=from_request)
    assert kind == DIED
    assert f"signal {number.value} ({name})" in message
    assert (await outcome_of(single, DecodeJob(clip, SMALL))).kind == DECODED
    assert single.pids() != before


async def test_a_hang_ends_with_its_time(clip: Path) -> None:
    """A child that stands still, and would for ever, is killed and replaced."""
    one = Sandbox(1, SHORT_S, FRAMES_BYTES, LIMITS)
    await one.start()
    try:
        before = one.pids()
        assert (await struck(one, clip, signal.SIGSTOP, from_request=2))[0] == TIMEOUT
        assert (await outcome_of(one, DecodeJob(clip, SMALL))).kind == DECODED
        assert one.pids() != before
    finally:
        await one.close()


async def test_a_child_that_died_in_between_is_not_noticed(single: Sandbox, clip: Path) -> None:
    """Nobody's job was lost, so nobody is told: the next one is decoded, or told of the death once."""
    (pid,) = single.pids()
    os.kill(pid, signal.SIGKILL)
    first = (await outcome_of(single, DecodeJob(clip, SMALL))).kind
    assert first in {DECODED, DIED}
    assert (await outcome_of(single, DecodeJob(clip, SMALL))).kind == DECODED

"""The sandbox: leases, deaths, time-outs, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from serve_app.errors import (
    DecoderDiedError,
    DecodeTimeoutError,
    NoFramesError,
    VideoRefusedError,
    VideoUnreadableError,
)
from serve_app.schema import FpsSampling, NumFramesSampling
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.sandbox import Sandbox
from tests.clips import drifting, encode, write_clip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE_S = 30.0
MIB = 1 << 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "a.mp4", drifting, 50, (128, 96))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "b.mp4", seconds=1, fps=25, width=64, height=48)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """One child that has half a minute for a job."""
    box = Sandbox(children=1, timeout_s=PATIENCE_S, max_frames_bytes=4 * MIB)
    await box.start()
    yield box
    await box.close()


async def frames_of(box: Sandbox, path: Path) -> np.ndarray:
    async with box.decode(DecodeJob(path)) as decoded:
        return decoded.frames.data.copy()


async def busy(box: Sandbox, path: Path) -> tuple[int, asyncio.Task[np.ndarray]]:
    """A child that is stopped, and a job that it was given and will not answer."""
    (pid,) = box.pids()
    os.kill(pid, signal.SIGSTOP)
    job = asyncio.create_task(frames_of(box, path))
    while box._free.free or not box._slots[0]._jobs:  # noqa: ASYNC110  only a test wants to know
        await asyncio.sleep(0)
    return pid, job


async def test_frames_are_those_of_a_direct_decode(sandbox: Sandbox, clip: Path) -> None:
    """The child gives the same frames, times, facts and warnings as the decoder in this process."""
    job = DecodeJob(clip, Shot(FpsSampling(fps=5), 0.2, 1.5, FixedSize(96, 64)))
    direct = decode_file(job)
    async with sandbox.decode(job) as decoded:
        assert (decoded.frames.data == direct.frames.data).all()
        assert decoded.frames.pts_seconds.tolist() == direct.frames.pts_seconds.tolist()
        assert (decoded.video, decoded.warnings) == (direct.video, direct.warnings)
        assert decoded.cpu_s > 0


async def test_frames_cannot_be_written(sandbox: Sandbox, clip: Path) -> None:
    """The caller looks at shared memory and may not change it."""
    async with sandbox.decode(DecodeJob(clip)) as decoded:
        assert not decoded.frames.data.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            decoded.frames.data[0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            decoded.frames.data.flags.writeable = True


async def test_memory_is_reused_only_after_the_lease(sandbox: Sandbox, clip: Path, other: Path) -> None:
    """While one caller looks at its frames, the next job waits and the frames stay as they are."""
    async with sandbox.decode(DecodeJob(clip)) as decoded:
        before = decoded.frames.data.copy()
        waiting = asyncio.create_task(frames_of(sandbox, other))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        assert (decoded.frames.data == before).all()
    assert (await waiting == decode_file(DecodeJob(other)).frames.data).all()


async def test_jobs_are_served_in_order(sandbox: Sandbox, clip: Path) -> None:
    """First come, first served."""
    served: list[int] = []

    async def take(number: int) -> None:
        async with sandbox.decode(DecodeJob(clip)):
            served.append(number)

    await asyncio.gather(*(take(number) for number in range(6)))
    assert served == list(range(6))


async def test_a_bad_video_is_an_answer_not_a_death(sandbox: Sandbox, clip: Path, tmp_path: Path) -> None:
    """The child's own errors arrive as they were raised, and it lives on."""
    before = sandbox.pids()
    (tmp_path / "noise").write_bytes(os.urandom(1 << 20))
    with pytest.raises(VideoUnreadableError, match="not a video"):
        await frames_of(sandbox, tmp_path / "noise")
    with pytest.raises(NoFramesError, match="no frame is shown"):
        async with sandbox.decode(DecodeJob(clip, Shot(start_s=9.0))):
            pass
    with pytest.raises(VideoUnreadableError, match="not a regular file"):
        await frames_of(sandbox, tmp_path)
    assert len(await frames_of(sandbox, clip)) == 4
    assert sandbox.pids() == before


async def test_more_frames_than_fit_are_refused(sandbox: Sandbox, clip: Path) -> None:
    """Frames beyond the memory are an error that names both numbers, found before they are decoded."""
    shot = Shot(NumFramesSampling(num_frames=50), size=FixedSize(640, 480))
    with pytest.raises(VideoRefusedError, match=r"46080000 bytes, 4194304 are allowed"):
        async with sandbox.decode(DecodeJob(clip, shot)):
            pass


async def test_a_child_that_is_killed_costs_one_job(sandbox: Sandbox, clip: Path) -> None:
    """The job that it had fails with the signal's name; the next one finds another child."""
    pid, job = await busy(sandbox, clip)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(DecoderDiedError, match=r"signal 9 \(SIGKILL\)"):
        await job
    assert len(await frames_of(sandbox, clip)) == 4
    assert sandbox.pids() != [pid]


async def test_a_child_that_dies_idle_costs_nothing(sandbox: Sandbox, clip: Path) -> None:
    """A death between jobs is noticed before the next one is given away."""
    (pid,) = sandbox.pids()
    psutil.Process(pid).kill()
    while sandbox.pids():  # noqa: ASYNC110  only a test wants to know
        await asyncio.sleep(0)
    assert len(await frames_of(sandbox, clip)) == 4


async def test_a_child_that_overstays_is_killed(clip: Path) -> None:
    """After its time a job fails, its child is gone, and the next job succeeds."""
    box = Sandbox(children=1, timeout_s=2.0, max_frames_bytes=4 * MIB)
    await box.start()
    pid, job = await busy(box, clip)
    with pytest.raises(DecodeTimeoutError, match="longer than 2 s"):
        await job
    assert len(await frames_of(box, clip)) == 4
    assert not psutil.pid_exists(pid)
    await box.close()


async def test_a_cancelled_job_leaves_no_answer_behind(sandbox: Sandbox, clip: Path, other: Path) -> None:
    """Who stops waiting ends the child; the next job gets its own frames, not those of the other."""
    pid, job = await busy(sandbox, clip)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await frames_of(sandbox, other) == decode_file(DecodeJob(other)).frames.data).all()
    assert not psutil.pid_exists(pid)


async def test_an_error_of_the_caller_spares_the_child(sandbox: Sandbox, clip: Path) -> None:
    """What goes wrong with the frames in the caller's hands is no reason to start anew."""
    before = sandbox.pids()
    with pytest.raises(KeyError):
        async with sandbox.decode(DecodeJob(clip)):
            raise KeyError
    assert len(await frames_of(sandbox, clip)) == 4
    assert sandbox.pids() == before


async def test_closing_ends_everything(clip: Path) -> None:
    """Children, descriptors and waiting jobs: nothing is left, and frames in hand stay readable."""
    here = psutil.Process()
    await asyncio.to_thread(int)  # the executor's own threads and descriptors are no leak
    descriptors = here.num_fds()
    box = Sandbox(children=2, timeout_s=PATIENCE_S, max_frames_bytes=4 * MIB)
    await box.start()
    children = box.pids()
    assert len(children) == 2
    async with box.decode(DecodeJob(clip)) as decoded, box.decode(DecodeJob(clip)):
        waiting = asyncio.create_task(frames_of(box, clip))
        await asyncio.sleep(0)
        await box.close()
        assert decoded.frames.data.mean() > 0
    with pytest.raises(DecoderDiedError, match="the sandbox is closed"):
        await waiting
    assert box.pids() == []
    assert not any(psutil.pid_exists(pid) for pid in children)
    del decoded
    assert here.num_fds() == descriptors


async def test_closing_fails_the_job_that_runs(clip: Path) -> None:
    """A job in a child's hands ends with the sandbox instead of waiting for its time-out."""
    box = Sandbox(children=1, timeout_s=PATIENCE_S, max_frames_bytes=4 * MIB)
    await box.start()
    _, job = await busy(box, clip)
    await box.close()
    with pytest.raises(DecoderDiedError):
        await job

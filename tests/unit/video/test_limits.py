"""What a video may ask of its child, and how a child's end is told."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from serve_app.errors import DecodeMemoryError, DecoderDiedError, DecodeTimeoutError, VideoRefusedError
from serve_app.settings import LimitSettings
from serve_app.video.decoder import decode_file
from serve_app.video.job import DecodeJob
from serve_app.video.sandbox import Sandbox
from tests.clips import CODINGS, Coding, drifting, encode, write_clip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from numpy.typing import NDArray

PATIENCE_S = 60.0
MIB = 1 << 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    return write_clip(folder / "a.mp4", seconds=1, fps=25, width=64, height=48)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """One transport packet and a terabyte of nothing: FFmpeg searches it for the next."""
    path = tmp_path / "endless.ts"
    with path.open("wb") as file:
        file.write((b"\x47\x40\x00\x10" + bytes(184)) * 50)
        file.truncate(1 << 40)
    return path


@asynccontextmanager
async def started(
    timeout_s: float = PATIENCE_S, children: int = 1, **limits: float
) -> AsyncIterator[Sandbox]:
    """A sandbox with other limits than the default."""
    box = Sandbox(children, timeout_s, 4 * MIB, LimitSettings.model_validate(limits))
    try:
        await box.start()
        yield box
    finally:
        await box.close()


def grey(_: int, picture: NDArray[np.uint8]) -> None:
    picture[...] = 90


async def frames_of(box: Sandbox, path: Path) -> int:
    async with box.decode(DecodeJob(path)) as decoded:
        return len(decoded.frames.data)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (
            {"picture_pixels": 3071},
            r"pictures of 64x48 have 3072 pixels, 3071 are allowed \(decoder\.limits",
        ),
        ({"packets": 24}, r"at least 25 packets, 24 are allowed \(decoder\.limits\.packets\)"),
        ({"duration_s": 0.99}, r"1\.000 s long, 0\.99 s are allowed \(decoder\.limits\.duration_s\)"),
    ],
)
async def test_a_video_beyond_a_limit_is_refused(clip: Path, limits: dict[str, Any], sentence: str) -> None:
    """The sentence names the value, the limit and its setting, and the child lives on."""
    async with started(**limits) as box:
        before = box.pids()
        with pytest.raises(VideoRefusedError, match=sentence):
            await frames_of(box, clip)
        assert box.pids() == before


async def test_a_video_at_the_limits_is_decoded(clip: Path) -> None:
    """Limits are the last value that is allowed."""
    async with started(picture_pixels=3072, packets=25, duration_s=1) as box:
        assert await frames_of(box, clip) == 2


async def test_memory_is_a_limit_of_its_own(tmp_path: Path, clip: Path) -> None:
    """Too little memory is one attempt of this record, by name; others are decoded, by a fresh child."""
    large = encode(tmp_path / "large.mov", grey, 1, (6000, 6000), Coding("mjpeg", pixels="yuvj444p"))
    async with started(memory_mib=64, children=2) as box:
        before = set(box.pids())
        job, others = frames_of(box, large), [frames_of(box, clip) for _ in range(3)]
        failed, *frames = await asyncio.gather(job, *others, return_exceptions=True)
        assert isinstance(failed, DecodeMemoryError)
        assert "64 MiB of memory are allowed (decoder.limits.memory_mib)" in str(failed)
        assert frames == [2, 2, 2]
        assert await frames_of(box, clip) == 2
        assert len(before & set(box.pids())) == 1
    async with started(memory_mib=512) as box:
        assert await frames_of(box, large) == 1


async def test_processor_time_ends_a_child(endless: Path, clip: Path) -> None:
    """The kernel ends a child that computes for too long, also if its parent does not look."""
    async with started(processor_s=0.1) as box:
        with pytest.raises(DecodeTimeoutError, match=r"more than 0\.1 s of processor time \(decoder\.limits"):
            await frames_of(box, endless)
        assert await frames_of(box, clip) == 2


async def test_processor_time_is_counted_anew_for_each_job(clip: Path) -> None:
    """A child that has worked for long is no nearer to its end than a new one."""
    async with started(processor_s=0.1) as box:
        before = box.pids()
        (child,) = map(psutil.Process, before)
        while child.cpu_times().user < 2.5:
            await frames_of(box, clip)
        assert box.pids() == before


async def test_time_runs_while_a_file_is_searched(endless: Path, clip: Path) -> None:
    """A child that overstays before it has found a single frame is killed like any other."""
    async with started(timeout_s=1.0) as box:
        (pid,) = box.pids()
        with pytest.raises(DecodeTimeoutError, match="longer than 1 s"):
            await frames_of(box, endless)
        assert await frames_of(box, clip) == 2
        assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGSEGV, r"died: signal 11 \(SIGSEGV\)$"),
        (signal.SIGKILL, r"died: signal 9 \(SIGKILL\), not by its parent"),
    ],
)
async def test_a_death_is_told_with_its_signal(
    endless: Path, clip: Path, number: signal.Signals, said: str
) -> None:
    """One attempt of one record; the other child does not notice and the slot is filled again."""
    async with started(children=2) as box:
        both = box.pids()
        job = asyncio.create_task(frames_of(box, endless))
        assert await frames_of(box, clip) == 2
        (busy,) = {*both} - {slot.pid for slot in box._free.free}
        os.kill(busy, number)
        with pytest.raises(DecoderDiedError, match=said):
            await job
        assert [await frames_of(box, clip) for _ in range(3)] == [2, 2, 2]
        assert len(set(both) & set(box.pids())) == 1


@pytest.mark.parametrize("name", CODINGS)
async def test_every_codec_works_in_a_contained_child(tmp_path: Path, name: str) -> None:
    """Nothing that FFmpeg, PyAV or numpy need is taken away."""
    path = encode(tmp_path / name, drifting, 30, (96, 64), CODINGS[name])
    direct = decode_file(DecodeJob(path))
    async with started() as box, box.decode(DecodeJob(path)) as decoded:
        assert (decoded.frames.data == direct.frames.data).all()

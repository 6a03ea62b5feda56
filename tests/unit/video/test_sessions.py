"""Videos that stay open in a child: their windows, their neighbours, and what a death costs."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.errors import DecoderDiedError, NoFramesError, VideoUnreadableError
from serve_app.schema import FpsSampling
from serve_app.video.api import VideoDecoder
from serve_app.video.geometry import FixedSize
from serve_app.video.job import Decoded, DecodeJob, Shot
from serve_app.video.sandbox import Sandbox, Session
from tests.clips import drifting, encode, write_clip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE_S = 30.0
MIB = 1 << 20
SHOT = Shot(FpsSampling(fps=5), size=FixedSize(64, 48))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds."""
    return encode(tmp_path_factory.mktemp("clips") / "a.mp4", drifting, 100, (128, 96))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second."""
    return write_clip(tmp_path_factory.mktemp("clips") / "b.mp4", seconds=1, fps=25, width=64, height=48)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """One child that has half a minute for a job."""
    box = Sandbox(children=1, timeout_s=PATIENCE_S, max_frames_bytes=4 * MIB)
    await box.start()
    yield box
    await box.close()


def opened(found: Decoded | Session) -> Session:
    assert isinstance(found, Session)
    return found


async def window(session: Session, start_s: float, end_s: float) -> np.ndarray:
    async with session.decode(start_s, end_s) as decoded:
        return decoded.frames.data.copy()


def descriptors(box: Sandbox) -> int:
    return len(list(Path(f"/proc/{box.pids()[0]}/fd").iterdir()))


async def test_windows_are_those_of_the_library(sandbox: Sandbox, clip: Path) -> None:
    """The same frames and times as the decoder in this process gives, and the range is told first."""
    with VideoDecoder(clip, size=FixedSize(64, 48)) as video:
        direct = [(one.frames.data, one.decoded) for one in video.windows(1.5, SHOT.sampling)]
    async with sandbox.open(DecodeJob(clip, SHOT), 0) as found:
        session = opened(found)
        there = session.opened.there
        assert (there.start_s, there.end_s) == (0, 4)
        for start, (data, one) in zip((0, 1.5, 3), direct, strict=True):
            async with session.decode(start, min(start + 1.5, 4)) as decoded:
                assert np.array_equal(decoded.frames.data, data)
                assert (decoded.coverage, decoded.video) == (one.coverage, one.video)


async def test_what_is_too_short_for_windows_is_decoded_at_once(sandbox: Sandbox, clip: Path) -> None:
    """In the turn that opened it; the length is the range's, and nothing stays open."""
    before = descriptors(sandbox)
    async with sandbox.open(DecodeJob(clip, SHOT), 4.5) as found:
        assert isinstance(found, Decoded)
        assert len(found.frames.data) == 20
    part = Shot(SHOT.sampling, 1, 2, SHOT.size)
    async with sandbox.open(DecodeJob(clip, part), 3) as found:
        assert isinstance(found, Decoded)
        assert len(found.frames.data) == 5
    assert descriptors(sandbox) == before
    with pytest.raises(NoFramesError):
        async with sandbox.open(DecodeJob(clip, Shot(start_s=9)), 0):
            pass


async def test_short_videos_have_their_turns_between_a_long_ones_windows(
    sandbox: Sandbox, clip: Path, short: Path
) -> None:
    """One child: whoever comes while a window is decoded is next, and the long video goes on after."""
    order: list[str] = []

    async def other(name: str) -> None:
        async with sandbox.decode(DecodeJob(short, SHOT)):
            order.append(name)

    async with sandbox.open(DecodeJob(clip, SHOT), 0) as found:
        session, others = opened(found), []
        for number in range(4):
            async with session.decode(number, number + 1):
                order.append(f"window {number}")
                others += [asyncio.create_task(other(f"{number}{letter}")) for letter in "ab"]
                await asyncio.sleep(0)
        await asyncio.gather(*others)
    expected = [[f"window {number}", f"{number}a", f"{number}b"] for number in range(4)]
    assert order == [name for names in expected for name in names]


async def test_a_child_that_dies_between_windows_is_no_loss(sandbox: Sandbox, clip: Path) -> None:
    """The next window is decoded by the next child, which opens the video anew."""
    async with sandbox.open(DecodeJob(clip, SHOT), 0) as found:
        session = opened(found)
        first = await window(session, 0, 2)
        (pid,) = sandbox.pids()
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        again = await window(session, 0, 2)
        assert np.array_equal(again, first)
        assert sandbox.pids() != [pid]


async def test_a_window_that_kills_its_child_costs_itself_only(
    sandbox: Sandbox, clip: Path, short: Path
) -> None:
    """It fails; the other video that the same child had open goes on without a failure."""
    async with (
        sandbox.open(DecodeJob(clip, SHOT), 0) as found,
        sandbox.open(DecodeJob(short, SHOT), 0) as beside,
    ):
        long, other = opened(found), opened(beside)
        first = await window(other, 0, 0.5)
        (pid,) = sandbox.pids()
        os.kill(pid, signal.SIGSTOP)
        fatal = asyncio.create_task(window(long, 0, 1))
        while sandbox._slots[0]._jobs < 4:  # noqa: ASYNC110  only a test wants to know
            await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(DecoderDiedError):
            await fatal
        assert np.array_equal(await window(other, 0, 0.5), first)
        assert len(await window(long, 0, 1)) == 5


async def test_more_videos_than_a_child_holds_open_take_turns(sandbox: Sandbox, clip: Path) -> None:
    """Each gets its own windows; the child has few descriptors open, and in the end none of them."""
    before = descriptors(sandbox)

    async def whole() -> list[int]:
        async with sandbox.open(DecodeJob(clip, SHOT), 0) as found:
            return [len(await window(opened(found), at, at + 1)) for at in range(4)]

    assert await asyncio.gather(*(whole() for _ in range(7))) == [[5] * 4] * 7
    await asyncio.gather(*sandbox._ends)
    assert descriptors(sandbox) == before


async def test_long_videos_wait_for_each_other(sandbox: Sandbox, clip: Path, short: Path) -> None:
    """So that none loses its place in the child; a short one does not wait with them."""
    running: list[int] = []
    leave = [asyncio.Event() for _ in range(3)]

    async def long(number: int) -> None:
        async with sandbox.open(DecodeJob(clip, SHOT), 2) as found:
            opened(found)
            running.append(number)
            await leave[number].wait()

    tasks = [asyncio.create_task(long(number)) for number in range(3)]
    await asyncio.sleep(0)
    async with sandbox.open(DecodeJob(short, SHOT), 2) as found:
        assert isinstance(found, Decoded)
    assert running == [0, 1]
    leave[0].set()
    await tasks[0]
    leave[2].set()
    await tasks[2]
    assert running == [0, 1, 2]
    leave[1].set()
    await tasks[1]


async def test_a_damaged_window_leaves_the_video_open(sandbox: Sandbox, clip: Path, tmp_path: Path) -> None:
    """What cannot be decoded is that window's error; the windows beside it come out whole."""
    data = bytearray(clip.read_bytes())  # noqa: ASYNC240  a small clip
    with VideoDecoder(clip) as video:
        sizes = video.index.packets.size
    # The second half of the packets lies in the second half of the bytes, however they are packed.
    middle = len(data) - int(sizes[50:].sum()) - 2000
    data[middle + 4000 : -3000] = bytes(len(data) - middle - 7000)
    (tmp_path / "spoilt.mp4").write_bytes(data)
    shot = Shot(SHOT.sampling, size=SHOT.size, on_damage="partial")
    before, part = descriptors(sandbox), Shot(SHOT.sampling, 3, 3.6, SHOT.size)
    with pytest.raises(VideoUnreadableError):
        async with sandbox.open(DecodeJob(tmp_path / "spoilt.mp4", part), 9):
            pass
    assert descriptors(sandbox) == before
    async with sandbox.open(DecodeJob(tmp_path / "spoilt.mp4", shot), 0) as found:
        session = opened(found)
        held = descriptors(sandbox)
        with pytest.raises(VideoUnreadableError):
            await window(session, 3, 3.6)
        assert descriptors(sandbox) == held
        assert len(await window(session, 0, 1)) == 5

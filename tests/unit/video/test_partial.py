"""Videos of which only parts are here."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.errors import SourceUnavailableError, VideoUnreadableError
from serve_app.schema import FpsSampling, NumFramesSampling
from serve_app.video.decoder import decode
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot, Want, open_video
from serve_app.video.limits import DEFAULT_LIMITS
from serve_app.video.partial import BLOCK, PartialFile, joined
from serve_app.video.sandbox import Sandbox
from serve_app.video.supply import GOT, Supplier
from tests.clips import CODINGS, FAST, Coding, drifting, encode, mux

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from serve_app.video.job import Decoded

EIGHT = Shot(NumFramesSampling(num_frames=8), size=FixedSize(64, 48))
LOST = "h: the connection ended"
MIB = 1 << 20


@dataclass
class Elsewhere:
    """A whole file, and an empty one of its size into which its bytes are copied as they are asked for."""

    whole: Path
    parts: Path
    asked: list[tuple[int, int]] = field(default_factory=list)
    most: int = 1 << 40

    def __post_init__(self) -> None:
        with self.parts.open("wb") as file:
            file.truncate(self.whole.stat().st_size)

    def fetch(self, start: int, end: int) -> None:
        self.asked.append((start, end))
        if self.read > self.most:
            raise SourceUnavailableError(LOST)
        piece = self.whole.read_bytes()[start:end]
        with self.parts.open("r+b") as file:
            file.seek(start)
            file.write(piece)

    async def supply(self, start: int, end: int) -> None:
        self.fetch(start, end)

    @property
    def read(self) -> int:
        return sum(end - start for start, end in self.asked)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = open_video(path)
    try:
        yield fd
    finally:
        os.close(fd)


def room(size: int) -> NDArray[np.uint8]:
    return np.empty(size, np.uint8)


def by_parts(there: Elsewhere, shot: Shot) -> Decoded:
    with opened(there.parts) as fd:
        return decode(fd, shot, room, DEFAULT_LIMITS, there.fetch)


def whole(path: Path, shot: Shot) -> Decoded:
    with opened(path) as fd:
        return decode(fd, shot, room)


@pytest.fixture(scope="module")
def grainy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of many bytes and a keyframe each second."""
    noise = np.random.default_rng(1)

    def draw(_: int, picture: NDArray[np.uint8]) -> None:
        picture[:] = noise.integers(0, 255, picture.shape, np.uint8)

    path = tmp_path_factory.mktemp("grainy") / "a.mp4"
    return encode(path, draw, 500, (160, 120), Coding(options={**FAST, "g": "25", "crf": "30"}))


@pytest.mark.parametrize("shot", [EIGHT, Shot(FpsSampling(fps=5), 0.3, 1.5, FixedSize(64, 48))], ids=repr)
@pytest.mark.parametrize("name", CODINGS)
def test_frames_and_facts_are_those_of_the_whole_file(name: str, shot: Shot, tmp_path: Path) -> None:
    """Whatever the container and the coding, pixels, times, facts and warnings are the same."""
    # More than FFmpeg reads at once, so that something is left to veil.
    path = encode(tmp_path / name, drifting, 60, (320, 240), CODINGS[name])
    got, expected = by_parts(Elsewhere(path, tmp_path / "parts"), shot), whole(path, shot)
    assert np.array_equal(got.frames.data, expected.frames.data)
    assert got.frames.pts_seconds.tolist() == expected.frames.pts_seconds.tolist()
    assert (got.video, got.warnings) == (expected.video, expected.warnings)


def test_few_frames_take_few_bytes(grainy: Path, tmp_path: Path) -> None:
    """Three frames of twenty seconds with a keyframe each second take less than a third of the file."""
    shot = Shot(NumFramesSampling(num_frames=3), size=FixedSize(64, 48))
    there = Elsewhere(grainy, tmp_path / "parts")
    got, expected = by_parts(there, shot), whole(grainy, shot)
    assert np.array_equal(got.frames.data, expected.frames.data)
    assert (got.video, got.warnings) == (expected.video, expected.warnings)
    assert there.read < grainy.stat().st_size / 3
    assert len(there.asked) < 12


def test_many_frames_take_few_requests(grainy: Path, tmp_path: Path) -> None:
    """Where most of the file is needed it is asked for at once."""
    shot = Shot(FpsSampling(fps=2), size=FixedSize(64, 48))
    there = Elsewhere(grainy, tmp_path / "parts")
    assert np.array_equal(by_parts(there, shot).frames.data, whole(grainy, shot).frames.data)
    assert there.read == grainy.stat().st_size
    assert len(there.asked) < 8


def test_a_container_without_tables_is_fetched_in_few_requests(grainy: Path, tmp_path: Path) -> None:
    """Where every packet must be read, all of it comes at once."""
    path = tmp_path / "a.mkv"
    mux(path, grainy)
    there = Elsewhere(path, tmp_path / "parts")
    assert np.array_equal(by_parts(there, EIGHT).frames.data, whole(path, EIGHT).frames.data)
    assert there.read == path.stat().st_size
    assert len(there.asked) < 8


def test_bytes_that_cannot_be_had_are_an_error(grainy: Path, tmp_path: Path) -> None:
    """Wherever the source fails, the decoder raises that and makes nothing up."""
    for most in (0, 100_000, 300_000):
        with pytest.raises(SourceUnavailableError, match=LOST):
            by_parts(Elsewhere(grainy, tmp_path / "parts", most=most), EIGHT)


def test_what_is_no_video_is_told_without_all_of_it(tmp_path: Path) -> None:
    """Noise is refused after the part that FFmpeg looks at."""
    (tmp_path / "noise").write_bytes(np.random.default_rng(1).bytes(20 * MIB))
    there = Elsewhere(tmp_path / "noise", tmp_path / "parts")
    with pytest.raises(VideoUnreadableError, match="not a video"):
        by_parts(there, EIGHT)
    assert there.read < 10 * MIB


@pytest.fixture
def size(grainy: Path) -> int:
    return grainy.stat().st_size


async def test_a_child_asks_its_parent(grainy: Path, size: int, tmp_path: Path) -> None:
    """The contained process gives the same frames, of few bytes, and takes other jobs before and after."""
    there = Elsewhere(grainy, tmp_path / "parts")
    shot = Shot(NumFramesSampling(num_frames=3), size=FixedSize(64, 48))
    expected = whole(grainy, shot)
    box = Sandbox(children=1, timeout_s=30, max_frames_bytes=4 * MIB)
    await box.start()
    pids = box.pids()
    for job in (DecodeJob(grainy, shot), DecodeJob(there.parts, shot, there.supply), DecodeJob(grainy, shot)):
        async with box.decode(job) as got:
            assert np.array_equal(got.frames.data, expected.frames.data)
            assert got.video == expected.video
    assert there.read < size / 3
    assert box.pids() == pids
    await box.close()


async def test_what_the_parent_cannot_fetch_is_told_by_the_parent(grainy: Path, tmp_path: Path) -> None:
    """Its own error comes out, not the child's; the child lives on."""
    there = Elsewhere(grainy, tmp_path / "parts", most=100_000)
    box = Sandbox(children=1, timeout_s=30, max_frames_bytes=4 * MIB)
    await box.start()
    pids = box.pids()
    with pytest.raises(SourceUnavailableError, match=LOST):
        async with box.decode(DecodeJob(there.parts, EIGHT, there.supply)):
            pass
    async with box.decode(DecodeJob(grainy, EIGHT)) as got:
        assert len(got.frames) == 8
    assert box.pids() == pids
    await box.close()


async def test_the_decoders_clock_stands_while_its_parent_fetches() -> None:
    """Fetching has limits of its own; what the decoder had left, it has afterwards."""
    seen: list[float | None] = []
    loop = asyncio.get_running_loop()

    async def slow(_start: int, _end: int) -> None:
        seen.append(clock.when())
        passed = asyncio.Event()
        loop.call_later(0.01, passed.set)
        await passed.wait()

    supplier = Supplier(slow, 100)
    async with asyncio.timeout(30) as clock:
        before = clock.when() or 0
        assert await supplier.reply(Want(job=1, start=0, end=100), clock) == GOT
        assert seen == [None]
        assert (clock.when() or 0) >= before + 0.01


@pytest.mark.parametrize(("start", "end"), [(0, 101), (5, 5), (9, 3)])
async def test_a_child_that_asks_for_nonsense_is_not_served(start: int, end: int) -> None:
    """Beyond the file, nothing, or backwards: its parent takes it for broken."""

    async def never(_start: int, _end: int) -> None:
        raise AssertionError

    async with asyncio.timeout(30) as clock:
        with pytest.raises(ValueError, match="are asked for"):
            await Supplier(never, 100).reply(Want(job=1, start=start, end=end), clock)


def test_veiled_bytes_are_not_fetched(tmp_path: Path) -> None:
    """They read as zeros, and only while the veil is there."""
    (tmp_path / "a").write_bytes(b"x" * 4 * BLOCK)
    there = Elsewhere(tmp_path / "a", tmp_path / "parts")
    with opened(there.parts) as fd:
        file = PartialFile(fd, there.fetch)
        with file.veiled([(10, 20), (15, 3 * BLOCK)]):
            assert [file.read(100) for _ in range(2)] == [b"x" * 10, bytes(100)]
            file.seek(3 * BLOCK - 5)
            assert [file.read(100) for _ in range(2)] == [bytes(5), b"x" * 100]
        file.seek(-1, os.SEEK_END)
        assert (file.read(9), file.read(9), file.tell()) == (b"x", b"", 4 * BLOCK)
        assert there.asked == [(0, 2 * BLOCK), (3 * BLOCK, 4 * BLOCK)]
        file.seek(BLOCK)
        assert file.read(3) == b"xxx"
        assert (file.seek(-1), file.tell()) == (-1, BLOCK + 3)


def test_spans_are_joined() -> None:
    """Overlapping ones, and those that lie close; empty ones are none."""
    assert joined([(8, 9), (0, 2), (1, 4), (5, 5)], 0) == [(0, 4), (8, 9)]
    assert joined([(0, 2), (4, 5), (9, 10)], 2) == [(0, 5), (9, 10)]

"""The fallback as it runs: TorchCodec and the system's FFmpeg in the contained child."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio

from serve_app.errors import (
    DecodeMemoryError,
    VideoRefusedError,
    VideoUnreadableError,
)
from serve_app.schema import FpsSampling, NumFramesSampling, SceneSampling
from serve_app.settings import LimitSettings
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.sandbox import Sandbox
from tests.clips import drifting, encode, full_decode
from tests.hostile import lies, others, pretenders
from tests.hostile.case import Case, named
from tests.hostile.outcome import LIMITS, TIMEOUT_S, failed, job_of, outcome_of
from tests.hostile.seeds import Seeds
from tests.lax import FRAMES, PLAIN, SIZE, lax, without_decoder
from tests.probes import said_of_itself
from tests.torchcodecs import usable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [usable, pytest.mark.asyncio(loop_scope="module")]
MIB = 1 << 20
EVERY = Shot(FpsSampling(fps=25), size=FixedSize(48, 32))
CORPUS = named([*lies.CASES, *others.CASES, *pretenders.CASES])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """One child with the fallback, and the limits of the hostile corpus."""
    box = Sandbox(1, TIMEOUT_S, 4 * MIB, LIMITS, fallback="torchcodec")
    await box.start()
    yield box
    await box.close()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """Good clips, made as they are asked for."""
    return Seeds(tmp_path_factory.mktemp("seeds"))


async def test_the_guards_are_the_same(sandbox: Sandbox) -> None:
    """With TorchCodec loaded nothing is missing that stands around a child without it."""
    assert sandbox.contained == said_of_itself()


async def test_what_pyav_cannot_open_is_decoded_and_told(sandbox: Sandbox, tmp_path: Path) -> None:
    """A real file, frame for frame; the facts name the decoder and the first warning says why."""
    good = encode(tmp_path / "good.mp4", drifting, FRAMES, SIZE, PLAIN)
    times, pixels = full_decode(good, 48, 32)
    async with sandbox.decode(DecodeJob(lax(tmp_path / "a.mp4"), EVERY)) as decoded:
        assert decoded.frames.pts_seconds == pytest.approx(times, abs=1e-6)
        assert np.abs(decoded.frames.data.astype(int) - pixels).mean() < 6
        assert (decoded.video.decoder, decoded.video.codec) == ("torchcodec", "h264")
        why = (
            "decoded by TorchCodec, since PyAV cannot open it: not a video in a known container: End of file"
        )
        assert decoded.warnings == (why,)
        assert decoded.coverage.complete
    async with sandbox.decode(DecodeJob(good, EVERY)) as decoded:
        assert (decoded.video.decoder, decoded.warnings) == ("pyav", ())


async def test_without_the_setting_it_stays_unreadable(tmp_path: Path) -> None:
    """The fallback is asked for, or there is none."""
    box = Sandbox(1, TIMEOUT_S, MIB)
    await box.start()
    with pytest.raises(VideoUnreadableError, match="not a video in a known container: End of file"):
        async with box.decode(DecodeJob(lax(tmp_path / "a.mp4"))):
            pass
    await box.close()


async def test_ranges_samplings_and_looks_are_served(sandbox: Sandbox, tmp_path: Path) -> None:
    """Half-open ranges, a number of frames, and the small looks of ``scene``."""
    path = lax(tmp_path / "a.mp4")
    part = Shot(FpsSampling(fps=25), 0.2, 0.4, FixedSize(48, 32))
    async with sandbox.decode(DecodeJob(path, part)) as decoded:
        assert decoded.frames.pts_seconds == pytest.approx([0.2, 0.24, 0.28, 0.32, 0.36], abs=1e-6)
    async with sandbox.decode(DecodeJob(path, Shot(NumFramesSampling(num_frames=3)))) as decoded:
        assert len(decoded.frames) == 3
    async with sandbox.decode(DecodeJob(path, Shot(SceneSampling()))) as decoded:
        assert len(decoded.frames) >= 1


async def test_a_file_in_parts_is_read_through_the_parent(sandbox: Sandbox, tmp_path: Path) -> None:
    """The child has no network: what TorchCodec reads is fetched by who has the session."""
    path = lax(tmp_path / "a.mp4")
    data, asked = path.read_bytes(), []
    path.write_bytes(bytes(len(data)))

    async def supply(start: int, end: int) -> None:
        asked.append((start, end))
        with path.open("r+b") as file:
            file.seek(start)
            file.write(data[start:end])

    async with sandbox.decode(DecodeJob(path, EVERY, supply)) as decoded:
        assert len(decoded.frames) == FRAMES
    assert asked


async def test_limits_hold(sandbox: Sandbox, tmp_path: Path) -> None:
    """Pixels and frames beyond a limit are refused; memory beyond it costs an attempt."""
    path = lax(tmp_path / "a.mp4")
    limits = LimitSettings(picture_pixels=4096 * 4096, memory_mib=64)
    small = Sandbox(1, TIMEOUT_S, MIB, limits, fallback="torchcodec")
    await small.start()
    with pytest.raises(VideoRefusedError, match="pictures of 4096x4112 have 16842752 pixels, 16777216 are"):
        async with small.decode(DecodeJob(lax(tmp_path / "large.mp4", (4096, 4112), 3))):
            pass
    with pytest.raises(DecodeMemoryError, match="64 MiB of memory are allowed"):
        async with small.decode(DecodeJob(lax(tmp_path / "allowed.mp4", (4096, 4096), 3))):
            pass
    await small.close()
    with pytest.raises(VideoRefusedError, match="4194304 are allowed"):
        async with sandbox.decode(DecodeJob(path, replace(EVERY, size=FixedSize(640, 480)))):
            pass


async def test_what_neither_can_decode_is_told_by_both(sandbox: Sandbox, tmp_path: Path) -> None:
    """The reason of each, in one sentence fit for the output topic."""
    with pytest.raises(VideoUnreadableError) as refused:
        async with sandbox.decode(DecodeJob(without_decoder(tmp_path / "a.mp4"))):
            pass
    assert str(refused.value).startswith(
        "there is no decoder for the video stream; TorchCodec cannot open it: No valid stream found"
    )
    assert not failed(refused.value).faults


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
async def test_a_hostile_file_ends_in_its_class(
    case: Case, sandbox: Sandbox, seeds: Seeds, tmp_path: Path
) -> None:
    """As without the fallback, in a sentence that leaks nothing; no picture becomes a video."""
    outcome = await outcome_of(sandbox, job_of(case.make(seeds), tmp_path, case.shot))
    assert outcome.kind in case.ends, outcome
    assert not outcome.faults, outcome
    if case in pretenders.CASES:
        assert "TorchCodec cannot decode" not in outcome.message

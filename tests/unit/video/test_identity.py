"""Chosen frames have the pixels of a full decode, in every codec and container that can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.schema import FpsSampling, IntervalSampling, NumFramesSampling, Sampling
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.clips import CODINGS, drifting, encode, full_decode

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FRAMES = 150
SAMPLINGS: list[Sampling] = [
    FpsSampling(fps=2),
    FpsSampling(fps=240),
    IntervalSampling(every_s=0.37),
    NumFramesSampling(num_frames=3),
    NumFramesSampling(num_frames=1),
]

Full = tuple["Path", "NDArray[np.float64]", "NDArray[np.uint8]"]


@pytest.fixture(scope="module", params=CODINGS)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Full:
    """A clip and all of its frames."""
    path = encode(
        tmp_path_factory.mktemp("clips") / request.param, drifting, FRAMES, (128, 96), CODINGS[request.param]
    )
    times, pixels = full_decode(path, 96, 64)
    if np.isnan(times).any():
        times = np.arange(len(pixels)) / CODINGS[request.param].fps
    return path, times, pixels


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.strategy)
@pytest.mark.parametrize("span", [(None, None), (3.1, 4.3)], ids=["whole", "part"])
def test_pixels_are_those_of_a_full_decode(
    full: Full, sampling: Sampling, span: tuple[float | None, float | None]
) -> None:
    """Seeking and skipping change what is decoded, never what comes out."""
    path, times, pixels = full
    decoded = decode_file(DecodeJob(path, Shot(sampling, *span, FixedSize(96, 64))))
    same = np.searchsorted(times, decoded.frames.pts_seconds - 1e-6)
    assert np.abs(times[same] - decoded.frames.pts_seconds).max() < 1e-6
    assert (pixels[same] == decoded.frames.data).all()
    assert decoded.video.frame_count == len(pixels) == FRAMES

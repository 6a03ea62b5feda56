"""Chosen frames have the pixels of a full decode, in every codec and container that can be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from serve_app.schema import FpsSampling, IntervalSampling, NumFramesSampling, Sampling
from serve_app.schema.sampling import PlainSampling
from serve_app.video.container import VideoContainer
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize, Orientation
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.limits import DEFAULT_LIMITS
from serve_app.video.picture import Painter
from serve_app.video.plan import plan
from serve_app.video.sampling import choose
from tests.clips import CODINGS, drifting, encode, full_decode

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FRAMES = 150
SAMPLINGS: list[PlainSampling] = [
    FpsSampling(fps=2),
    FpsSampling(fps=240),
    IntervalSampling(every_s=0.37),
    NumFramesSampling(num_frames=3),
    NumFramesSampling(num_frames=1),
]

NO_TRUE_KEYFRAMES = {"intra-refresh.mp4"}  # its "keyframes" are where a refresh begins

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


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.strategy)
def test_the_plan_alone_is_enough(full: Full, sampling: PlainSampling) -> None:
    """Without the slow second try: what the plan feeds gives every chosen frame, whole."""
    path, _, pixels = full
    if path.name in NO_TRUE_KEYFRAMES:
        return
    fd = os.open(path, os.O_RDONLY)
    with VideoContainer(fd, DEFAULT_LIMITS) as video:
        index = video.read_index()
        chosen = choose(index.pts_seconds, index.end_seconds, sampling)
        steps = plan(index, chosen, skip=video.may_skip)
        rows = {int(ordinal): row for row, ordinal in enumerate(index.ordinals)}
        got: dict[int, NDArray[np.uint8]] = {}
        painter = Painter()
        for step in steps.stretches:
            video.go_to(step.start, index.packets, seek=step.seek)
            pictures = video.decode_up_to(step.last, step.wanted, skip=steps.skip)
            for count, (ordinal, frame) in enumerate(pictures):
                row = rows[ordinal] if index.timed else count
                painter.paint(frame, Orientation(), got.setdefault(row, np.zeros((64, 96, 3), np.uint8)))
    os.close(fd)
    assert all((got[row] == pixels[row]).all() for row in chosen.tolist())


@pytest.mark.parametrize("name", ["pyramid.mp4", "mpeg4.mp4", "vp9.webm", "hevc.mp4"])
def test_false_keyframes_are_found_out(name: str, tmp_path: Path) -> None:
    """A container that marks every packet as a keyframe costs time, not pixels."""
    honest = encode(tmp_path / name, drifting, FRAMES, (128, 96), CODINGS[name])
    liar = tmp_path / "liar.mp4"
    with av.open(str(honest)) as source, av.open(str(liar), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream, packet.is_keyframe = stream, True
                target.mux(packet)
    times, pixels = full_decode(liar, 96, 64)
    shot = Shot(NumFramesSampling(num_frames=5), size=FixedSize(96, 64))
    decoded = decode_file(DecodeJob(liar, shot))
    same = np.searchsorted(times, decoded.frames.pts_seconds - 1e-6)
    assert (pixels[same] == decoded.frames.data).all()

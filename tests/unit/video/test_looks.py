"""Strategies and profiles on real clips: what leaves the decoder, in this process and in a child."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from serve_app.schema import (
    FpsSampling,
    IntervalSampling,
    KeyframesSampling,
    NumFramesSampling,
    SceneSampling,
    TimesSampling,
    UniformSampling,
)
from serve_app.settings import DecoderSettings
from serve_app.settings.models import BUILT_IN, profile_of
from serve_app.video.clips import shots
from serve_app.video.decoder import decode_file
from serve_app.video.job import Asked, Decoded, DecodeJob
from serve_app.video.sandbox import Sandbox
from tests.clips import X264, Coding, drifting, encode

COLOURS = [(30, 60, 220), (255, 230, 40), (30, 150, 50)]
CUT_FRAMES = 32  # at 25 frames per second: cuts at 1.28 s and 2.56 s


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three still shots, with a keyframe every half second."""
    coding = Coding(options={**X264, "g": "12", "bf": "2"})
    return encode(
        tmp_path_factory.mktemp("clips") / "cuts.mp4", shots(COLOURS, CUT_FRAMES), 96, coding=coding
    )


def decoded(path: Path, asked: Asked, model: str | None = None) -> Decoded:
    profile = profile_of(model) if model is not None else None
    return decode_file(DecodeJob(path, asked.shot(DecoderSettings(), profile)))


def test_scene_shows_every_shot(cuts: Path) -> None:
    """One frame of each, in its colour, at the size that was asked for."""
    found = decoded(cuts, Asked(SceneSampling()))
    assert (found.frames.pts_seconds // (CUT_FRAMES / 25)).tolist() == [0, 1, 2]
    for picture, colour in zip(found.frames.data, COLOURS, strict=True):
        assert np.median(picture.reshape(-1, 3), axis=0) == pytest.approx(colour, abs=12)
    assert (found.frames.width, found.frames.height) == (308, 252)
    assert found.warnings == ()


def test_scene_keeps_to_its_range(cuts: Path) -> None:
    """Shots outside of it are not looked at."""
    found = decoded(cuts, Asked(SceneSampling(), start_s=1.4, end_s=2.4))
    assert len(found.frames) == 1
    assert 1.4 <= found.frames.pts_seconds[0] < 2.4


def test_looks_are_few_and_small(cuts: Path) -> None:
    """However long the video: with four looks allowed, what is shown is one of four."""
    found = decoded(cuts, Asked(SceneSampling(looks_per_s=60, max_looks=4, min_frames=4)))
    assert found.frames.pts_seconds.tolist() == pytest.approx([0, 1.28, 2.52, 3.8], abs=0.05)


def test_scene_shows_the_pixels_of_a_plain_decode(tmp_path: Path) -> None:
    """The second pass over the file gives what a first one would have given."""
    clip = encode(tmp_path / "a.mp4", drifting, 60, (96, 64), Coding(options={**X264, "g": "15", "bf": "3"}))
    found = decoded(clip, Asked(SceneSampling(threshold=3)))
    again = decoded(clip, Asked(TimesSampling(times_s=tuple(found.frames.pts_seconds.tolist()))))
    assert len(found.frames) > 3
    assert (found.frames.data == again.frames.data).all()


def test_keyframes_are_the_containers(cuts: Path) -> None:
    """Each packet that the container flags, and no other."""
    with av.open(str(cuts)) as container:
        flagged = [
            p.pts * p.time_base for p in container.demux(video=0) if p.is_keyframe and p.pts is not None
        ]
    found = decoded(cuts, Asked(KeyframesSampling()))
    assert found.frames.pts_seconds.tolist() == pytest.approx([float(at) for at in flagged])
    assert len(flagged) == 8


@pytest.mark.parametrize("sampling", [FpsSampling(fps=25), NumFramesSampling(num_frames=96), SceneSampling()])
def test_no_more_frames_than_allowed(cuts: Path, sampling: FpsSampling) -> None:
    """Any strategy is thinned evenly to max_sampled_frames, and the record says so."""
    found = decoded(cuts, Asked(sampling, max_frames=2))
    assert len(found.frames) == 2
    assert len(found.warnings) == 1
    assert "2 are allowed (max_sampled_frames)" in found.warnings[0]


@pytest.mark.parametrize(
    ("model", "frames", "size"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 6, (392, 280)),
        ("Qwen/Qwen3-VL-8B-Instruct", 6, (448, 320)),
        ("HuggingFaceTB/SmolVLM2-2.2B-Instruct", 4, (384, 384)),
        ("llava-hf/llava-onevision-qwen2-7b-ov-hf", 32, (384, 384)),
        ("llava-hf/LLaVA-NeXT-Video-7B-hf", 32, (448, 336)),
        ("gpt-4o", 3, (320, 240)),
    ],
)
def test_frames_leave_at_the_models_size(cuts: Path, model: str, frames: int, size: tuple[int, int]) -> None:
    """Number and size of a clip of 3.84 s, 320 x 240, as each model takes it."""
    found = decoded(cuts, Asked(), model)
    assert (len(found.frames), (found.frames.width, found.frames.height)) == (frames, size)


EVERY_WAY = [
    Asked(sampling)
    for sampling in (
        FpsSampling(frame_factor=4),
        NumFramesSampling(num_frames=5),
        UniformSampling(segments=5),
        IntervalSampling(every_s=0.7),
        KeyframesSampling(),
        SceneSampling(),
        SceneSampling(min_frames=6),
        SceneSampling(max_frames=2),
        TimesSampling(times_s=(3, 1)),
    )
]


async def test_a_child_does_all_of_it(cuts: Path) -> None:
    """Each strategy and each profile: what comes out of the sandbox is what this process makes of it.

    The child may open no file: a library that imports something only when it is first used fails there.
    """
    shots_asked = [asked.shot(DecoderSettings(), None) for asked in EVERY_WAY]
    shots_asked += [Asked(max_frames=8).shot(DecoderSettings(), profile) for profile in BUILT_IN]
    box = Sandbox(children=1, timeout_s=30, max_frames_bytes=32 << 20)
    await box.start()
    try:
        for shot in shots_asked:
            here = decode_file(DecodeJob(cuts, shot))
            async with box.decode(DecodeJob(cuts, shot)) as there:
                assert there.frames.pts_seconds.tolist() == here.frames.pts_seconds.tolist()
                assert (there.frames.data == here.frames.data).all()
    finally:
        await box.close()

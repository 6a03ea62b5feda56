"""How far the references are from each other: the figures of docs/profiles.md.

``python -m tests.parity.differences`` in the environment of ``make parity`` prints them.
"""

from __future__ import annotations

import numpy as np
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata

from serve_app.settings.models import profile_of
from serve_app.settings.profile import ModelProfile
from serve_app.video.geometry import target_size
from serve_app.video.profiles import frame_count, placed, visual_tokens
from tests.parity.cases import Clip
from tests.parity.references import fetched, resized

LENGTHS_S = (5, 10, 30, 60, 180, 600, 1800, 3600)
RATES = (24, 24_000 / 1001, 25, 30, 30_000 / 1001, 60)
SIZES = ((640, 360), (1280, 720), (1920, 1080), (1080, 1920), (3840, 2160))
CLIPS = [Clip(round(s * r), r, w, h) for s in LENGTHS_S for r in RATES for w, h in SIZES]


def ours(known: ModelProfile, clip: Clip) -> tuple[list[int], int]:
    """Frames and tokens of a clip by its profile."""
    count = frame_count(known.frames, clip.total, clip.fps)
    size = target_size(clip.width, clip.height, known.size, count)
    return placed(known.frames, clip.total, count, clip.fps).tolist(), visual_tokens(
        known.tokens, count, *size
    )


def precision() -> None:
    """Frames of qwen-vl-utils that single precision moves."""
    known = profile_of("qwen2.5-vl")
    assert known is not None
    for seconds in LENGTHS_S:
        moved = frames = 0
        for rate in RATES:
            clip = Clip(round(seconds * rate), rate, 640, 360)
            theirs = fetched(clip, {}, 14)
            assert theirs is not None
            moved += int((np.array(ours(known, clip)[0]) != theirs.indices).sum())
            frames += len(theirs.indices)
        print(f"single precision, {seconds:5d} s: {moved} of {frames} frames are a neighbour")  # noqa: T201


def processors() -> None:
    """The same clips by transformers: frames, and tokens with and without the cap."""
    for model, processor, patch in (
        ("qwen2.5-vl", Qwen2VLVideoProcessor, 14),
        ("qwen3-vl", Qwen3VLVideoProcessor, 16),
    ):
        known = profile_of(model)
        assert known is not None
        ratios: dict[str, list[float]] = {"uncapped": [], "capped": []}
        other = total = 0
        for clip in CLIPS:
            indices, tokens = ours(known, clip)
            facts = VideoMetadata(total_num_frames=clip.total, fps=clip.fps, duration=clip.duration)
            theirs = processor().sample_frames(facts, fps=2).tolist()
            total += 1
            other += theirs != indices
            for name, cap in (("uncapped", False), ("capped", True)):
                said = {} if patch == 14 else {"size": {"shortest_edge": 4096, "longest_edge": 25_165_824}}
                size = resized(
                    processor(**said),
                    clip,
                    len(theirs),
                    factor=patch * 2,
                    temporal_factor=2,
                    cap_pixels_per_frame=cap,
                )
                ratios[name].append(visual_tokens(known.tokens, len(theirs), *size) / tokens)
        told = ", ".join(
            f"{name} {min(r):.2f} to {max(r):.2f} times (median {np.median(r):.2f})"
            for name, r in ratios.items()
        )
        print(f"{model}: {other} of {total} clips have other frames in transformers; tokens {told}")  # noqa: T201


if __name__ == "__main__":
    precision()
    processors()

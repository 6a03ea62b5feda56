"""Frames, sizes and tokens of the Qwen profiles against qwen-vl-utils, end to end."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from serve_app.errors import VideoRefusedError
from serve_app.settings.models import profile_of
from serve_app.settings.profile import FrameRule, ModelProfile, PatchSize
from serve_app.video.geometry import resized, target_size
from serve_app.video.profiles import frame_count, placed
from tests.parity.cases import Clip, below, clips
from tests.parity.references import QWEN, Taken, fetched

PROFILES = [("Qwen/Qwen2.5-VL-3B-Instruct", 14), ("Qwen/Qwen3-VL-8B-Instruct", 16)]
FLOAT32_NOISE = 2.0**-22  # of a position: a step rounded to 24 bits, multiplied and added


def profile(model: str) -> ModelProfile:
    found = profile_of(model)
    assert found is not None
    return found


def taken(rule: FrameRule, size: PatchSize, clip: Clip) -> Taken | None:
    """What the profile's rules make of a clip."""
    count = frame_count(rule, clip.total, clip.fps)
    try:
        width, height = target_size(clip.width, clip.height, size, count)
    except VideoRefusedError:
        return None
    return Taken(placed(rule, clip.total, count, clip.fps).tolist(), width, height)


def same_frames(ours: list[int], theirs: list[int], total: int) -> bool:
    """Equal; where single precision cannot tell a position from its neighbour's, within one frame.

    An even number of positions falls on no tie, and at least 1 / 2 (n - 1) beside each.
    """
    assert len(ours) == len(theirs)
    told_apart = total * FLOAT32_NOISE < 1 / (2 * max(len(ours) - 1, 1))
    return int(np.abs(np.subtract(ours, theirs)).max()) <= (0 if told_apart else 1)


def said(dice: random.Random, clip: Clip, factor: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a message may say beside its video: of frames, and of pixels."""
    frames: dict[str, Any] = {}
    if dice.random() < 0.2:
        frames["nframes"] = dice.randint(2, max(2, min(clip.total, 768)))
    elif dice.random() < 0.6:
        frames["fps"] = dice.choice([0.1, 0.5, 1, 2, 4, 7.3, 24])
        if dice.random() < 0.5:
            frames |= {"min_frames": dice.randint(1, 32), "max_frames": dice.randint(32, 768)}
    pixels: dict[str, Any] = {}
    if dice.random() < 0.4:
        pixels["min_pixels"] = dice.randint(4, 256) * factor**2
        pixels["max_pixels"] = dice.randint(256, 768) * factor**2
    if dice.random() < 0.4:
        pixels["total_pixels"] = dice.randint(500, 200_000) * factor**2
    return frames, pixels


@pytest.mark.parametrize(("model", "patch"), PROFILES)
def test_a_video_alone_is_taken_as_the_loader_takes_it(model: str, patch: int) -> None:
    """Frames and size of 2500 clips are those of qwen-vl-utils; what it refuses has no two frames."""
    known, refused = profile(model), 0
    assert isinstance(known.size, PatchSize)
    for _, clip in clips(1, 2500):
        theirs, ours = fetched(clip, {}, patch), taken(known.frames, known.size, clip)
        if theirs is None:
            refused += 1
            assert clip.total < 2 or ours is None
            continue
        assert ours is not None
        assert (ours.width, ours.height) == (theirs.width, theirs.height), clip
        assert same_frames(ours.indices, theirs.indices, clip.total), clip
    assert refused < 800


@pytest.mark.parametrize(("model", "patch"), PROFILES)
def test_what_a_message_says_is_taken_as_the_loader_takes_it(model: str, patch: int) -> None:
    """The same for 2500 clips with frame rates, counts, bounds and pixel budgets of their own."""
    known, compared = profile(model), 0
    for dice, clip in clips(2, 2500):
        frames, pixels = said(dice, clip, patch * 2)
        update = {"num_frames": frames["nframes"], "fps": None} if "nframes" in frames else frames
        rule, size = known.frames.model_copy(update=update), known.size.model_copy(update=pixels)
        assert isinstance(size, PatchSize)
        theirs = fetched(clip, frames | pixels, patch)
        if theirs is None:
            continue
        compared += 1
        ours = taken(rule, size, clip)
        assert ours is not None
        assert (ours.width, ours.height) == (theirs.width, theirs.height), (clip, pixels)
        assert same_frames(ours.indices, theirs.indices, clip.total), (clip, frames)
    assert compared > 1500


def test_frame_counts_are_smart_nframes() -> None:
    """10000 counts for rates and bounds of all kinds; beyond what it allows, all frames there are."""
    refused = 0
    for dice, clip in clips(3, 10_000):
        low, high = dice.randint(1, 64), dice.randint(64, 2000)
        rule = FrameRule(fps=dice.uniform(0.01, 60), min_frames=low, max_frames=high, frame_factor=2)
        ele = {"fps": rule.fps, "min_frames": low, "max_frames": high}
        ours = frame_count(rule, clip.total, clip.fps)
        try:
            assert ours == QWEN.smart_nframes(ele, clip.total, clip.fps), (clip, ele)
        except ValueError:
            refused += 1
            assert (ours, clip.total) == (1, 1)
    assert 0 < refused < 2000


def test_sizes_are_smart_resize() -> None:
    """10000 sizes for factors and budgets of all kinds; a side that it rounds to nothing is one patch."""
    ratio = nothing = 0
    for dice, clip in clips(4, 10_000):
        factor = dice.choice([14, 16, 28, 32])
        low = below(dice, 2000) * factor**2
        high = low + below(dice, 20_000) * factor**2
        try:
            height, width = QWEN.smart_resize(clip.height, clip.width, factor, low, high)
        except ValueError:
            ratio += 1
            with pytest.raises(VideoRefusedError):
                resized(clip.width, clip.height, factor=factor, min_pixels=low, max_pixels=high)
            continue
        nothing += min(width, height) == 0
        ours = resized(clip.width, clip.height, factor=factor, min_pixels=low, max_pixels=high)
        assert ours == (max(width, factor), max(height, factor)), clip
    assert ratio < 2000
    assert nothing < 1000

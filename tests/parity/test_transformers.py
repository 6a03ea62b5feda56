"""Frames, sizes and tokens of the profiles against the processors of transformers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor
from transformers.models.llava_next_video.video_processing_llava_next_video import (
    LlavaNextVideoVideoProcessor,
)
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor
from transformers.video_utils import VideoMetadata

from serve_app.errors import VideoRefusedError
from serve_app.settings.models import profile_of
from serve_app.settings.profile import FrameRule, ModelProfile, VolumeSize
from serve_app.video.geometry import target_size
from serve_app.video.profiles import frame_count, placed, visual_tokens
from tests.parity.cases import Clip, below, clips
from tests.parity.references import resized


def profile(name: str) -> ModelProfile:
    found = profile_of(name)
    assert found is not None
    return found


def facts(clip: Clip) -> VideoMetadata:
    return VideoMetadata(
        total_num_frames=clip.total,
        fps=clip.fps,
        duration=clip.duration,
        width=clip.width,
        height=clip.height,
    )


def indices(rule: FrameRule, clip: Clip) -> list[int]:
    count = frame_count(rule, clip.total, clip.fps)
    chosen: list[int] = placed(rule, clip.total, count, clip.fps).tolist()
    return chosen


def sampled(processor: Any, clip: Clip, **said: object) -> list[int]:  # noqa: ANN401  it has no types
    chosen: list[int] = processor.sample_frames(facts(clip), **said).tolist()
    return chosen


def test_qwen3s_processor_takes_the_same_frames() -> None:
    """5000 clips at rates of all kinds: the indices of Qwen3VLVideoProcessor, each one."""
    processor, known = Qwen3VLVideoProcessor(), profile("qwen3-vl-transformers")
    for dice, clip in clips(11, 5000):
        fps = dice.choice([0.1, 0.5, 1, 2, 2, 2, 5, 24])
        rule = known.frames.model_copy(update={"fps": float(fps)})
        assert indices(rule, clip) == sorted(set(sampled(processor, clip, fps=fps))), (clip, fps)


def test_qwen3s_processor_makes_the_same_sizes_and_tokens() -> None:
    """5000 clips within the checkpoint's budget: sizes and tokens of Qwen3VLVideoProcessor."""
    known = profile("qwen3-vl-transformers")
    assert isinstance(known.size, VolumeSize)
    budget = {"shortest_edge": known.size.min_pixels, "longest_edge": known.size.max_pixels}
    processor = Qwen3VLVideoProcessor(size=budget, cap_pixels_per_frame=False)
    refused = 0
    for dice, clip in clips(12, 5000):
        frames = below(dice, 768) + 1
        try:
            patches = processor.get_num_of_video_patches(frames, clip.height, clip.width)
        except ValueError:
            refused += 1
            with pytest.raises(VideoRefusedError):
                target_size(clip.width, clip.height, known.size, frames)
            continue
        width, height = target_size(clip.width, clip.height, known.size, frames)
        assert visual_tokens(known.tokens, frames, width, height) == patches // 4, (clip, frames)
        if dice.random() < 0.2:
            assert (width, height) == resized(processor, clip, frames, factor=32, temporal_factor=2), clip
    assert refused < 1000


def test_qwens_tokens_are_the_grids() -> None:
    """1000 videos of the profile's size: as many tokens as Qwen2VLVideoProcessor's grid has, merged."""
    processor, known = Qwen2VLVideoProcessor(), profile("qwen2.5-vl")
    for dice, clip in clips(13, 1000):
        frames = below(dice, 768)
        try:
            width, height = target_size(clip.width, clip.height, known.size, frames)
        except VideoRefusedError:
            continue
        video = torch.empty((1, frames, 3, height, width), dtype=torch.uint8, device="meta")
        _, *grid = processor.patchify(video, patch_size=14, merge_size=2, temporal_patch_size=2)
        assert visual_tokens(known.tokens, frames, width, height) == int(np.prod(grid)) // 4


def test_a_video_of_the_profiles_size_is_not_resized_again() -> None:
    """1000 videos: Qwen2VLVideoProcessor keeps the size that the profile gave them."""
    processor, known = Qwen2VLVideoProcessor(cap_pixels_per_frame=True), profile("qwen2-vl")
    kept = 0
    for dice, clip in clips(14, 1000):
        frames = below(dice, 384) * 2
        try:
            width, height = target_size(clip.width, clip.height, known.size, frames)
        except VideoRefusedError:
            continue
        kept += 1
        made = Clip(clip.total, clip.fps, width, height)
        assert resized(processor, made, frames, factor=28) == (width, height), (clip, frames)
    assert kept > 500


@pytest.mark.parametrize(("model", "side"), [("SmolVLM2-2.2B-Instruct", 384), ("SmolVLM2-500M-Video", 512)])
def test_smolvlms_processor_takes_the_same_frames(model: str, side: int) -> None:
    """5000 clips: the indices of SmolVLMVideoProcessor as SmolVLM2 configures it, ends left out and all."""
    processor = SmolVLMVideoProcessor(
        video_sampling={"fps": 1, "max_frames": 64, "video_size": {"longest_edge": side}},
        max_image_size={"longest_edge": side},
    )
    known = profile(f"HuggingFaceTB/{model}")
    for _, clip in clips(15, 5000):
        assert indices(known.frames, clip) == sampled(processor, clip), clip
    for _, clip in clips(16, 200):
        size = target_size(clip.width, clip.height, known.size)
        assert size == resized(processor, clip, 2) == (side, side)


def test_llavas_processors_make_the_same_sizes_and_tokens() -> None:
    """2000 clips: sizes of LLaVA-OneVision's and LLaVA-NeXT-Video's processors, and the former's tokens."""
    one, following = profile("llava-onevision"), profile("llava-next-video")
    shortest = LlavaNextVideoVideoProcessor(size={"shortest_edge": 336})
    counter: Any = SimpleNamespace(num_image_tokens=729)
    for dice, clip in clips(17, 2000):
        if max(clip.width, clip.height) > 40 * min(clip.width, clip.height):
            continue
        assert target_size(clip.width, clip.height, one.size, 8) == resized(
            LlavaOnevisionVideoProcessor(), clip, 1
        )
        assert target_size(clip.width, clip.height, following.size) == resized(shortest, clip, 1), clip
        frames = below(dice, 64)
        told = LlavaOnevisionProcessor._get_num_multimodal_tokens(
            counter, video_sizes=[(frames, clip.height, clip.width)]
        )
        assert [visual_tokens(one.tokens, frames, 384, 384)] == told["num_video_tokens"]


def test_equal_starts_are_the_default_of_transformers() -> None:
    """5000 clips: ``starts`` are the indices of a processor without a rule of its own."""
    processor = LlavaOnevisionVideoProcessor()
    for dice, clip in clips(18, 5000):
        count = dice.randint(1, clip.total)
        rule = FrameRule(num_frames=min(count, 4096), placing="starts")
        assert indices(rule, clip) == sampled(processor, clip, num_frames=rule.num_frames), clip


@pytest.mark.parametrize("processor", [InternVLVideoProcessor(), Qwen2VLVideoProcessor()])
def test_other_segments_are_those_of_single_precision(processor: Any) -> None:  # noqa: ANN401
    """5000 clips: ``middles`` and ``starts`` as computed there in single precision, within one frame.

    Where a position is a whole number of frames, or nearly, its noise decides; and it may give one more.
    """
    differing = 0
    placing = "middles" if isinstance(processor, InternVLVideoProcessor) else "starts"
    for dice, clip in clips(19, 5000, most_frames=20_000):
        count = 2 * dice.randint(1, max(1, min(clip.total, 512) // 2))
        if count > clip.total:
            continue
        ours = indices(FrameRule.model_validate({"num_frames": count, "placing": placing}), clip)
        theirs = sampled(processor, clip, num_frames=count)
        differing += ours != theirs
        assert len(theirs) - count in (0, 1)
        assert np.abs(np.subtract(ours, theirs[:count])).max() <= 1, clip
    assert differing < 2500

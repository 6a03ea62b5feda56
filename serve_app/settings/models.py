"""The model profiles that are built in. docs/profiles.md says what each follows, and where it differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from serve_app.settings.profile import (
    ExactSize,
    FitSize,
    FrameRule,
    FrameTokens,
    ModelProfile,
    PatchSize,
    PatchTokens,
    PixelTokens,
    ShortestEdge,
    TileTokens,
    VolumeSize,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

QWEN_FRAMES = FrameRule(fps=2.0, min_frames=4, max_frames=768, frame_factor=2, placing="ends")
SMOLVLM_FRAMES = FrameRule(fps=1.0, max_frames=64, rounding="nearest", placing="ends_down", skip_s=1.0)
CONTEXT_TOKENS = 128_000  # of which qwen-vl-utils gives nine tenths to a video


def _qwen(name: str, factor: int, *models: str) -> ModelProfile:
    """The rules of qwen-vl-utils, with which these models were trained."""
    pixels = factor * factor
    return ModelProfile(
        name=name,
        models=models,
        frames=QWEN_FRAMES,
        size=PatchSize(
            factor=factor,
            min_pixels=128 * pixels,
            max_pixels=768 * pixels,
            total_pixels=CONTEXT_TOKENS * 9 // 10 * pixels,
            temporal_factor=2,
        ),
        tokens=PatchTokens(factor=factor, temporal_factor=2),
    )


def _gpt(name: str, per_tile: int, per_frame: int, *models: str) -> ModelProfile:
    """Models for which OpenAI counts so many tokens a tile of 512, and some for the picture."""
    return ModelProfile(
        name=name,
        models=models,
        frames=FrameRule(fps=1.0, max_frames=50, placing="middles"),
        size=FitSize(longest_edge=2048, shortest_edge=768),
        tokens=TileTokens(tile=512, per_tile=per_tile, per_frame=per_frame),
    )


BUILT_IN: Final[tuple[ModelProfile, ...]] = (
    _qwen("qwen2-vl", 28, "*qwen2-vl*", "*qwen2_vl*", "*qvq-*"),
    _qwen("qwen2.5-vl", 28, "*qwen2.5-vl*", "*qwen2_5_vl*", "*qwen2-5-vl*"),
    _qwen("qwen3-vl", 32, "*qwen3-vl*", "*qwen3_vl*"),
    ModelProfile(  # by name only: what a server does that leaves all to transformers
        name="qwen3-vl-transformers",
        frames=FrameRule(fps=2.0, min_frames=4, max_frames=768, placing="ends"),
        size=VolumeSize(factor=32, min_pixels=4096, max_pixels=25_165_824, temporal_factor=2),
        tokens=PatchTokens(factor=32, temporal_factor=2),
    ),
    ModelProfile(
        name="llava-onevision",
        models=("*llava-onevision*", "*llava_onevision*", "*llava-video*"),
        frames=FrameRule(num_frames=32, placing="ends_down"),
        size=ExactSize(width=384, height=384),
        tokens=FrameTokens(per_frame=196, per_video=1),
    ),
    ModelProfile(
        name="llava-next-video",
        models=("*llava-next-video*", "*llava_next_video*"),
        frames=FrameRule(num_frames=32, placing="ends_down"),
        size=ShortestEdge(shortest_edge=336),
        tokens=FrameTokens(per_frame=144),
    ),
    ModelProfile(
        name="internvl",
        models=("*internvl*",),
        frames=FrameRule(num_frames=32, placing="middles"),
        size=ExactSize(width=448, height=448),
        tokens=FrameTokens(per_frame=256),
    ),
    ModelProfile(
        name="smolvlm2",
        models=("*smolvlm2-2.2b*", "*smolvlm-instruct*"),
        frames=SMOLVLM_FRAMES,
        size=ExactSize(width=384, height=384),
        tokens=FrameTokens(per_frame=81),
    ),
    ModelProfile(
        name="smolvlm2-small",
        models=("*smolvlm*",),
        frames=SMOLVLM_FRAMES,
        size=ExactSize(width=512, height=512),
        tokens=FrameTokens(per_frame=64),
    ),
    # Before its larger sister, whose pattern holds it too.
    _gpt("gpt-4o-mini", 5667, 2833, "gpt-4o-mini*", "*/gpt-4o-mini*"),
    _gpt("openai", 170, 85, "gpt-4o*", "gpt-4.1", "gpt-4.1-2*", "*/gpt-4o*"),
    ModelProfile(
        name="claude",
        models=("claude-*", "*/claude-*", "*anthropic.claude-*"),
        frames=FrameRule(fps=1.0, max_frames=20, placing="middles"),
        size=FitSize(longest_edge=1568, max_pixels=1_150_000),
        tokens=PixelTokens(pixels_per_token=750),
    ),
    ModelProfile(
        name="gemini",
        models=("gemini-1.5-*", "gemini-2.*", "*/gemini-1.5-*", "*/gemini-2.*"),
        frames=FrameRule(fps=1.0, max_frames=768, placing="starts"),
        size=FitSize(longest_edge=768),
        tokens=FrameTokens(per_frame=258),
    ),
)


def profile_of(model: str, own: Sequence[ModelProfile] = ()) -> ModelProfile | None:
    """The profile of that name, else the first for that model id; one's own come first in both."""
    for known in (own, BUILT_IN):
        named = (profile for profile in known if profile.name.lower() == model.lower())
        fitting = (profile for profile in known if profile.fits(model))
        if (found := next(named, None) or next(fitting, None)) is not None:
            return found
    return None

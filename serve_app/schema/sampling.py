"""How frames are chosen: one model for each strategy, told apart by ``strategy``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from serve_app.schema.closed import Closed
from serve_app.schema.numbers import NO_SWITCH, Number, Whole

MAX_FRAMES = 4096
MAX_TIMES = 1024  # a job travels to the decoding process as one line of 64 KiB


class _CountBounds(Closed):
    min_frames: Whole = Field(
        default=1, ge=1, le=MAX_FRAMES, description="Never fewer frames, if the video has them."
    )
    max_frames: Whole = Field(default=768, ge=1, le=MAX_FRAMES, description="Never more frames.")
    frame_factor: Whole = Field(
        default=1,
        ge=1,
        le=64,
        description="The number of frames is a multiple of it, rounded down, if the video has so many.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} is above max_frames {self.max_frames}")
        if self.frame_factor > self.max_frames:
            raise ValueError(f"frame_factor {self.frame_factor} is above max_frames {self.max_frames}")
        return self


class FpsSampling(_CountBounds):
    """For k = 0, 1, … the frame shown at start + k / fps: the last one whose pts is not later."""

    strategy: Literal["fps"] = "fps"
    fps: Number = Field(default=2.0, gt=0, le=240, description="Frames per second of video.")


class NumFramesSampling(Closed):
    """A fixed number of frames, spread over the video or the asked range, its first and last among them."""

    strategy: Literal["num_frames"] = "num_frames"
    num_frames: Whole = Field(ge=1, le=MAX_FRAMES, description="Frames in all.")


class UniformSampling(Closed):
    """The range in equal segments, and of each the frame shown at its middle.

    The first and the last frame, often black or faded, are not taken unless the video is short. The rule
    of TSN's test mode and of InternVL's processor in transformers.
    """

    strategy: Literal["uniform"] = "uniform"
    segments: Whole = Field(ge=1, le=MAX_FRAMES, description="Segments, and so frames, in all.")


class IntervalSampling(_CountBounds):
    """One frame every so many seconds: the frame shown at start + k x every_s."""

    strategy: Literal["interval"] = "interval"
    every_s: Number = Field(gt=0, le=86_400, description="Seconds from one frame to the next.")


class KeyframesSampling(_CountBounds):
    """The frames that the container marks as keyframes: the cheapest to decode, often where shots begin."""

    strategy: Literal["keyframes"] = "keyframes"


class SceneSampling(_CountBounds):
    """At least one frame of each shot, and more where the picture changes more.

    The video is looked at in small first. A shot begins where two looks differ by at least ``threshold``;
    within a shot there is one frame for each ``threshold`` of change added up, spread evenly over the
    change. Change is PySceneDetect's: the mean difference of hue, saturation and value, 0 to 255.
    """

    strategy: Literal["scene"] = "scene"
    max_frames: Whole = Field(default=64, ge=1, le=MAX_FRAMES, description="Never more frames.")
    threshold: Number = Field(default=27.0, gt=0, le=255, description="Change that begins a shot.")
    looks_per_s: Number = Field(
        default=4.0, gt=0, le=60, description="Looks per second; a shot's begin is known to one look."
    )
    max_looks: Whole = Field(default=MAX_FRAMES, ge=2, le=MAX_FRAMES, description="Looks in all.")


class TimesSampling(Closed):
    """The frames shown at these times, each frame once; a time outside the range is an error."""

    strategy: Literal["times"] = "times"
    times_s: tuple[Annotated[float, Field(ge=0), NO_SWITCH], ...] = Field(
        min_length=1, max_length=MAX_TIMES, description="Seconds on the container's timeline, in any order."
    )


PlainSampling = (
    FpsSampling | NumFramesSampling | UniformSampling | IntervalSampling | KeyframesSampling | TimesSampling
)
"""The strategies that choose by times and flags, without a look at the pictures."""
Sampling = Annotated[PlainSampling | SceneSampling, Field(discriminator="strategy")]
SAMPLING_BY_KEY = {
    "fps": "fps",
    "num_frames": "num_frames",
    "segments": "uniform",
    "every_s": "interval",
    "times_s": "times",
}


def name_strategy(value: object) -> object:
    """``{"fps": 2}`` means ``{"strategy": "fps", "fps": 2}``: fill in the strategy its key implies."""
    if not isinstance(value, dict) or "strategy" in value:
        return value
    named = [strategy for key, strategy in SAMPLING_BY_KEY.items() if key in value]
    return {"strategy": named[0], **value} if len(named) == 1 else value

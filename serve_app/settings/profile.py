"""Settings of a model profile: which frames a model takes, how large, and what they cost it.

The rules are data, so that a profile for a model that nobody has heard of yet is a few lines of YAML.
:mod:`serve_app.settings.models` has those that are built in, docs/profiles.md what they follow.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from serve_app.schema import Closed, FpsSampling, IntervalSampling, NumFramesSampling, Sampling
from serve_app.schema.numbers import Number, OptionalNumber, OptionalWhole, Whole
from serve_app.schema.sampling import MAX_FRAMES

MAX_SIDE = 16_384
MAX_PIXELS = 10**12


def require_area(factor: int, min_pixels: int, max_pixels: int) -> None:
    """``ValueError`` where no picture can have sides of ``factor`` and an area within the bounds."""
    if not factor**2 <= max_pixels >= min_pixels:
        raise ValueError(
            f"max_pixels {max_pixels} must be at least factor² {factor**2} and min_pixels {min_pixels}"
        )


class FrameRule(Closed):
    """How many frames, and which.

    With ``fps`` their number is the duration times it, within bounds; otherwise it is ``num_frames``.
    """

    fps: OptionalNumber = Field(default=None, gt=0, le=240, description="Frames per second of video.")
    num_frames: OptionalWhole = Field(
        default=None, ge=1, le=MAX_FRAMES, description="Frames in all; exactly one of the two is given."
    )
    min_frames: Whole = Field(default=1, ge=1, le=MAX_FRAMES, description="Never fewer, if there are.")
    max_frames: Whole = Field(default=768, ge=1, le=MAX_FRAMES, description="Never more.")
    frame_factor: Whole = Field(
        default=1, ge=1, le=64, description="Their number is a multiple of it, if the video has so many."
    )
    rounding: Literal["down", "nearest"] = Field(
        default="down", description="Of the duration times fps, before the bounds."
    )
    placing: Literal["ends", "ends_down", "starts", "middles"] = Field(
        default="ends",
        description="ends: from the first frame to the last, rounded to the nearest frame; ends_down: the "
        "same rounded down; starts, middles: where equal segments begin, or their middles, rounded down.",
    )
    skip_s: Number = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="Left out at both ends of a video longer than max_frames x fps + 2 x skip_s seconds.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.fps is None) == (self.num_frames is None):
            raise ValueError("give exactly one of fps and num_frames")
        if not max(self.min_frames, self.frame_factor) <= self.max_frames:
            raise ValueError(
                f"max_frames {self.max_frames} must be at least min_frames {self.min_frames}"
                f" and frame_factor {self.frame_factor}"
            )
        return self

    def under(self, sampling: Sampling) -> FrameRule | None:
        """The rule with what ``sampling`` says; ``None`` for strategies that choose by themselves."""
        given = sampling.model_fields_set
        bounds = {name: getattr(sampling, name) for name in ("min_frames", "max_frames") if name in given}
        match sampling:
            case FpsSampling():
                said = bounds | {"fps": sampling.fps, "num_frames": None}
            case IntervalSampling():
                said = bounds | {"fps": 1 / sampling.every_s, "num_frames": None}
            case NumFramesSampling():
                said = {"fps": None, "num_frames": sampling.num_frames}
            case _:
                return None
        return self.model_copy(update=self._fitting(said))

    def _fitting(self, said: dict[str, object]) -> dict[str, object]:
        # A request's bound may contradict the model's other one: the request's counts.
        low, high = said.get("min_frames"), said.get("max_frames")
        if isinstance(low, int) and high is None:
            said["max_frames"] = max(low, self.max_frames)
        if isinstance(high, int):
            said["max_frames"] = max(high, self.frame_factor)
            said.setdefault("min_frames", min(self.min_frames, high))
        return said


class PatchSize(Closed):
    """Sides in multiples of ``factor``, the area within bounds, as ``smart_resize`` of Qwen's loader.

    With ``total_pixels`` a frame gets ``temporal_factor`` times its even share of them at most, and never
    less than 1.05 x ``min_pixels``.
    """

    kind: Literal["patches"] = "patches"
    factor: Whole = Field(ge=1, le=256, description="Patch size times merge size, in pixels.")
    min_pixels: Whole = Field(ge=1, le=10**8, description="Fewest pixels per frame.")
    max_pixels: Whole = Field(ge=1, le=10**8, description="Most pixels per frame.")
    total_pixels: OptionalWhole = Field(
        default=None, ge=1, le=MAX_PIXELS, description="Most pixels of a video."
    )
    temporal_factor: Whole = Field(default=1, ge=1, le=64, description="Frames that make one patch in time.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        require_area(self.factor, self.min_pixels, self.max_pixels)
        return self


class VolumeSize(Closed):
    """The same with bounds for all frames together, as Qwen3-VL's processor in transformers."""

    kind: Literal["patch_volume"] = "patch_volume"
    factor: Whole = Field(ge=1, le=256, description="Patch size times merge size, in pixels.")
    min_pixels: Whole = Field(ge=1, le=MAX_PIXELS, description="Fewest pixels of a video.")
    max_pixels: Whole = Field(ge=1, le=MAX_PIXELS, description="Most pixels of a video.")
    temporal_factor: Whole = Field(default=1, ge=1, le=64, description="Frames that make one patch in time.")


class ExactSize(Closed):
    """One size for all videos; the aspect ratio is not kept."""

    kind: Literal["exact"] = "exact"
    width: Whole = Field(ge=1, le=MAX_SIDE, description="Pixels.")
    height: Whole = Field(ge=1, le=MAX_SIDE, description="Pixels.")


class ShortestEdge(Closed):
    """The shorter side has so many pixels; the aspect ratio is kept. A crop is left to the engine."""

    kind: Literal["shortest_edge"] = "shortest_edge"
    shortest_edge: Whole = Field(ge=1, le=MAX_SIDE, description="Pixels.")


class FitSize(Closed):
    """As shown, made smaller where a bound asks for it and never larger."""

    kind: Literal["fit"] = "fit"
    longest_edge: OptionalWhole = Field(default=None, ge=1, le=MAX_SIDE, description="Longer side, at most.")
    shortest_edge: OptionalWhole = Field(
        default=None, ge=1, le=MAX_SIDE, description="Shorter side, at most."
    )
    max_pixels: OptionalWhole = Field(default=None, ge=1, le=10**8, description="Pixels, at most.")


SizeRule = Annotated[PatchSize | VolumeSize | ExactSize | ShortestEdge | FitSize, Field(discriminator="kind")]


class PatchTokens(Closed):
    """One token for each ``factor`` x ``factor`` pixels of ``temporal_factor`` frames."""

    kind: Literal["patches"] = "patches"
    factor: Whole = Field(ge=1, le=256, description="Patch size times merge size, in pixels.")
    temporal_factor: Whole = Field(default=1, ge=1, le=64, description="Frames that make one patch in time.")


class FrameTokens(Closed):
    """So many tokens for each frame, whatever its size."""

    kind: Literal["per_frame"] = "per_frame"
    per_frame: Whole = Field(ge=0, le=10**6, description="Tokens of a frame.")
    per_video: Whole = Field(default=0, ge=0, le=10**6, description="Tokens beside those of the frames.")


class TileTokens(Closed):
    """So many tokens for each square tile of a frame, and some for the frame."""

    kind: Literal["tiles"] = "tiles"
    tile: Whole = Field(ge=1, le=MAX_SIDE, description="Side of a tile in pixels.")
    per_tile: Whole = Field(ge=0, le=10**6, description="Tokens of a tile.")
    per_frame: Whole = Field(default=0, ge=0, le=10**6, description="Tokens beside those of the tiles.")


class PixelTokens(Closed):
    """One token for so many pixels of a frame, rounded up."""

    kind: Literal["pixels"] = "pixels"
    pixels_per_token: Whole = Field(ge=1, le=10**6, description="Pixels.")


TokenRule = Annotated[PatchTokens | FrameTokens | TileTokens | PixelTokens, Field(discriminator="kind")]


class ModelProfile(Closed):
    """What one family of models takes."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$", description="How it is called here and in the record."
    )
    models: tuple[str, ...] = Field(
        default=(),
        max_length=64,
        description="Model ids that it is for, in any case; * stands for any characters.",
    )
    frames: FrameRule = Field(description="Which frames.")
    size: SizeRule = Field(description="How large.")
    tokens: TokenRule = Field(description="Visual tokens.")

    def fits(self, model: str) -> bool:
        """Whether this model id is one that the profile is for."""
        return any(fnmatchcase(model.lower(), one.lower()) for one in self.models)

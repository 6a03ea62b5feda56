"""Settings of frames: geometry, decoder."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from serve_app.schema import Closed, FpsSampling, Sampling, name_strategy
from serve_app.schema.numbers import Number, Whole


class GeometrySettings(Closed):
    """Size of the frames that the engine sees; aspect ratio kept, sides multiples of ``factor``.

    The rule is ``smart_resize`` of Qwen's reference code.
    """

    factor: Whole = Field(default=28, ge=1, le=256, description="Both sides are multiples of so many pixels.")
    min_pixels: Whole = Field(default=3136, ge=1, le=10**8, description="Fewest pixels per frame.")
    max_pixels: Whole = Field(default=200_704, ge=1, le=10**8, description="Most pixels per frame.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.factor**2 <= self.max_pixels >= self.min_pixels:
            raise ValueError(
                f"max_pixels {self.max_pixels} must be at least factor² {self.factor**2}"
                f" and min_pixels {self.min_pixels}"
            )
        return self


class DecoderSettings(Closed):
    """How frames are chosen and decoded."""

    sampling: Annotated[Sampling, BeforeValidator(name_strategy)] = Field(
        default=FpsSampling(fps=2.0, max_frames=64), description="Where a request does not say."
    )
    geometry: GeometrySettings = Field(default=GeometrySettings(), description="Frame size.")
    children: Whole = Field(default=1, ge=1, le=64, description="Decoding processes per replica.")
    timeout_s: Number = Field(default=120, gt=0, le=86_400, description="Then the child is killed.")
    max_frames_mib: Number = Field(default=1024, gt=0, le=65_536, description="Frames of one request in MiB.")

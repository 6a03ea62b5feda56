"""Settings of the windows in which long videos are captioned."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from serve_app.schema import Closed
from serve_app.schema.numbers import Number, OptionalNumber, Whole
from serve_app.schema.violations import refusal
from serve_app.schema.windows import LEAST_S, MOST_S


class WindowSettings(Closed):
    """Long videos in windows, each with frames and a caption of its own."""

    from_s: OptionalNumber = Field(
        default=None,
        ge=0,
        le=10**7,
        description="A video, or an asked range, at least this long is captioned in windows. Default: only "
        "where a request or its task asks for it.",
    )
    length_s: Number = Field(
        default=30, ge=LEAST_S, le=MOST_S, description="Length of each, but perhaps the last."
    )
    overlap_s: Number = Field(
        default=0, ge=0, le=MOST_S, description="So much of a window is in the next one as well."
    )
    in_flight: Whole = Field(
        default=4,
        ge=1,
        le=256,
        description="Windows of one video that are decoded and not yet captioned; their frames take memory.",
    )
    most: Whole = Field(
        default=4096, ge=1, le=100_000, description="Windows of one video; one that has more is refused."
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.overlap_s >= self.length_s:
            raise refusal(("overlap_s",), self.overlap_s, f"allowed: below length_s, {self.length_s:g}")
        return self

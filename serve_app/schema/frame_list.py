"""A video that comes as a list of images, as the loaders of vision models take it beside a file."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from serve_app.schema.closed import Closed
from serve_app.schema.numbers import NO_SWITCH, OptionalNumber
from serve_app.schema.sampling import MAX_FRAMES
from serve_app.schema.violations import refusal

MAX_URL_CHARS = 64 * 1024 * 1024  # a data: URI carries its bytes itself; the broker limits the record


class FrameList(Closed):
    """Images that are the frames of a video, in their order; exactly one of ``fps`` and ``times_s``."""

    urls: tuple[Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)], ...] = Field(
        min_length=1,
        max_length=MAX_FRAMES,
        description="One JPEG, PNG, WebP, BMP or GIF each, from wherever a video may come.",
    )
    fps: OptionalNumber = Field(
        default=None, ge=1e-6, le=1000, description="Images per second; the first is at 0."
    )
    times_s: tuple[Annotated[float, Field(ge=0, le=10**10), NO_SWITCH], ...] | None = Field(
        default=None, max_length=MAX_FRAMES, description="Each image's time in seconds, rising."
    )

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if (self.fps is None) == (self.times_s is None):
            raise ValueError("give exactly one of fps and times_s")
        times, images = self.times_s or (), len(self.urls)
        if self.times_s is not None and len(times) != images:
            told = f"{len(times)} times for {images} images; allowed: one for each"
            raise refusal(("times_s",), list(times), told)
        for place, (before, at) in enumerate(pairwise(times), 1):
            if at <= before:
                raise refusal(("times_s", place), at, f"allowed: above {before:g}, the time before it")
        return self

    @property
    def pts_seconds(self) -> list[float]:
        """Each image's time."""
        if self.fps is None:
            return list(self.times_s or ())
        return [place / self.fps for place in range(len(self.urls))]

    @property
    def end_s(self) -> float | None:
        """Where the last image ends; ``None`` where the list does not say."""
        return None if self.fps is None else len(self.urls) / self.fps

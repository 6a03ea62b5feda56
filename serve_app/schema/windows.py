"""What a request may say about the windows in which its video is captioned."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from serve_app.schema.closed import Closed
from serve_app.schema.numbers import Number, OptionalNumber
from serve_app.schema.violations import refusal

LEAST_S: Final = 1
MOST_S: Final = 86_400


class Windows(Closed):
    """Captions by window: parts of one length, each with frames and a caption of its own."""

    length_s: OptionalNumber = Field(
        default=None, ge=LEAST_S, le=MOST_S, description="Length of a window; default from the settings."
    )
    overlap_s: OptionalNumber = Field(
        default=None,
        ge=0,
        le=MOST_S,
        description="So much of a window is in the next one as well; default from the settings.",
    )
    from_s: Number = Field(
        default=0,
        ge=0,
        le=10**7,
        description="A video, or an asked range, that is shorter is captioned whole.",
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.length_s is not None and self.overlap_s is not None and self.overlap_s >= self.length_s:
            raise refusal(("overlap_s",), self.overlap_s, f"allowed: below length_s, {self.length_s:g}")
        return self

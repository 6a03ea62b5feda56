"""A video's true times in the words of transformers' ``VideoMetadata``, which vLLM takes as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serve_app.engines.protocol import Prompt

PER_SECOND = 1000
"""Places a second on which frames are put: loaders count frames of a constant rate, videos have times."""


@dataclass(frozen=True, slots=True)
class Times:
    """The stretch as a video of ``PER_SECOND`` frames a second, of which these were taken.

    What models make of it is right for any rate: seconds between frames are index / fps, and the mean rate
    is frames / total x fps (``VideoMetadata.sampled_fps``).
    """

    fps: float
    duration: float
    total_num_frames: int
    frames_indices: tuple[int, ...]

    @classmethod
    def of(cls, prompt: Prompt) -> Times:
        """The times of a prompt's frames, from its stretch's start."""
        total = max(len(prompt.pts_seconds), round(prompt.duration_s * PER_SECOND))
        places = [round((pts - prompt.start_s) * PER_SECOND) for pts in prompt.pts_seconds]
        indices = tuple(min(max(place, 0), total - 1) for place in places)
        return cls(float(PER_SECOND), total / PER_SECOND, total, indices)

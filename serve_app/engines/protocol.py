"""What every engine takes and gives: values, and one structural type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from serve_app.errors import Failure
from serve_app.schema import GenerationParams, Output, Usage


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One video for the engine, or a text alone.

    ``frames`` are uint8, T x H x W x 3, RGB, and may be read-only; ``pts_seconds`` has a time for each. There
    are none where the text is all: ``frames`` is ``None`` then, and an engine that cannot do with that
    answers with an ``EngineRejectedError``.
    ``text`` is what is asked; an engine without a model leaves it unread. ``output`` is the form that the
    answer must have. The stretch of the video that is captioned begins at ``start_s``, on the timeline of
    ``pts_seconds``, and lasts ``duration_s`` seconds. ``deadline_s`` is in seconds since 1970: nobody waits
    for the answer after it.
    """

    frames: np.ndarray | None = field(repr=False)
    pts_seconds: tuple[float, ...]
    duration_s: float
    task: str
    text: str
    params: GenerationParams = field(default_factory=GenerationParams)
    output: Output | None = None
    start_s: float = 0.0
    visual_tokens: int = 0
    deadline_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Generation:
    """What the engine wrote. ``finish_reason`` is ``stop``, or ``length`` where it was cut off."""

    text: str
    usage: Usage | None
    finish_reason: str


Outcome = Generation | Failure


class Engine(Protocol):
    """Turns batches of frames into text. An item that fails is a ``Failure`` in its place.

    ``generate`` returns as many outcomes as there are prompts, in their order, and raises only when the
    engine itself is beyond use; ``check_health`` raises then too, so that the replica is replaced.
    """

    kind: str
    model: str | None

    async def start(self) -> None:
        """Load and warm up; captions are asked for only after."""

    async def generate(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        """Caption a batch."""

    async def check_health(self) -> None:
        """Raise if it will never answer again."""

    async def close(self) -> None:
        """Let go of everything, child processes too."""

"""The engine without a model: it states what can be measured, and says that it is no model.

For laptops and tests: its captions are true, cheap and repeatable, and tell nothing about meaning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from serve_app.engines.measure import Measured, measure
from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.errors import EngineRejectedError, Failure
from serve_app.settings import BaselineSettings

NOTE = "(measured by the baseline engine, not a model)"


class BaselineEngine:
    """Describes light, colours, motion and cuts."""

    kind: str = "baseline"
    model: str | None = None

    def __init__(self, settings: BaselineSettings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Nothing to load."""

    async def generate(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        """Measure each video in a thread, so that the replica goes on taking requests."""
        return await asyncio.to_thread(lambda: [outcome_of(prompt) for prompt in prompts])

    async def check_health(self) -> None:
        """Always well: there is nothing that could break."""

    async def close(self) -> None:
        """Nothing to let go of."""


def outcome_of(prompt: Prompt) -> Outcome:
    """The caption of one video, or why there is none."""
    frames = prompt.frames
    if frames is None:
        told = f"the baseline engine is no model and writes nothing from text (task {prompt.task})"
        return Failure.of(EngineRejectedError(told))
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != "uint8" or frames.size == 0:
        found = f"{frames.dtype} {frames.shape}"
        return Failure.of(EngineRejectedError(f"frames must be uint8, T x H x W x 3 and not empty: {found}"))
    if prompt.output is not None:
        told = f"the baseline engine is no model and has no {prompt.output.kind} answers (task {prompt.task})"
        return Failure.of(EngineRejectedError(told))
    text = sentence(measure(frames), len(frames), prompt.duration_s)
    return Generation(text=text, usage=None, finish_reason="stop")


def sentence(found: Measured, frames: int, duration_s: float) -> str:
    """Put the measurements into words."""
    colours = _joined(found.colours)
    if frames == 1:
        return f"{found.light.capitalize()} picture, mostly {colours} {NOTE}."
    cuts = "no cuts" if found.cuts == 0 else "1 cut" if found.cuts == 1 else f"{found.cuts} cuts"
    return (
        f"{found.light.capitalize()} video of {duration_s:.1f} s, mostly {colours}, "
        f"with {found.motion} motion and {cuts} in {frames} frames {NOTE}."
    )


def _joined(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

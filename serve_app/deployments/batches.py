"""Micro-batches: prompts that come one by one reach the engine together, counted in visual tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from ray import serve

from serve_app.engines.protocol import Outcome, Prompt
from serve_app.errors import EngineUnavailableError, Failure
from serve_app.settings import BatchSettings

Generate = Callable[[Sequence[Prompt]], Awaitable[list[Outcome]]]


def weight(prompts: Sequence[Prompt], batch: BatchSettings) -> float:
    """How many of a batch's ``max_batch_size`` places prompts take.

    One at least each, and of the places the share that they have of ``max_visual_tokens``; a prompt that is
    too heavy for any batch fills one alone.
    """
    places = batch.max_batch_size
    shares = (prompt.visual_tokens * places / batch.max_visual_tokens for prompt in prompts)
    return sum(min(places, max(1.0, share)) for share in shares)


async def timely(
    generate: Generate, prompts: Sequence[Prompt], timeout_s: float, now_s: float
) -> list[Outcome]:
    """Outcomes in the order of the prompts; those past their deadline do not reach the engine."""
    late = Failure.of(EngineUnavailableError("its time was up before the engine was free"))
    due = [prompt for prompt in prompts if prompt.deadline_s > now_s]
    if not due:
        return [late] * len(prompts)
    try:
        async with asyncio.timeout(timeout_s):
            made = iter(await generate(due))
    except TimeoutError:
        silent = EngineUnavailableError(f"the engine gave no answer within {timeout_s:g} s")
        made = iter([Failure.of(silent)] * len(due))
    return [next(made) if prompt.deadline_s > now_s else late for prompt in prompts]


class Batches:
    """Hands prompts to ``generate``; one that fails never fails its neighbours."""

    def __init__(
        self, generate: Generate, settings: BatchSettings, now_s: Callable[[], float] = time.time
    ) -> None:
        self._generate, self._now_s = generate, now_s
        self.change(settings)

    def change(self, settings: BatchSettings) -> None:
        """Take up other settings; what has come already goes by those that it came under."""
        self.settings = settings

        async def run(prompts: list[Prompt]) -> list[Outcome]:
            return await timely(self._generate, prompts, settings.timeout_s, self._now_s())

        # The decorator's numbers come from the settings, so it is applied here and not on a class.
        batched = serve.batch(
            max_batch_size=settings.max_batch_size,
            batch_wait_timeout_s=settings.wait_ms / 1000,
            max_concurrent_batches=settings.overlap,
            # Ray compares it with the size, and says int.
            batch_size_fn=cast("Callable[[list[Prompt]], int]", lambda prompts: weight(prompts, settings)),
        )
        self._batched: Callable[[Prompt], Awaitable[Outcome]] = batched(run)

    async def take(self, prompt: Prompt) -> Outcome:
        """The prompt's outcome, whichever batch it goes in."""
        # The local name keeps these batches alive until the last of their prompts is answered.
        batched = self._batched
        return await batched(prompt)

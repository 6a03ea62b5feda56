"""Micro-batches: prompts that come one by one reach the engine together, counted in visual tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from ray import serve

from serve_app.engines.protocol import Outcome, Prompt
from serve_app.errors import EngineUnavailableError, Failure
from serve_app.settings import BatchSettings

Generate = Callable[[Sequence[Prompt]], Awaitable[list[Outcome]]]


def weight(prompts: Sequence[Prompt], batch: BatchSettings) -> int:
    """How much of a batch's visual tokens prompts take.

    A batch holds ``max_batch_size`` of them at most, so each weighs at least its share; one that is too
    heavy for any batch fills one alone.
    """
    most = batch.max_visual_tokens
    share = -(-most // batch.max_batch_size)
    return sum(min(most, max(share, prompt.visual_tokens)) for prompt in prompts)


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
            return await self._run(prompts, settings.timeout_s)

        # The decorator's numbers come from the settings, so it is applied here and not on a class.
        batched = serve.batch(
            max_batch_size=max(settings.max_visual_tokens, settings.max_batch_size),
            batch_wait_timeout_s=settings.wait_ms / 1000,
            max_concurrent_batches=settings.overlap,
            batch_size_fn=lambda prompts: weight(prompts, settings),
        )
        self._batched: Callable[[Prompt], Awaitable[Outcome]] = batched(run)

    async def take(self, prompt: Prompt) -> Outcome:
        """The prompt's outcome, whichever batch it goes in."""
        # The local name keeps these batches alive until the last of their prompts is answered.
        batched = self._batched
        return await batched(prompt)

    async def _run(self, prompts: list[Prompt], timeout_s: float) -> list[Outcome]:
        now_s = self._now_s()
        timely = [prompt for prompt in prompts if prompt.deadline_s > now_s]
        late = Failure.of(EngineUnavailableError("its time was up before the engine was free"))
        if not timely:
            return [late] * len(prompts)
        made = iter(await self._timed(timely, timeout_s))
        return [next(made) if prompt.deadline_s > now_s else late for prompt in prompts]

    async def _timed(self, prompts: list[Prompt], timeout_s: float) -> list[Outcome]:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._generate(prompts)
        except TimeoutError:
            late = EngineUnavailableError(f"the engine gave no answer within {timeout_s:g} s")
            return [Failure.of(late)] * len(prompts)

"""Work on files in threads, which cannot be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(work: Callable[[], Result], let_go: Callable[[Result], object]) -> Result:
    """The result of ``work``; when the caller is cancelled, ``let_go`` gets what comes of it later."""
    running = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:

        def ended(task: asyncio.Task[Result]) -> None:
            if not task.cancelled() and task.exception() is None:
                let_go(task.result())

        running.add_done_callback(ended)
        raise

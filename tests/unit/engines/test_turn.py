"""One engine of a node starts at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from serve_app.engines.turn import node_turn


async def test_a_second_engine_waits_until_the_first_has_started(tmp_path: Path) -> None:
    """It begins when the first one is done, and not before."""
    told: list[str] = []
    first_in = asyncio.Event()
    may_go = asyncio.Event()

    async def first() -> None:
        async with node_turn(tmp_path):
            first_in.set()
            await may_go.wait()
            told.append("first done")

    async def second() -> None:
        await first_in.wait()
        async with node_turn(tmp_path):
            told.append("second in")

    waiting = asyncio.gather(first(), second())
    await first_in.wait()
    may_go.set()
    await waiting
    assert told == ["first done", "second in"]

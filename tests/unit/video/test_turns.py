"""Who is next: any place, or a certain one."""

from __future__ import annotations

import asyncio

from serve_app.video.turns import Turns


def turns(*places: str) -> Turns[str]:
    made: Turns[str] = Turns()
    for place in places:
        made.give(place)
    return made


async def waiting(made: Turns[str], wanted: str | None = None) -> asyncio.Task[str]:
    task = asyncio.create_task(made.take(wanted))
    await asyncio.sleep(0)
    return task


async def test_first_come_first_served_also_for_a_certain_place() -> None:
    """Whoever waits for a place that is not free lets later ones have the others."""
    made = turns("a", "b")
    assert (await made.take("b"), await made.take()) == ("b", "a")
    first, second, third = [await waiting(made, wanted) for wanted in ("b", None, "b")]
    made.give("a")
    assert await second == "a"
    made.give("b")
    assert await first == "b"
    assert not third.done()
    made.give("b")
    assert await third == "b"
    assert made.free == []


async def test_a_turn_that_nobody_waits_for_any_more_goes_on() -> None:
    """Before the place came, or in the very moment."""
    made = turns()
    gone, late, last = [await waiting(made) for _ in range(3)]
    gone.cancel()
    await asyncio.wait([gone])
    made.give("a")
    late.cancel()
    await asyncio.wait([late])
    assert await last == "a"

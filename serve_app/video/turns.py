"""Who is next: a few places, and callers that wait for any of them, or for a certain one."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Place = TypeVar("Place")


class Turns(Generic[Place]):
    """First come, first served; whoever wants a certain place lets others take the rest.

    ``free`` are the places that nobody has.
    """

    def __init__(self) -> None:
        self.free: list[Place] = []
        self._waiting: deque[tuple[asyncio.Future[Place], Place | None]] = deque()

    async def take(self, wanted: Place | None = None) -> Place:
        """A place, or the one that is ``wanted``, once it is free."""
        for place in self.free:
            if wanted is None or place is wanted:
                self.free.remove(place)
                return place
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        entry = (turn, wanted)
        self._waiting.append(entry)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(turn.result())
            else:
                self._waiting.remove(entry)
            raise

    def give(self, place: Place) -> None:
        """Let the next one have it."""
        for entry in self._waiting:
            turn, wanted = entry
            if not turn.done() and (wanted is None or wanted is place):
                self._waiting.remove(entry)
                turn.set_result(place)
                return
        self.free.append(place)

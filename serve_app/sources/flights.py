"""Who fetches a URL first, and who waits for that; within one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Flights:
    """Whoever comes first goes at once. Those who come meanwhile wait for its end, then go all together.

    So what the first one kept is found by the others, and what cannot be kept is not fetched one by one.
    """

    def __init__(self) -> None:
        self._ahead: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def turn(self, url: str) -> AsyncIterator[None]:
        """The block is entered when it is this one's turn."""
        ahead = self._ahead.get(url)
        if ahead is not None:
            await ahead.wait()
            yield
            return
        self._ahead[url] = done = asyncio.Event()
        try:
            yield
        finally:
            del self._ahead[url]
            done.set()

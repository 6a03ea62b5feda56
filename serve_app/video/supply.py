"""The parent's side of a :class:`serve_app.video.partial.PartialFile`: fetches what a child lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from serve_app.errors import RecordError

if TYPE_CHECKING:
    from serve_app.video.job import Want

Supply = Callable[[int, int], Awaitable[None]]
"""Puts the bytes from ``start`` to ``end`` into the job's file, or raises a ``RecordError``."""
GOT, LOST = b'{"got":true}\n', b'{"got":false}\n'


class Supplier:
    """Answers one job's wishes. After ``failed`` it fetches nothing any more."""

    def __init__(self, supply: Supply, size: int) -> None:
        self._supply, self._size = supply, size
        self.failed: RecordError | None = None

    async def reply(self, want: Want, clock: asyncio.Timeout) -> bytes:
        """The line to send; the decoder's clock stands meanwhile, since fetching has limits of its own."""
        if not want.start < want.end <= self._size:
            raise ValueError(f"bytes {want.start} to {want.end} of {self._size} are asked for")
        if self.failed is not None:
            return LOST
        loop, until = asyncio.get_running_loop(), clock.when()
        began = loop.time()
        clock.reschedule(None)
        try:
            await self._supply(want.start, want.end)
        except RecordError as error:
            self.failed = error
        if until is not None:
            clock.reschedule(until + loop.time() - began)
        return GOT if self.failed is None else LOST

"""The videos that stay open in the decoding process between jobs.

They are a cache and no more: a job says all that it takes to open its video anew. So the one that was not
asked for the longest may go at any time, and a child that dies takes nothing along that is missed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.schema import TimeRange
    from serve_app.video.canvas import Allocate
    from serve_app.video.job import Decoded, Shot

MOST = 3  # each keeps two descriptors, of the few that the process may have, and its index


class Open(Protocol):
    """A video that is open."""

    @property
    def lost(self) -> bool:
        """Whether nothing more can be made of it."""

    def ranges(self, shot: Shot) -> tuple[TimeRange, TimeRange]:
        """What is there of the shot's range, and what of it was promised."""

    def take(self, shot: Shot, allocate: Allocate) -> Decoded:
        """The shot's frames."""

    def close(self) -> None:
        """Let go of what was opened, but not of the descriptor."""


class Held:
    """Open videos by number; each has a descriptor of its own."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._videos: dict[int, tuple[Open, int]] = {}

    def __len__(self) -> int:
        return len(self._videos)

    def get(self, number: int, fd: int, opening: Callable[[int], Open]) -> Open:
        """The video of this number; if there is none, what ``opening`` makes of the file ``fd``."""
        if number not in self._videos:
            self.keep(self._most - 1)
            own = os.dup(fd)
            try:
                self._videos[number] = opening(own), own
            except BaseException:
                os.close(own)
                raise
        # The order of a dict is that of use here.
        self._videos[number] = self._videos.pop(number)
        return self._videos[number][0]

    def end(self, number: int) -> None:
        """Close one, if it is there."""
        if number in self._videos:
            video, fd = self._videos.pop(number)
            video.close()
            os.close(fd)

    def keep(self, count: int) -> None:
        """Close all but the ``count`` that were used last."""
        while len(self._videos) > count:
            self.end(next(iter(self._videos)))

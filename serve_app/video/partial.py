"""A video of which only parts are on this machine: what lacks is asked for as it is read.

FFmpeg reads through this in the decoding process, which has no network: its parent fetches into the same
file. Bytes that are known to be pictures and nothing else can be *veiled*: they then read as zeros, so that
a container's tables are read through without a picture of it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING

from serve_app.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Fetch = Callable[[int, int], None]
    Span = tuple[int, int]

BLOCK = 65_536
MOST_AHEAD = 16  # blocks that are fetched ahead of who reads on and on
GAP = 256 * 1024  # fetching so much more costs less than asking once more
AFTER = 32_768  # FFmpeg reads so far beyond what it wants
MOSTLY = 0.5  # whoever wants so much of a file gets all in between


class PartialFile:
    """The open file ``fd``; ``fetch(start, end)`` puts bytes there, or raises the reason why it cannot.

    ``lost`` is that reason. From then on the file ends wherever it is read, since an error cannot be raised
    through FFmpeg; nothing that was made of it may be believed.
    """

    def __init__(self, fd: int, fetch: Fetch) -> None:
        self.size = os.fstat(fd).st_size
        self._fd, self._fetch = fd, fetch
        self._here = bytearray(-(-self.size // BLOCK))
        self._at = self._next = 0
        self._ahead = 1
        self.lost: RecordError | None = None
        self._veil: list[Span] = []
        self._starts: list[int] = []

    def read(self, count: int) -> bytes:
        """At most so many bytes; none at the end."""
        start, end = self._at, min(self._at + count, self.size)
        if end <= start:
            return b""
        place = bisect_right(self._starts, start)
        if place and start < self._veil[place - 1][1]:
            end = min(end, self._veil[place - 1][1])
            self._at = end
            return bytes(end - start)
        if place < len(self._starts):
            end = min(end, self._starts[place])
        if not self._reached(start, end, ahead=True):
            return b""
        found = os.pread(self._fd, end - start, start)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere; returns where, or a negative number."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            return -1
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Where the next read starts."""
        return self._at

    @contextmanager
    def veiled(self, spans: Iterable[Span]) -> Iterator[None]:
        """Read zeros there as long as the block lasts."""
        self._veil = joined(spans, 0)
        self._starts = [start for start, _ in self._veil]
        try:
            yield
        finally:
            self._veil, self._starts = [], []

    @contextmanager
    def unless_lost(self) -> Iterator[None]:
        """Whatever comes of the block, raise ``lost`` instead, if it is set."""
        try:
            yield
        except RecordError as error:
            if self.lost is None:
                raise
            raise self.lost from error
        if self.lost is not None:
            raise self.lost

    def expect(self, spans: Iterable[Span]) -> None:
        """Have these fetched now, in few pieces, since they will be read."""
        inside = [(max(0, start), min(end + AFTER, self.size)) for start, end in spans]
        wanted = joined((one for one in inside if one[0] < one[1]), GAP)
        if sum(end - start for start, end in wanted) > MOSTLY * self.size:
            wanted = [(wanted[0][0], wanted[-1][1])]
        if not all(self._reached(start, end, ahead=False) for start, end in wanted) and self.lost is not None:
            raise self.lost

    def _reached(self, start: int, end: int, *, ahead: bool) -> bool:
        if self.lost is None:
            try:
                self._need(start, end, ahead=ahead)
            except RecordError as error:
                self.lost = error
        return self.lost is None

    def _need(self, start: int, end: int, *, ahead: bool) -> None:
        first, last = start // BLOCK, -(-end // BLOCK)
        lacking = [block for block in range(first, last) if not self._here[block]]
        if not lacking:
            return
        first, last = lacking[0], lacking[-1] + 1
        if ahead:
            self._ahead = min(self._ahead * 2, MOST_AHEAD) if first == self._next else 1
            last = min(max(last, first + self._ahead), len(self._here))
        self._fetch(first * BLOCK, min(last * BLOCK, self.size))
        self._here[first:last] = b"\1" * (last - first)
        self._next = last


def joined(spans: Iterable[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Spans in order; those that overlap, or are no more than ``gap`` apart, are one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def spans_of(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets and sizes as half-open spans."""
    return [(at, at + size) for at, size in places if at >= 0 and size > 0]

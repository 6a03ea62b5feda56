"""A place in an open file of which others read as well, for libraries that read through Python."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.video.partial import PartialFile

    ReadAt = Callable[[int, int], bytes]


class Cursor(io.RawIOBase):
    """``read_at(start, count)`` gives at most so many of ``size`` bytes; it is asked within the file only."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        super().__init__()
        self.size = size
        self._read_at, self._at = read_at, 0

    @classmethod
    def of(cls, fd: int, partial: PartialFile | None = None) -> Self:
        """A place at the start of the open file ``fd``, of which ``partial`` fetches what is not here."""
        if partial is None:
            return cls(lambda start, count: os.pread(fd, count, start), os.fstat(fd).st_size)

        def read_at(start: int, count: int) -> bytes:
            partial.seek(start)
            return partial.read(count)

        return cls(read_at, partial.size)

    def read_at(self, start: int, count: int) -> bytes:
        """At most so many bytes from there on; none beyond the end, however far."""
        return self._read_at(start, min(count, self.size - start)) if 0 <= start < self.size else b""

    def head(self, count: int) -> bytes:
        """So many bytes from the start on, or all that there are; the place stays."""
        found = b""
        while len(found) < count and (piece := self.read_at(len(found), count - len(found))):
            found += piece
        return found

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, or all."""
        found = self.read_at(self._at, self.size if size < 0 else size)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere; returns where."""
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence] + offset
        return self._at

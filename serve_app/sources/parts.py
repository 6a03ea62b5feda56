"""A file of which only the parts that somebody asks for are fetched, into a sparse file of its size."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from serve_app.errors import SourceUnavailableError
from serve_app.schema import SourceFacts
from serve_app.sources.fetched import Fetched
from serve_app.sources.spool import path_of, unnamed_file

BLOCK = 65_536
GAP_BLOCKS = 4  # that much is fetched again rather than asked for apart
Write = Callable[[int, bytes], None]


class Read(Protocol):
    """Where the bytes come from."""

    async def __call__(self, span: tuple[int, int], write: Write, seconds: float) -> None:
        """Write the bytes of ``span``, in order, or more; raises ``SourceError`` families."""


class Parts:
    """A :class:`serve_app.sources.fetched.Rest`; the file is gone when the block is left.

    ``facts`` are those of the whole; all reading together may take ``seconds``.
    """

    def __init__(self, read: Read, facts: SourceFacts, seconds: float) -> None:
        self._read, self._facts, self._left_s = read, facts, seconds
        self._file = unnamed_file()
        self._size = facts.bytes
        self._here = bytearray(-(-self._size // BLOCK))
        self._fetched = 0
        self._sha256: str | None = None
        self.spent_s = 0.0

    def __enter__(self) -> Self:
        self._file.truncate(self._size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def writer(self, start: int) -> Write:
        """Takes consecutive pieces from ``start`` on; whole blocks of them count as here."""
        at = start

        def write(offset: int, piece: bytes) -> None:
            nonlocal at
            if offset != at or offset + len(piece) > self._size:
                raise SourceUnavailableError(f"{self._facts.url}: more came than was announced")
            try:
                os.pwrite(self._file.fileno(), piece, offset)
            except OSError as error:
                raise SourceUnavailableError(
                    f"{self._facts.url}: cannot be stored here: {error.strerror}"
                ) from error
            at += len(piece)
            self._fetched += len(piece)
            first, last = -(-start // BLOCK), len(self._here) if at == self._size else at // BLOCK
            self._here[first:last] = b"\1" * max(0, last - first)

        return write

    async def supply(self, start: int, end: int) -> None:
        """Have these bytes in the file."""
        loop = asyncio.get_running_loop()
        for first, last in self._lacking(start, end):
            began = loop.time()
            span = (first * BLOCK, min(last * BLOCK, self._size))
            try:
                await self._read(span, self._writing(), self._left_s)
            finally:
                took = loop.time() - began
                self.spent_s += took
                self._left_s = max(0.0, self._left_s - took)
            if not all(self._here[first:last]):
                raise SourceUnavailableError(f"{self._facts.url}: less came than was asked for")
        if self._sha256 is None and all(self._here):
            self._sha256 = await asyncio.to_thread(self._hashed)

    def facts(self) -> SourceFacts:
        """With the hash only where every byte was fetched after all."""
        return self._facts.model_copy(update={"bytes_fetched": self._fetched, "sha256": self._sha256})

    def fetched(self) -> Fetched:
        """The file as its reader gets it."""
        return Fetched(path_of(self._file.fileno(), self._file.name), self._facts, self)

    def _writing(self) -> Write:
        # Where the pieces start is known when the first comes.
        inner: Write | None = None

        def write(offset: int, piece: bytes) -> None:
            nonlocal inner
            inner = inner or self.writer(offset)
            inner(offset, piece)

        return write

    def _lacking(self, start: int, end: int) -> list[tuple[int, int]]:
        runs: list[tuple[int, int]] = []
        for block in range(start // BLOCK, -(-end // BLOCK)):
            if self._here[block]:
                continue
            if runs and block - runs[-1][1] <= GAP_BLOCKS:
                runs[-1] = (runs[-1][0], block + 1)
            else:
                runs.append((block, block + 1))
        return runs

    def _hashed(self) -> str:
        with os.fdopen(os.dup(self._file.fileno()), "rb") as file:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()

"""The images of a list, fetched beside each other into one file, an :mod:`serve_app.album`."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import numpy as np
from aiohttp.abc import AbstractResolver
from numpy.typing import NDArray

from serve_app.errors import RecordError, SourceTooLargeError, SourceUnavailableError
from serve_app.schema import SourceFacts
from serve_app.settings import CacheSettings, SourceSettings
from serve_app.sources.fetch import NOTHING_KEPT, Fetcher
from serve_app.sources.fetched import Fetched
from serve_app.sources.redaction import redact_url
from serve_app.sources.spool import MIB, path_of, unnamed_file

AT_ONCE = 8  # images of one list
PIECE_BYTES = 256 * 1024


class Images:
    """Fetches lists for one process; each image goes through a :class:`Fetcher` and its guard."""

    def __init__(
        self,
        settings: SourceSettings,
        resolver: AbstractResolver | None = None,
        cache: CacheSettings = NOTHING_KEPT,
    ) -> None:
        self._settings = settings
        most = min(settings.max_mib, settings.max_image_mib)
        self._fetcher = Fetcher(settings.model_copy(update={"max_mib": most}), resolver, cache)

    @asynccontextmanager
    async def fetch(
        self, urls: Sequence[str], wanted: Sequence[int], table: NDArray[np.void]
    ) -> AsyncIterator[Fetched]:
        """Fetch the images at the places ``wanted``; ``table`` has a row for each of the list, and its end.

        The first that fails ends the others, and its error says which it was. All together may have the
        bytes and the time of one video.
        """
        with unnamed_file() as file:
            leaves = _Leaves(file, table, int(self._settings.max_mib * MIB))
            try:
                async with asyncio.timeout(self._settings.total_timeout_s):
                    await self._all(urls, wanted, leaves)
            except TimeoutError as error:
                seconds = self._settings.total_timeout_s
                raise SourceUnavailableError(f"the images: not complete within {seconds:g} s") from error
            leaves.close()
            known = leaves.facts(redact_url(urls[0]), len(urls))
            yield Fetched(path_of(file.fileno(), file.name), known, images=len(urls))

    async def _all(self, urls: Sequence[str], wanted: Sequence[int], leaves: _Leaves) -> None:
        places = iter(wanted)

        async def some() -> None:
            for place in places:
                try:
                    async with self._fetcher.fetch(urls[place]) as got:
                        await leaves.add(place, got)
                except RecordError as error:
                    raise type(error)(f"image {place + 1} of {len(urls)}: {error}") from error

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(wanted))):
                    group.create_task(some())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def close(self) -> None:
        """Close the sessions."""
        await self._fetcher.close()


class _Leaves:
    """The file as it is filled."""

    def __init__(self, file: IO[bytes], table: NDArray[np.void], max_bytes: int) -> None:
        self._file, self._table, self._max_bytes = file, table, max_bytes
        self._hashes: dict[int, str] = {}
        self._end = table.nbytes
        self._bytes = self._fetched = 0

    async def add(self, place: int, got: Fetched) -> None:
        """Copy an image to the end."""
        self._bytes += got.facts.bytes
        self._fetched += got.facts.bytes_fetched
        if self._bytes > self._max_bytes:
            most = f"{self._max_bytes / MIB:g} MiB, the most that is allowed"
            raise SourceTooLargeError(f"with those before it, more than {most}")
        offset = at = self._end
        self._end = end = offset + got.facts.bytes
        hashed = hashlib.sha256()
        for piece in _pieces(got.path):
            hashed.update(piece)
            self._write(piece[: end - at], at)
            at += len(piece)
            await asyncio.sleep(0)
        if at != end:
            raise SourceUnavailableError("the file changed while it was read")
        self._hashes[place] = hashed.hexdigest()
        self._table[place] = (self._table[place]["pts_seconds"], offset, got.facts.bytes)

    def close(self) -> None:
        """Write the table: all images are there."""
        self._write(self._table.tobytes(), 0)

    def facts(self, shown: str, images: int) -> SourceFacts:
        """Which bytes these are, in the order of the list."""
        hashes = "".join(self._hashes[place] for place in sorted(self._hashes))
        return SourceFacts(
            url=shown,
            sha256=hashlib.sha256(hashes.encode()).hexdigest(),
            bytes=self._bytes,
            bytes_fetched=self._fetched,
            images=images,
        )

    def _write(self, piece: bytes, at: int) -> None:
        try:
            # Such a file may take a part only.
            while piece:
                written = os.pwrite(self._file.fileno(), piece, at)
                piece, at = piece[written:], at + written
        except OSError as error:
            raise SourceUnavailableError(f"the images cannot be stored here: {error.strerror}") from error


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece

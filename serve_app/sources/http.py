"""``http`` and ``https``: the whole body in a bounded file, parts of a large one, or what the node kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from serve_app.errors import (
    SourceDeniedError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
)
from serve_app.schema import SourceFacts
from serve_app.settings import SourceSettings
from serve_app.sources.cache import Hit, Origin, VideoCache
from serve_app.sources.fetched import Fetched
from serve_app.sources.flights import Flights
from serve_app.sources.parts import Parts, Write
from serve_app.sources.redaction import redact_url
from serve_app.sources.spool import MIB, Spool
from serve_app.sources.validators import Keeping, Validators, range_of, serves_ranges
from serve_app.sources.web import Answer, Web, parsed

PIECE_BYTES = 256 * 1024
LATER = frozenset({408, 425, 429})
DENIED = frozenset({401, 403, 407, 451})
EMPTY = frozenset({204, 205})
NOT_MODIFIED, PARTIAL = 304, 206


@dataclass(frozen=True, slots=True)
class Http:
    """Gets URLs; with a cache, what it holds is used as the server and the guard allow."""

    settings: SourceSettings
    web: Web
    cache: VideoCache | None = None
    flights: Flights = field(default_factory=Flights)

    @asynccontextmanager
    async def fetch(self, url: str, *, parts: bool = False) -> AsyncIterator[Fetched]:
        """Get a URL; raises the ``SourceError`` families of :mod:`serve_app.errors`.

        With ``parts`` the holder asks for the bytes that it wants, where the file is large.
        """
        with ExitStack() as held:
            if self.cache is None:
                got, _ = await self._fetched(url, None, held, parts=parts)
            else:
                async with self._turn(url):
                    got = await self._through(self.cache, url, held, parts=parts)
            yield got

    @asynccontextmanager
    async def _turn(self, url: str) -> AsyncIterator[None]:
        async with AsyncExitStack() as turn:
            async with self.web.within(self.settings.total_timeout_s, redact_url(url)):
                await turn.enter_async_context(self.flights.turn(url))
            yield

    async def _through(self, cache: VideoCache, url: str, held: ExitStack, *, parts: bool) -> Fetched:
        """What is kept, if it may be used; else what is fetched, and kept for the next one if it may be."""
        known = await cache.find(url)
        if known is not None:
            held.callback(known.close)
            if cache.is_fresh(known.origin):
                shown = redact_url(url)
                async with self.web.within(self.settings.total_timeout_s, shown):
                    await self.web.admit(known.origin.places, shown)
                return known.fetched(shown)
        got, origin = await self._fetched(url, known, held, parts=parts)
        if origin is not None and got.facts.bytes_fetched:
            await cache.keep(url, got.path, origin)
        elif origin is not None:
            await cache.confirm(url, origin)
        return got

    async def _fetched(
        self, url: str, known: Hit | None, held: ExitStack, *, parts: bool
    ) -> tuple[Fetched, Origin | None]:
        shown = redact_url(url)
        async with self.web.within(self.settings.total_timeout_s, shown):
            return await _Get(self, shown, held, parts=parts).run(parsed(url, shown), known)


@dataclass(frozen=True, slots=True)
class _Get:
    """One request for one video; what it opens is ``held``."""

    http: Http
    shown: str
    held: ExitStack
    parts: bool

    async def run(self, url: URL, known: Hit | None) -> tuple[Fetched, Origin | None]:
        """The video, and what to remember of its origin; nothing where it is not to be kept."""
        asked = known.origin.validators.conditions if known is not None else {}
        async with self.http.web.get(url, asked) as answer:
            if known is not None and answer.response.status == NOT_MODIFIED:
                places = {"places": answer.places}
                return known.fetched(self.shown), known.origin.model_copy(update=places)
            check(answer.response)
            if self.parts and self._in_parts(answer.response):
                return await self._some(answer), None
            return await self._whole(answer)

    def _in_parts(self, response: aiohttp.ClientResponse) -> bool:
        size, settings = response.content_length or 0, self.http.settings
        large = settings.parts_from_mib * MIB < size <= settings.max_mib * MIB
        return (
            large and serves_ranges(response.headers) and Validators.of(response.headers).strong is not None
        )

    async def _some(self, answer: Answer) -> Fetched:
        """The first bytes of a large file; the connection is closed on the others."""
        response, settings = answer.response, self.http.settings
        size, version = response.content_length or 0, Validators.of(response.headers)
        facts = SourceFacts(
            url=self.shown,
            sha256=None,
            bytes=size,
            bytes_fetched=0,
            etag=version.etag,
            last_modified=version.last_modified,
        )
        read = _Ranges(self.http.web, answer.url, version, size)
        parts = self.held.enter_context(Parts(read, facts, settings.total_timeout_s))
        write, at = parts.writer(0), 0
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            write(at, piece)
            at += len(piece)
            if at >= PIECE_BYTES:
                break
        return parts.fetched()

    async def _whole(self, answer: Answer) -> tuple[Fetched, Origin | None]:
        response, cache = answer.response, self.http.cache
        spool = self.held.enter_context(Spool(int(self.http.settings.max_mib * MIB), self.shown))
        spool.require(response.content_length or 0)
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            # A piece is small and the page cache takes it: a thread for each would cost more than the write.
            spool.write(piece)
        version, keeping = Validators.of(response.headers), Keeping.of(response.headers)
        got = spool.fetched(version)
        if cache is None or not keeping.allowed or not version.conditions or spool.size > cache.max_bytes:
            return got, None
        return got, Origin(
            sha256=got.facts.sha256 or "",
            bytes=spool.size,
            etag=version.etag,
            last_modified=version.last_modified,
            places=answer.places,
            ask_always=keeping.ask_always,
            asked_s=0,
        )


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Reads parts of one version of a file, where the first answer came from."""

    web: Web
    url: URL
    version: Validators
    size: int

    async def __call__(self, span: tuple[int, int], write: Write, seconds: float) -> None:
        """Write the part, or everything where the server sends no parts after all."""
        shown = redact_url(str(self.url))
        asked = {"Range": f"bytes={span[0]}-{span[1] - 1}", "If-Range": self.version.strong or ""}
        async with self.web.within(seconds, shown), self.web.get(self.url, asked) as answer:
            at = self._begins(answer.response, span, shown)
            async for piece in answer.response.content.iter_chunked(PIECE_BYTES):
                write(at, piece)
                at += len(piece)

    def _begins(self, response: aiohttp.ClientResponse, span: tuple[int, int], shown: str) -> int:
        """Where the body lies in the file; an error unless it is the same file and what was asked for."""
        if response.status not in (200, PARTIAL, 412, 416):
            raise SourceUnavailableError(f"{shown}: HTTP {response.status} to a request for a part")
        unpacked(response, shown)
        same = self.version.agrees(Validators.of(response.headers))
        size = response.content_length if response.status == 200 else self.size
        if response.status in (412, 416) or not same or size != self.size:
            raise SourceUnavailableError(f"{shown}: the file changed while it was read")
        if response.status == 200:
            return 0
        if range_of(response.headers) != (*span, self.size):
            raise SourceUnavailableError(f"{shown}: another part was sent than the one that was asked for")
        return span[0]


def check(response: aiohttp.ClientResponse) -> None:
    """Raise what an answer means that is not the video."""
    shown, status = redact_url(str(response.url)), response.status
    if status in LATER or status >= 500:
        raise SourceUnavailableError(f"{shown}: HTTP {status}")
    if status in DENIED:
        raise SourceDeniedError(f"{shown}: HTTP {status}")
    if status in EMPTY:
        raise SourceEmptyError(f"{shown}: HTTP {status}")
    if status != 200:
        raise SourceNotFoundError(f"{shown}: HTTP {status}")
    unpacked(response, shown)


def unpacked(response: aiohttp.ClientResponse, shown: str) -> None:
    """Refuse a compressed body: a small answer cannot become a large file."""
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise SourceRefusedError(f"{shown}: sent with Content-Encoding although identity was asked for")

"""``http`` and ``https``: streamed to a bounded file, redirects followed by hand.

Each redirect is a new request of ours, so that its scheme and its host can be checked, and credentials stay
with the host that they were meant for.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from serve_app.errors import (
    SourceDeniedError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
)
from serve_app.settings import SourceSettings
from serve_app.sources.connector import guarded_connector
from serve_app.sources.fetched import Fetched
from serve_app.sources.guard import Guard, HostRefusedError
from serve_app.sources.redaction import redact_url
from serve_app.sources.spool import MIB, Spool

log = logging.getLogger("ray.serve")

PIECE_BYTES = 256 * 1024
LATER = frozenset({408, 425, 429})
DENIED = frozenset({401, 403, 407, 451})
EMPTY = frozenset({204, 205})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_HEADER_BYTES = 8190  # for one line
MAX_HEADERS = 128
HEADERS = {"Accept": "video/*, */*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "capstream"}


def open_session(settings: SourceSettings, resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """The session that all requests of one process share; its connector knows allowed addresses only."""
    timeout = aiohttp.ClientTimeout(
        total=settings.total_timeout_s,
        sock_connect=settings.connect_timeout_s,
        sock_read=settings.idle_timeout_s,
    )
    return aiohttp.ClientSession(
        connector=guarded_connector(Guard.of(settings), resolver),
        timeout=timeout,
        headers=HEADERS,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        # A proxy would look names up by itself, and be asked in place of the checked address.
        trust_env=False,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
    )


@asynccontextmanager
async def fetch_http(
    url: str, settings: SourceSettings, session: aiohttp.ClientSession
) -> AsyncIterator[Fetched]:
    """Get a URL; raises the ``SourceError`` families of :mod:`serve_app.errors`."""
    shown = redact_url(url)
    with Spool(int(settings.max_mib * MIB), shown) as spool:
        try:
            async with asyncio.timeout(settings.total_timeout_s):
                await _follow(_parsed(url, shown), settings, session, spool)
        except TimeoutError as error:
            raise SourceUnavailableError(f"{shown}: {_late(error, settings)}") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            # A label of the host's name that is empty or too long fails in the codec, not in the parser.
            raise SourceRefusedError(f"{shown}: not a valid URL") from error
        except aiohttp.ClientPayloadError as error:
            raise SourceUnavailableError(f"{shown}: the connection ended before the video did") from error
        except aiohttp.ClientError as error:
            raise SourceUnavailableError(f"{shown}: {_cause(error)}") from error
        yield spool.fetched()


def _parsed(url: str, shown: str) -> URL:
    try:
        parsed = URL(url)
    except ValueError as error:
        raise SourceRefusedError(f"{shown}: not a valid URL") from error
    if not parsed.host:
        raise SourceRefusedError(f"{shown}: the URL names no host")
    return parsed


async def _follow(url: URL, settings: SourceSettings, session: aiohttp.ClientSession, spool: Spool) -> None:
    guard = Guard.of(settings)
    seen = 0
    while True:
        async with _asked(url, guard, session) as response:
            if response.status not in REDIRECTS:
                await _take(response, spool)
                return
            target = response.headers.get("Location")
        if target is None:
            raise SourceNotFoundError(f"{redact_url(str(url))}: HTTP {response.status} without a Location")
        seen += 1
        if seen > settings.max_redirects:
            raise SourceNotFoundError(
                f"{redact_url(str(url))}: more redirects than {settings.max_redirects}, the most allowed"
            )
        url = _next(url, target, settings)


@asynccontextmanager
async def _asked(
    url: URL, guard: Guard, session: aiohttp.ClientSession
) -> AsyncIterator[aiohttp.ClientResponse]:
    shown = redact_url(str(url))
    try:
        # aiohttp asks no resolver for an address that stands in the URL.
        guard.check_host(url.raw_host or "")
        bare, headers = url.with_user(None), _credentials(url)
        async with session.get(bare, headers=headers, allow_redirects=False) as response:
            yield response
    except HostRefusedError as error:
        # Which address a name has within our network is for our eyes only.
        log.warning("%s is refused: %s", shown, error)
        raise SourceRefusedError(
            f"{shown}: the host is not allowed: not a public address, nor one of sources.allow_networks or "
            "sources.allow_hosts"
        ) from None


def _credentials(url: URL) -> dict[str, str]:
    # User and password of the URL (RFC 7617) become a header of this one request.
    if url.user is None and url.password is None:
        return {}
    pair = f"{url.user or ''}:{url.password or ''}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _next(url: URL, target: str, settings: SourceSettings) -> URL:
    try:
        there = url.with_user(None).join(URL(target))
    except ValueError as error:
        raise SourceRefusedError(f"{redact_url(str(url))}: redirected to something that is no URL") from error
    allowed = [scheme for scheme in ("http", "https") if scheme in settings.schemes]
    if there.scheme not in allowed:
        raise SourceRefusedError(
            f"{redact_url(str(url))}: redirected to scheme {there.scheme!r}; allowed: {', '.join(allowed)}"
        )
    if not there.host:
        raise SourceRefusedError(f"{redact_url(str(url))}: redirected to a URL without a host")
    if there.origin() != url.origin():
        return there.with_user(None)
    return there if there.user or not url.user else there.with_user(url.user).with_password(url.password)


async def _take(response: aiohttp.ClientResponse, spool: Spool) -> None:
    shown = redact_url(str(response.url))
    if response.status in LATER or response.status >= 500:
        raise SourceUnavailableError(f"{shown}: HTTP {response.status}")
    if response.status in DENIED:
        raise SourceDeniedError(f"{shown}: HTTP {response.status}")
    if response.status in EMPTY:
        raise SourceEmptyError(f"{shown}: HTTP {response.status}")
    if response.status != 200:
        raise SourceNotFoundError(f"{shown}: HTTP {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise SourceRefusedError(f"{shown}: sent with Content-Encoding although identity was asked for")
    spool.require(response.content_length or 0)
    async for piece in response.content.iter_chunked(PIECE_BYTES):
        # A piece is small and the page cache takes it: a thread for each would cost more than the write.
        spool.write(piece)


def _late(error: TimeoutError, settings: SourceSettings) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {settings.connect_timeout_s:g} s"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return f"nothing came for {settings.idle_timeout_s:g} s"
    return f"not complete within {settings.total_timeout_s:g} s"


def _cause(error: aiohttp.ClientError) -> str:
    # Messages of the library name addresses and ports of our network: tell the kind only.
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host's name could not be resolved"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return "the TLS handshake failed"
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        return "connection refused"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    return f"the request failed ({type(error).__name__})"

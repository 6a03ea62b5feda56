"""Guarded requests: every hop's scheme and host are checked, redirects followed by hand, errors translated.

Each redirect is a new request of ours, so that its scheme and its host can be checked, and credentials stay
with the host that they were meant for.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from serve_app.errors import SourceNotFoundError, SourceRefusedError, SourceUnavailableError
from serve_app.settings import SourceSettings
from serve_app.sources.connector import GuardedResolver, guarded_connector
from serve_app.sources.guard import Guard, HostRefusedError
from serve_app.sources.redaction import redact_url

log = logging.getLogger("ray.serve")

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_HEADER_BYTES = 8190  # for one line
MAX_HEADERS = 128
HEADERS = {"Accept": "video/*, */*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "capstream"}
Place = tuple[str, str]  # scheme and host


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer of a chain; ``url`` keeps its user and password, ``places`` name all hops."""

    url: URL
    response: aiohttp.ClientResponse
    places: tuple[Place, ...]


class Web:
    """Requests of one process; its session is opened by the first, on the loop that uses it."""

    def __init__(self, settings: SourceSettings, resolver: AbstractResolver | None = None) -> None:
        self._settings, self._guard = settings, Guard.of(settings)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the session; the next request opens another."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def get(self, url: URL, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        """Ask; every answer but a redirect is given as it is."""
        places: list[Place] = []
        while True:
            places.append((url.scheme, url.raw_host or ""))
            async with self._asked(url, headers) as response:
                if response.status not in REDIRECTS:
                    yield Answer(url, response, tuple(places))
                    return
                target = response.headers.get("Location")
            shown = redact_url(str(url))
            if target is None:
                raise SourceNotFoundError(f"{shown}: HTTP {response.status} without a Location")
            if len(places) > self._settings.max_redirects:
                most = self._settings.max_redirects
                raise SourceNotFoundError(f"{shown}: more redirects than {most}, the most allowed")
            url = _next(url, target, self._settings)

    async def admit(self, places: Iterable[Place], shown: str) -> None:
        """``SourceRefusedError`` unless all of these would be asked; names are looked up anew."""
        resolver = GuardedResolver(self._guard, self._resolver or ThreadedResolver())
        for scheme, host in places:
            if scheme not in self._settings.schemes:
                raise SourceRefusedError(f"{shown}: scheme {scheme!r} is not allowed")
            try:
                self._guard.check_host(host)
                await resolver.resolve(host)
            except HostRefusedError as error:
                raise _refused(shown, error) from None
            except OSError as error:
                raise SourceUnavailableError(f"{shown}: the host's name could not be resolved") from error

    @asynccontextmanager
    async def within(self, seconds: float, shown: str) -> AsyncIterator[None]:
        """Translate what goes wrong in the block, and end it after its time."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise SourceUnavailableError(f"{shown}: {_late(error, self._settings)}") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            # A label of the host's name that is empty or too long fails in the codec, not in the parser.
            raise SourceRefusedError(f"{shown}: not a valid URL") from error
        except aiohttp.ClientPayloadError as error:
            raise SourceUnavailableError(f"{shown}: the connection ended before the video did") from error
        except aiohttp.ClientError as error:
            raise SourceUnavailableError(f"{shown}: {_cause(error)}") from error

    @asynccontextmanager
    async def _asked(self, url: URL, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            self._session = open_session(self._settings, self._guard, self._resolver)
        try:
            # aiohttp asks no resolver for an address that stands in the URL.
            self._guard.check_host(url.raw_host or "")
            bare, sent = url.with_user(None), {**headers, **_credentials(url)}
            async with self._session.get(bare, headers=sent, allow_redirects=False) as response:
                yield response
        except HostRefusedError as error:
            raise _refused(redact_url(str(url)), error) from None


def open_session(
    settings: SourceSettings, guard: Guard, resolver: AbstractResolver | None
) -> aiohttp.ClientSession:
    """The session that all requests of one process share; its connector knows allowed addresses only."""
    timeout = aiohttp.ClientTimeout(
        total=settings.total_timeout_s,
        sock_connect=settings.connect_timeout_s,
        sock_read=settings.idle_timeout_s,
    )
    return aiohttp.ClientSession(
        connector=guarded_connector(guard, resolver),
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


def parsed(url: str, shown: str) -> URL:
    """``SourceRefusedError`` for what is no URL with a host."""
    try:
        found = URL(url)
    except ValueError as error:
        raise SourceRefusedError(f"{shown}: not a valid URL") from error
    if not found.host:
        raise SourceRefusedError(f"{shown}: the URL names no host")
    return found


def _refused(shown: str, error: HostRefusedError) -> SourceRefusedError:
    # Which address a name has within our network is for our eyes only.
    log.warning("%s is refused: %s", shown, error)
    return SourceRefusedError(
        f"{shown}: the host is not allowed: not a public address, nor one of sources.allow_networks or "
        "sources.allow_hosts"
    )


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

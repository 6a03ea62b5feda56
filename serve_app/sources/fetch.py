"""One way to every source: a table of functions by URL scheme."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
from aiohttp.abc import AbstractResolver

from serve_app.errors import SourceRefusedError
from serve_app.settings import SourceSettings
from serve_app.sources.fetched import Fetched
from serve_app.sources.http import fetch_http, open_session
from serve_app.sources.local import fetch_data, fetch_file

Fetch = Callable[[str], AbstractAsyncContextManager[Fetched]]


class Fetcher:
    """Fetches for one process; its HTTP session is opened by the first use, on the loop that uses it."""

    def __init__(self, settings: SourceSettings, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._schemes: dict[str, Fetch] = {
            "http": self._http,
            "https": self._http,
            "file": lambda url: fetch_file(url, settings),
            "data": lambda url: fetch_data(url, settings),
        }

    def fetch(self, url: str) -> AbstractAsyncContextManager[Fetched]:
        """Fetch a URL as a local file, there until the block is left.

        Raises ``SourceRefusedError``, ``SourceDeniedError``, ``SourceNotFoundError``, ``SourceEmptyError``,
        ``SourceTooLargeError`` or ``SourceUnavailableError``.
        """
        scheme = url.partition(":")[0].lower() if ":" in url else ""
        if scheme not in self._settings.schemes:
            named = f"scheme {scheme[:20]!r} is not allowed" if scheme else "the URL has no scheme"
            raise SourceRefusedError(f"{named}; allowed: {', '.join(self._settings.schemes)}")
        return self._schemes[scheme](url)

    def _http(self, url: str) -> AbstractAsyncContextManager[Fetched]:
        if self._session is None:
            self._session = open_session(self._settings, self._resolver)
        return fetch_http(url, self._settings, self._session)

    async def close(self) -> None:
        """Close the HTTP session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

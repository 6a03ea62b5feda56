"""One way to every source: a table of functions by URL scheme."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aiohttp.abc import AbstractResolver

from serve_app.errors import SourceRefusedError
from serve_app.settings import CacheSettings, SourceSettings
from serve_app.sources.cache import VideoCache
from serve_app.sources.fetched import Fetched
from serve_app.sources.http import Http
from serve_app.sources.local import fetch_bytes, fetch_data, fetch_file
from serve_app.sources.objects import Objects
from serve_app.sources.redaction import redact_url
from serve_app.sources.stores import STORES, require_packages
from serve_app.sources.web import Web


class Fetch(Protocol):
    """A way to a source."""

    def __call__(self, url: str, *, parts: bool) -> AbstractAsyncContextManager[Fetched]:
        """Fetch a URL."""


NOTHING_KEPT = CacheSettings()
MOST_CHARS = 65_536  # of a URL that is not itself the video


class Fetcher:
    """Fetches for one process; its sessions are opened by their first use, on the loop that uses them.

    ``SettingsError`` where a scheme is allowed whose package is not installed.
    """

    def __init__(
        self,
        settings: SourceSettings,
        resolver: AbstractResolver | None = None,
        cache: CacheSettings = NOTHING_KEPT,
    ) -> None:
        self._settings = settings
        self._web = Web(settings, resolver)
        self._http = Http(settings, self._web, VideoCache.of(cache))
        require_packages(settings.schemes)
        self._objects = Objects(settings)
        self._schemes: dict[str, Fetch] = {
            **dict.fromkeys(("http", "https"), self._http.fetch),
            **dict.fromkeys(STORES, self._objects.fetch),
            "file": lambda url, **_: fetch_file(url, settings),
            "data": lambda url, **_: fetch_data(url, settings),
        }

    def fetch(self, url: str, *, parts: bool = False) -> AbstractAsyncContextManager[Fetched]:
        """Fetch a URL as a local file, there until the block is left.

        With ``parts``, of a large file only its ``rest`` is given, which fetches what it is asked for.
        Raises ``SourceRefusedError``, ``SourceDeniedError``, ``SourceNotFoundError``, ``SourceEmptyError``,
        ``SourceTooLargeError`` or ``SourceUnavailableError``.
        """
        scheme = url.partition(":")[0].lower() if ":" in url else ""
        if scheme not in self._settings.schemes:
            named = f"scheme {scheme[:20]!r} is not allowed" if scheme else "the URL has no scheme"
            raise SourceRefusedError(f"{named}; allowed: {', '.join(self._settings.schemes)}")
        if scheme != "data" and len(url) > MOST_CHARS:
            raise SourceRefusedError(f"{redact_url(url)}: a URL has {MOST_CHARS} characters at most")
        return self._schemes[scheme](url, parts=parts)

    def take(self, data: bytes) -> AbstractAsyncContextManager[Fetched]:
        """The same for bytes that the caller has; ``SourceEmptyError``, ``SourceTooLargeError``."""
        return fetch_bytes(data, self._settings)

    async def close(self) -> None:
        """Close the sessions."""
        await self._web.close()
        await self._objects.close()

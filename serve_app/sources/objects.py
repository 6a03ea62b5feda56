"""``s3``, ``gs`` and ``az``: objects below the roots that the settings name, through fsspec.

Which store is asked, and as whom, is the operator's: the stores' own environment variables and files say it,
never a URL. An object that changes while it is read is refused: its version is asked for before and after.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from serve_app.errors import (
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from serve_app.schema import SourceFacts
from serve_app.settings import SourceSettings
from serve_app.sources.fetched import Fetched
from serve_app.sources.parts import Parts, Write
from serve_app.sources.redaction import redact_url
from serve_app.sources.spool import MIB, Spool
from serve_app.sources.stores import STORES, Closable, FileSystem, connected, within
from serve_app.sources.validators import ETAG, Validators

PIECE_BYTES = 4 * MIB
VERSIONS = ("ETag", "etag", "generation")
# An empty, "." or ".." part is resolved by some stores and clients and kept by others.
PATH = re.compile(r"[^/?#@:\\\x00-\x1f]+(?:/(?!\.{1,2}(?:/|$))[^/\x00-\x1f\\?#]+)+")


class Objects:
    """Objects of all stores, for one process; each store's client is made by its first use."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._systems: dict[str, tuple[FileSystem, list[Closable]]] = {}

    async def close(self) -> None:
        """Close the clients."""
        for _, opened in self._systems.values():
            for one in opened:
                await one.close()
        self._systems.clear()

    @asynccontextmanager
    async def fetch(self, url: str, *, parts: bool = False) -> AsyncIterator[Fetched]:
        """Get an object; raises the ``SourceError`` families of :mod:`serve_app.errors`."""
        settings, shown = self._settings, redact_url(url)
        scheme, path = allowed(url, shown, settings)
        with ExitStack() as held:
            async with within(settings.total_timeout_s, scheme, shown):
                thing = _Object(await self._system(scheme), path, shown)
                facts = await thing.facts()
                if facts.bytes > settings.max_mib * MIB:
                    raise SourceTooLargeError(
                        f"{shown}: {facts.bytes / MIB:.1f} MiB, allowed are {settings.max_mib:g} MiB"
                    )
                if not facts.bytes:
                    raise SourceEmptyError(f"{shown}: no bytes")
                if parts and facts.etag and facts.bytes > settings.parts_from_mib * MIB:
                    read = _Reader(thing, scheme, facts)
                    got = held.enter_context(Parts(read, facts, settings.total_timeout_s)).fetched()
                else:
                    spool = held.enter_context(Spool(int(settings.max_mib * MIB), shown))
                    await thing.read((0, facts.bytes), lambda _, piece: spool.write(piece), facts)
                    got = spool.fetched(Validators(facts.etag, facts.last_modified))
            yield got

    async def _system(self, scheme: str) -> FileSystem:
        if scheme not in self._systems:
            made = connected(scheme)
            self._systems[scheme] = (made, await STORES[scheme].opened(made))
        return self._systems[scheme][0]


@dataclass(frozen=True, slots=True)
class _Object:
    system: FileSystem
    path: str
    shown: str

    async def facts(self) -> SourceFacts:
        """What the store says of the object."""
        info = await self.system._info(self.path)  # noqa: SLF001  fsspec's way to call it from a loop
        if info.get("type") != "file":
            raise SourceNotFoundError(f"{self.shown}: not an object")
        tags = (str(info[name]) for name in VERSIONS if info.get(name))
        quoted = (tag if tag.startswith('"') else f'"{tag}"' for tag in tags)
        etag = next((tag for tag in quoted if ETAG.fullmatch(tag)), None)
        return SourceFacts(
            url=self.shown,
            sha256=None,
            bytes=int(info["size"]),
            bytes_fetched=0,
            etag=etag,
            last_modified=None,
        )

    async def read(self, span: tuple[int, int], write: Write, facts: SourceFacts) -> None:
        """Write these bytes of the version that ``facts`` tell of."""
        at, end = span
        while at < end:
            until = min(at + PIECE_BYTES, end)
            piece = await self.system._cat_file(self.path, start=at, end=until)  # noqa: SLF001  as above
            if len(piece) != until - at:
                raise SourceUnavailableError(f"{self.shown}: the file changed while it was read")
            write(at, piece)
            at = until
        if await self.facts() != facts:
            raise SourceUnavailableError(f"{self.shown}: the file changed while it was read")


@dataclass(frozen=True, slots=True)
class _Reader:
    thing: _Object
    scheme: str
    facts: SourceFacts

    async def __call__(self, span: tuple[int, int], write: Write, seconds: float) -> None:
        async with within(seconds, self.scheme, self.thing.shown):
            await self.thing.read(span, write, self.facts)


def allowed(url: str, shown: str, settings: SourceSettings) -> tuple[str, str]:
    """Scheme and path of an object below one of the roots; ``SourceRefusedError`` for all others."""
    scheme, _, path = url.partition("://")
    scheme = scheme.lower()
    if PATH.fullmatch(path) is None:
        raise SourceRefusedError(
            f"{shown}: not an object's URL; allowed: {scheme}://bucket/key, nothing else"
        )
    whole = f"{scheme}://{path}"
    if not any(whole.startswith(f"{root.rstrip('/')}/") for root in settings.object_roots):
        raise SourceRefusedError(
            f"{shown}: no object may be read here; allowed: those below sources.object_roots"
        )
    return scheme, path

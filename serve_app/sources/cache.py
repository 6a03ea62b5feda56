"""Fetched videos, kept on this node by their content and found by the URL that gave them.

Two shelves: *videos* by the SHA-256 of their bytes, *origins* by the SHA-256 of the whole URL, credentials
and signatures included. So no URL stands on the disk, and what was got with credentials is found with the
same ones only. A hit is read through and its hash compared before it is used. What goes wrong here is
logged and never fails a fetch.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from pydantic import Field, ValidationError

from serve_app.schema import Closed, SourceFacts
from serve_app.settings import CacheSettings
from serve_app.sources.fetched import Fetched
from serve_app.sources.shelf import Shelf
from serve_app.sources.spool import MIB, path_of
from serve_app.sources.threads import in_thread
from serve_app.sources.validators import Validators

log = logging.getLogger("ray.serve")

ORIGINS_BYTES = 64 * MIB
SWEEP_EVERY = 64


class Origin(Closed):
    """What is known of a URL: its file, the version, and the places (scheme, host) that led to it."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)
    etag: str | None
    last_modified: str | None
    places: tuple[tuple[str, str], ...]
    ask_always: bool
    asked_s: float

    @property
    def validators(self) -> Validators:
        """The version."""
        return Validators(self.etag, self.last_modified)


@dataclass(frozen=True, slots=True)
class Hit:
    """A kept video; ``opened`` is a descriptor that its holder closes."""

    origin: Origin
    opened: int

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.opened)

    def fetched(self, shown: str) -> Fetched:
        """As if it had been fetched, of no bytes."""
        origin = self.origin
        facts = SourceFacts(
            url=shown,
            sha256=origin.sha256,
            bytes=origin.bytes,
            bytes_fetched=0,
            etag=origin.etag,
            last_modified=origin.last_modified,
        )
        return Fetched(path_of(self.opened), facts)


class VideoCache:
    """The shelves of one node; every process has its own of these."""

    def __init__(self, settings: CacheSettings, now_s: Callable[[], float] = time.time) -> None:
        self.max_bytes = int(settings.videos_mib * MIB)
        self._fresh_s, self._now_s = settings.videos_fresh_s, now_s
        self._videos = Shelf(settings.folder / "videos", self.max_bytes, settings.videos_ttl_s)
        self._origins = Shelf(settings.folder / "origins", ORIGINS_BYTES, settings.videos_ttl_s, SWEEP_EVERY)

    @classmethod
    def of(cls, settings: CacheSettings) -> Self | None:
        """The cache that the settings ask for."""
        return cls(settings) if settings.videos_mib else None

    async def find(self, url: str) -> Hit | None:
        """The video that a URL gave, whole and unharmed. Whether it may be used is not decided here."""
        return await in_thread(lambda: self._found(_key(url)), lambda hit: hit.close() if hit else None)

    def is_fresh(self, origin: Origin) -> bool:
        """Whether the server need not be asked."""
        return not origin.ask_always and 0 <= self._now_s() - origin.asked_s < self._fresh_s

    async def keep(self, url: str, path: Path, origin: Origin) -> None:
        """Keep a video that was just fetched, as of now."""
        await in_thread(lambda: self._kept(_key(url), path, origin), lambda _: None)

    async def confirm(self, url: str, origin: Origin) -> None:
        """The server says that it is still this one."""
        await in_thread(lambda: self._kept(_key(url), None, origin), lambda _: None)

    def _found(self, key: str) -> Hit | None:
        now = self._now_s()
        try:
            text = self._origins.read(key, now)
            if text is None:
                return None
            origin = _parsed(text)
            if origin is None:
                log.warning("a kept origin cannot be read and is deleted: %s", key)
                self._origins.drop(key)
                return None
            opened = self._videos.open(origin.sha256, now, used=True)
            if opened is not None and _holds(opened, origin):
                return Hit(origin, opened)
            self._origins.drop(key)
            if opened is not None:
                os.close(opened)
                self._videos.drop(origin.sha256)
                log.warning("a kept video was damaged and is deleted: %s", origin.sha256)
        except OSError as error:
            log.warning("the cache of videos cannot be read: %s", error)
        return None

    def _kept(self, key: str, path: Path | None, origin: Origin) -> None:
        now = self._now_s()
        text = origin.model_copy(update={"asked_s": now}).model_dump_json().encode()
        try:
            if path is not None:
                self._put(origin.sha256, path, now)
            self._origins.put(key, lambda file: file.write(text), now)
        except OSError as error:
            log.warning("a video cannot be kept: %s", error)

    def _put(self, sha256: str, path: Path, now: float) -> None:
        there = self._videos.open(sha256, now, used=True)
        if there is not None:
            os.close(there)
            return

        def copy(file: BinaryIO) -> None:
            with path.open("rb") as video:
                shutil.copyfileobj(video, file, MIB)

        self._videos.put(sha256, copy, now)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(text: bytes) -> Origin | None:
    try:
        return Origin.model_validate_json(text)
    except ValidationError:
        return None


def _holds(opened: int, origin: Origin) -> bool:
    if os.fstat(opened).st_size != origin.bytes:
        return False
    with open(opened, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == origin.sha256

"""Captions that a node keeps: the same bytes, to be captioned in the same way, are not done twice.

A caption is found by the video's bytes and all that decides what is said of them: the shot that is taken of
them, prompt, task, engine and its settings, and the version of this package. It is looked up after the
fetch, so whoever gets it was let to the bytes. What goes wrong here is logged and fails no request.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from pydantic import Field, ValidationError

from serve_app.schema import Captioned, CaptionRequest, Closed, SourceFacts
from serve_app.settings import Settings
from serve_app.sources.shelf import Shelf
from serve_app.sources.spool import MIB
from serve_app.sources.threads import in_thread
from serve_app.video.job import SHOT, Shot

log = logging.getLogger("ray.serve")

SWEEP_EVERY = 64


class _Stored(Closed):
    made_ms: int = Field(ge=0)
    captioned: Captioned


@dataclass(frozen=True, slots=True)
class Kept:
    """An earlier caption of the video that ``source`` now is, and when it was made."""

    captioned: Captioned
    made_ms: int
    source: SourceFacts
    fetch_s: float


class CaptionCache:
    """The captions of one node; every process has its own of these."""

    def __init__(self, settings: Settings, now_s: Callable[[], float] = time.time) -> None:
        cache = settings.cache
        self._now_s = now_s
        self._settings_hash = settings.config_hash()
        self._task, self._version = settings.captioner.task, version("capstream")
        max_bytes = int(cache.captions_mib * MIB)
        self._shelf = Shelf(cache.folder / "captions", max_bytes, cache.captions_s, SWEEP_EVERY)

    @classmethod
    def of(cls, settings: Settings) -> CaptionCache | None:
        """The cache that the settings ask for."""
        return cls(settings) if settings.cache.captions_s else None

    def key(self, request: CaptionRequest, shot: Shot, source: SourceFacts) -> str | None:
        """What a caption is found by; ``None`` where it cannot be told which bytes these are."""
        asked = request.source
        bytes_ = source.sha256 or (_named(asked, source) if isinstance(asked, str) else None)
        if bytes_ is None:
            return None
        decides: dict[str, object] = {
            "bytes": bytes_,
            "shot": SHOT.dump_python(shot, mode="json"),
            "task": request.task or self._task,
            "prompt": request.source_prompt,
            "settings": self._settings_hash,
            "version": self._version,
        }
        if not isinstance(asked, str):
            # The bytes are those of some images: which of them, is said by all their times and the shot.
            decides["times"] = (asked.pts_seconds, asked.end_s)
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    async def find(self, key: str, source: SourceFacts, fetch_s: float) -> Kept | None:
        """The caption that was kept under this key."""
        stored = await in_thread(lambda: self._found(key), lambda _: None)
        return None if stored is None else Kept(stored.captioned, stored.made_ms, source, fetch_s)

    async def keep(self, key: str, captioned: Captioned) -> None:
        """Keep a caption that was just made."""
        await in_thread(lambda: self._kept(key, captioned), lambda _: None)

    def _found(self, key: str) -> _Stored | None:
        try:
            text = self._shelf.read(key, self._now_s())
            return None if text is None else _Stored.model_validate_json(text)
        except ValidationError:
            log.warning("a kept caption cannot be read and is not used: %s", key)
        except OSError as error:
            log.warning("the cache of captions cannot be read: %s", error)
        return None

    def _kept(self, key: str, captioned: Captioned) -> None:
        now = self._now_s()
        text = _Stored(made_ms=int(now * 1000), captioned=captioned).model_dump_json().encode()
        try:
            self._shelf.put(key, lambda file: file.write(text), now)
        except OSError as error:
            log.warning("a caption cannot be kept: %s", error)


def _named(url: str, source: SourceFacts) -> str | None:
    # Only parts were read: the same URL with the same strong tag and size is the same file.
    if source.etag is None or source.etag.startswith("W/"):
        return None
    return f"{hashlib.sha256(url.encode()).hexdigest()} {source.etag} {source.bytes}"

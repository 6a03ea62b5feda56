"""The decoding child's way with a video that PyAV cannot read for lack of a demuxer or a decoder.

``decoder.fallback`` hands it to TorchCodec, over the system's own FFmpeg. That cannot be told which formats
and protocols to allow, so it is given only what begins like a container of the list and could be taken for
nothing that names other files. What a limit refused, or the list, is never given on.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from serve_app.errors import VideoUnreadableError
from serve_app.video import torchcodec
from serve_app.video.backends import instead_of
from serve_app.video.cursor import Cursor
from serve_app.video.decoder import decode
from serve_app.video.partial import PartialFile
from serve_app.video.signatures import PROBED, container_of, names_others

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.errors import Lack
    from serve_app.settings import LimitSettings
    from serve_app.settings.video import Second
    from serve_app.video.backends import Backend
    from serve_app.video.canvas import Allocate
    from serve_app.video.job import Decoded, Shot
    from serve_app.video.partial import Fetch

    Open = Callable[[Callable[[], Cursor], LimitSettings, int | None], Backend]


class Decode(Protocol):
    """As :func:`serve_app.video.decoder.decode`."""

    def __call__(
        self, fd: int, shot: Shot, allocate: Allocate, limits: LimitSettings, fetch: Fetch | None
    ) -> Decoded:
        """The chosen frames of an open file."""


def loaded(second: Second) -> Decode:
    """What decodes in a child, with nothing left to load; ``ImportError`` says what is missing."""
    if second == "none":
        return decode
    torchcodec.load()
    # Guards hold for the thread that puts them up and for those that it starts, not for others.
    if sys.platform == "linux" and (threads := len(os.listdir("/proc/self/task"))) > 1:  # noqa: PTH208
        raise ImportError(f"TorchCodec or torch started threads of its own, {threads - 1} are there")
    return Fallback(torchcodec.TorchCodec)


class Fallback:
    """Decodes by PyAV, and by ``second`` what PyAV lacks a demuxer or a decoder for."""

    def __init__(self, second: Open) -> None:
        self._second = second

    def __call__(
        self, fd: int, shot: Shot, allocate: Allocate, limits: LimitSettings, fetch: Fetch | None
    ) -> Decoded:
        """The chosen frames; errors as :func:`serve_app.video.decoder.decode`."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return decode(fd, shot, allocate, limits, fetch)
        except VideoUnreadableError as error:
            if (lack := error.lacks) is None:
                raise
            first = error
        partial = PartialFile(fd, fetch) if fetch is not None else None
        kept = partial.unless_lost() if partial is not None else nullcontext()
        with kept:
            if not may_have(Cursor.of(fd, partial), lack):
                raise first
            if partial is not None:
                partial.expect([(0, partial.size)])  # for its times TorchCodec decodes everything
            try:
                video = self._second(lambda: Cursor.of(fd, partial), limits, lack.stream)
                decoded = video.take(shot, None, allocate)
            except VideoUnreadableError as error:
                raise VideoUnreadableError(f"{first}; {error}") from error
        return replace(
            decoded,
            warnings=(instead_of(first), *decoded.warnings),
            cpu_s=time.process_time() - cpu,
            wall_s=time.perf_counter() - wall,
        )


def may_have(file: Cursor, lack: Lack) -> bool:
    """Whether a decoder that takes whatever it likes may have the file."""
    head = file.head(PROBED)
    # Where PyAV opened it, the demuxer is on the list already.
    return (lack.what == "decoder" or container_of(head) is not None) and not names_others(head)

"""The decoding child's way with a video that PyAV cannot read for lack of a demuxer or a decoder.

``decoder.fallback`` hands it to TorchCodec, over the system's own FFmpeg. That cannot be told which formats
and protocols to allow, so it is given only what begins like a container of the list and could be taken for
nothing that names other files. What a limit refused, or the list, is never given on.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from serve_app.errors import VideoUnreadableError
from serve_app.schema import TimeRange
from serve_app.video import torchcodec
from serve_app.video.backends import instead_of
from serve_app.video.choice import there
from serve_app.video.cursor import Cursor
from serve_app.video.decoder import OpenVideo
from serve_app.video.partial import PartialFile
from serve_app.video.signatures import PROBED, container_of, names_others

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.errors import Lack
    from serve_app.settings import LimitSettings
    from serve_app.settings.video import Second
    from serve_app.video.backends import Backend
    from serve_app.video.canvas import Allocate
    from serve_app.video.held import Open
    from serve_app.video.job import Decoded, Shot
    from serve_app.video.partial import Fetch

    OpenSecond = Callable[[Callable[[], Cursor], LimitSettings, int | None], Backend]


class Opening(Protocol):
    """As :class:`serve_app.video.decoder.OpenVideo` is made."""

    def __call__(self, fd: int, limits: LimitSettings, fetch: Fetch | None) -> Open:
        """An open file as a video, for shot after shot."""


def loaded(second: Second) -> Opening:
    """What decodes in a child, with nothing left to load; ``ImportError`` says what is missing."""
    if second == "none":
        return OpenVideo
    torchcodec.load()
    # Guards hold for the thread that puts them up and for those that it starts, not for others.
    if sys.platform == "linux" and (threads := len(os.listdir("/proc/self/task"))) > 1:  # noqa: PTH208
        raise ImportError(f"TorchCodec or torch started threads of its own, {threads - 1} are there")
    return Fallback(torchcodec.TorchCodec)


class Fallback:
    """Decodes by PyAV, and by ``second`` what PyAV lacks a demuxer or a decoder for."""

    def __init__(self, second: OpenSecond) -> None:
        self._second = second

    def __call__(self, fd: int, limits: LimitSettings, fetch: Fetch | None) -> Open:
        """The video; errors as :func:`serve_app.video.decoder.decode`."""
        try:
            first = OpenVideo(fd, limits, fetch)
        except VideoUnreadableError as error:
            return self._instead(error, fd, limits, fetch)
        return Either(first, lambda error: self._instead(error, fd, limits, fetch))

    def _instead(
        self, first: VideoUnreadableError, fd: int, limits: LimitSettings, fetch: Fetch | None
    ) -> SecondVideo:
        if (lack := first.lacks) is None:
            raise first
        partial = PartialFile(fd, fetch) if fetch is not None else None
        with partial.unless_lost() if partial is not None else nullcontext():
            if not may_have(Cursor.of(fd, partial), lack):
                raise first
            if partial is not None:
                partial.expect([(0, partial.size)])  # for its times TorchCodec decodes everything
            try:
                video = self._second(lambda: Cursor.of(fd, partial), limits, lack.stream)
            except VideoUnreadableError as error:
                raise VideoUnreadableError(f"{first}; {error}") from error
        return SecondVideo(video, first, partial)


class Either:
    """A video that PyAV opened: until it turns out that it lacks the decoder."""

    def __init__(self, first: Open, instead: Callable[[VideoUnreadableError], Open]) -> None:
        self._video, self._instead = first, instead

    @property
    def lost(self) -> bool:
        """Whether bytes could not be fetched."""
        return self._video.lost

    def ranges(self, shot: Shot) -> tuple[TimeRange, TimeRange]:
        """As of :class:`serve_app.video.decoder.OpenVideo`."""
        return self._video.ranges(shot)

    def take(self, shot: Shot, allocate: Allocate) -> Decoded:
        """The shot's frames, by whoever can; costs as zero."""
        try:
            return self._video.take(shot, allocate)
        except VideoUnreadableError as error:
            second = self._instead(error)
        self._video.close()
        self._video = second
        return second.take(shot, allocate)

    def close(self) -> None:
        """Close whatever is open."""
        self._video.close()


class SecondVideo:
    """A video of the second's, and why it is not PyAV's."""

    def __init__(self, video: Backend, first: VideoUnreadableError, partial: PartialFile | None) -> None:
        self._video, self._first, self._partial = video, first, partial

    @property
    def lost(self) -> bool:
        """Whether bytes could not be fetched."""
        return self._partial is not None and self._partial.lost is not None

    def ranges(self, shot: Shot) -> tuple[TimeRange, TimeRange]:
        """What is there of the shot's range, and what of it the file promises."""
        index = self._video.index
        found = there(index, shot)
        promised = max(index.end_seconds, index.promised_end_seconds)
        end = promised if shot.end_s is None else min(shot.end_s, promised)
        return found, TimeRange(start_s=found.start_s, end_s=end)

    def take(self, shot: Shot, allocate: Allocate) -> Decoded:
        """The shot's frames; costs as zero."""
        with self._partial.unless_lost() if self._partial is not None else nullcontext():
            try:
                decoded = self._video.take(shot, None, allocate)
            except VideoUnreadableError as error:
                raise VideoUnreadableError(f"{self._first}; {error}") from error
        return replace(decoded, warnings=(instead_of(self._first), *decoded.warnings))

    def close(self) -> None:
        """Let go of what was opened."""
        self._video.close()


def may_have(file: Cursor, lack: Lack) -> bool:
    """Whether a decoder that takes whatever it likes may have the file."""
    head = file.head(PROBED)
    # Where PyAV opened it, the demuxer is on the list already.
    return (lack.what == "decoder" or container_of(head) is not None) and not names_others(head)

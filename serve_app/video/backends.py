"""What decodes for :class:`serve_app.video.api.VideoDecoder`: the contract, PyAV, and who is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from serve_app.errors import VideoUnreadableError
from serve_app.video.choice import Choice
from serve_app.video.container import VideoContainer
from serve_app.video.decoder import take
from serve_app.video.limits import check_duration
from serve_app.video.picture import Turn
from serve_app.video.torchcodec import TorchCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.settings import LimitSettings
    from serve_app.video.choice import Pick
    from serve_app.video.index import VideoIndex
    from serve_app.video.job import Decoded, Shot

    Opened = tuple["Backend", tuple[str, ...]]


class Backend(Protocol):
    """One open video. ``index`` may lose frames that turned out not to exist."""

    name: str
    index: VideoIndex
    may_skip: bool

    def take(self, shot: Shot, pick: Pick | None) -> Decoded:
        """The frames of a shot, by ``pick`` if it is given; costs as zero."""

    def close(self) -> None:
        """Let go of what was opened, but not of the descriptor."""


class Pyav:
    """FFmpeg through PyAV, as the decoding child uses it: index first, then what is needed."""

    name = "pyav"

    def __init__(self, fd: int, limits: LimitSettings) -> None:
        self._video = VideoContainer(fd, limits)
        self._turn = Turn()
        self.index = self._video.read_index()
        self.may_skip = self._video.may_skip
        check_duration(self.index.duration_seconds, limits)

    def take(self, shot: Shot, pick: Pick | None) -> Decoded:
        """Seek, decode, and skip what no other frame refers to."""
        choice, fresh = Choice(shot, pick), lambda n: np.empty(n, np.uint8)
        self.index, decoded = take(self._video, self.index, choice, fresh, self._turn)
        return decoded

    def close(self) -> None:
        """Close the container."""
        self._video.__exit__()


def _pyav(fd: int, limits: LimitSettings) -> Opened:
    return Pyav(fd, limits), ()


def _torchcodec(fd: int, limits: LimitSettings) -> Opened:
    return TorchCodec(fd, limits), ()


def _either(fd: int, limits: LimitSettings) -> Opened:
    try:
        return _pyav(fd, limits)
    except VideoUnreadableError as error:
        try:
            return TorchCodec(fd, limits), (f"decoded by TorchCodec, since PyAV cannot open it: {error}",)
        except ImportError:
            raise error from None


OPENERS: Final[dict[str, Callable[[int, LimitSettings], Opened]]] = {
    "pyav": _pyav,
    "torchcodec": _torchcodec,
    "either": _either,
}

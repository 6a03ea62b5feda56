"""What decodes for :class:`serve_app.video.api.VideoDecoder`: the contract, PyAV, and who is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from serve_app.errors import VideoUnreadableError
from serve_app.video.choice import Choice
from serve_app.video.container import VideoContainer
from serve_app.video.cursor import Cursor
from serve_app.video.decoder import take
from serve_app.video.frames import fresh
from serve_app.video.limits import check_duration
from serve_app.video.picture import Turn
from serve_app.video.torchcodec import TorchCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.settings import LimitSettings
    from serve_app.video.canvas import Allocate
    from serve_app.video.choice import Pick
    from serve_app.video.index import VideoIndex
    from serve_app.video.job import Decoded, Shot

    Opened = tuple["Backend", tuple[str, ...]]


class Backend(Protocol):
    """One open video. ``index`` may lose frames that turned out not to exist."""

    name: str
    index: VideoIndex
    may_skip: bool

    def take(self, shot: Shot, pick: Pick | None, allocate: Allocate = fresh) -> Decoded:
        """The frames of a shot, by ``pick`` if it is given, in memory of ``allocate``; costs as zero."""

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

    def take(self, shot: Shot, pick: Pick | None, allocate: Allocate = fresh) -> Decoded:
        """Seek, decode, and skip what no other frame refers to."""
        self.index, decoded = take(self._video, self.index, Choice(shot, pick), allocate, self._turn)
        return decoded

    def close(self) -> None:
        """Close the container."""
        self._video.__exit__()


def _pyav(fd: int, limits: LimitSettings) -> Opened:
    return Pyav(fd, limits), ()


def _torchcodec(fd: int, limits: LimitSettings) -> Opened:
    return TorchCodec(lambda: Cursor.of(fd), limits), ()


def instead_of(error: VideoUnreadableError) -> str:
    """The warning that tells why it was not PyAV."""
    return f"decoded by TorchCodec, since PyAV cannot open it: {error}"


def _either(fd: int, limits: LimitSettings) -> Opened:
    try:
        return _pyav(fd, limits)
    except VideoUnreadableError as error:
        try:
            second, _ = _torchcodec(fd, limits)
        except ImportError:
            raise error from None
        return second, (instead_of(error),)


OPENERS: Final[dict[str, Callable[[int, LimitSettings], Opened]]] = {
    "pyav": _pyav,
    "torchcodec": _torchcodec,
    "either": _either,
}

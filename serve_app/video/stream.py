"""Which of a container's video streams is the video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av.stream import Disposition

from serve_app.errors import Lack, VideoUnreadableError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def best_stream(container: InputContainer) -> VideoStream:
    """FFmpeg's choice; cover art is no video, and neither is a stream without a decoder."""
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        raise VideoUnreadableError("the file has no video stream")
    known = [s for s in videos if s.codec_context is not None]
    if not known:
        lack = Lack("decoder", _first_choice(videos).index)
        raise VideoUnreadableError("there is no decoder for the video stream", lack)
    best = container.streams.best("video")
    return next((s for s in known if best is not None and s.index == best.index), _first_choice(known))


def _first_choice(streams: list[VideoStream]) -> VideoStream:
    return next((s for s in streams if s.disposition & Disposition.default), streams[0])

"""Which packets may be left out since no frame refers to them: what FFmpeg may skip, and what packets say."""

from __future__ import annotations

from collections.abc import Callable

from serve_app.video.nal import is_referenced
from serve_app.video.obu import ObuHeaders

SKIPPABLE = frozenset({"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "av1"})
PROGRESSIVE = (0, 1)  # field orders: unknown, progressive; otherwise two packets may make one frame
LEFT_OUT_BEFORE = frozenset({"av1"})  # its decoder takes skip_frame for a whole stream or not at all


def reader(codec: str, extradata: bytes | None) -> Callable[[bytes], bool]:
    """A function that tells, packet by packet in decode order, whether other frames may refer to it."""
    if codec == "av1":
        return ObuHeaders(extradata).is_referenced
    return lambda packet: is_referenced(packet, extradata, codec)

"""The library's ``backend="either"``: for files of one's own, whatever their format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from serve_app.errors import VideoUnreadableError
from serve_app.video.api import FpsSampling, VideoDecoder
from tests.clips import Coding, drifting, encode
from tests.torchcodecs import usable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = usable


def test_what_pyav_cannot_open_goes_to_torchcodec(tmp_path: Path) -> None:
    """A format outside PyAV's list is decoded all the same, and the result says by whom and why."""
    coding = Coding("rawvideo", options={}, container="yuv4mpegpipe")
    path = encode(tmp_path / "a.y4m", drifting, 5, (96, 64), coding)
    with pytest.raises(VideoUnreadableError):
        VideoDecoder(path)
    with VideoDecoder(path, backend="either") as video:
        got = video.sampled(FpsSampling(fps=25))
    assert (len(got.frames), got.video.decoder) == (5, "torchcodec")
    reason = "decoded by TorchCodec, since PyAV cannot open it: not a video in a known container"
    assert got.warnings[0].startswith(reason)

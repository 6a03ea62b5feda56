"""From a request to frames and facts, over HTTP and through the contained process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from serve_app.config import settings_from
from serve_app.errors import NoFramesError, SourceUnavailableError, VideoRefusedError
from serve_app.order import Order, Orders
from serve_app.preparation import Preparation, Prepared
from serve_app.schema import CaptionRequest, NumFramesSampling
from serve_app.settings import Settings
from serve_app.video.clips import FAST, Coding, encode
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.albums import packed, shade
from tests.unit.sources.files import Served
from tests.unit.sources.servers import serving

LOCAL = {"allow_networks": "127.0.0.1", "parts_from_mib": 0.5}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of noise, a keyframe each second, about two megabytes."""
    noise = np.random.default_rng(1)

    def draw(_: int, picture: np.ndarray) -> None:
        picture[:] = noise.integers(0, 255, picture.shape, np.uint8)

    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    return encode(path, draw, 500, (160, 120), Coding(options={**FAST, "g": "25", "crf": "30"}))


def order(settings: Settings, url: str) -> Order:
    request = CaptionRequest.model_validate({"url": url, "sampling": {"num_frames": 3}})
    return Orders(settings).of(request)


async def test_a_large_file_is_read_in_parts(clip: Path) -> None:
    """The frames are those of the file; the facts name its version, fewer bytes than it has, and no hash."""
    settings = settings_from({"sources": LOCAL}, {})
    served, preparation = Served(clip.read_bytes()), Preparation(settings)  # noqa: ASYNC240  a small clip
    await preparation.start()
    async with serving(served.answer) as base, preparation.open(order(settings, f"{base}/a.mp4")) as prepared:
        assert isinstance(prepared, Prepared)
        source, frames = prepared.facts.source, prepared.frames.copy()
        assert (source.sha256, source.bytes, source.etag) == (None, len(served.body), '"v1"')
        assert 0 < source.bytes_fetched < len(served.body) / 2
        assert prepared.facts.fetch_s > 0
    await preparation.close()
    height, width = frames.shape[1:3]
    shot = Shot(NumFramesSampling(num_frames=3), size=FixedSize(width, height))
    assert np.array_equal(frames, decode_file(DecodeJob(clip, shot)).frames.data)


async def test_a_list_of_images_is_a_video() -> None:
    """Only the chosen images are fetched and decoded; the facts are those of the list."""
    settings, asked = settings_from({"sources": LOCAL}, {}), []

    async def pictures(wanted: web.Request) -> web.StreamResponse:
        asked.append(wanted.path)
        return web.Response(body=packed(shade(int(wanted.path[1:]))))

    preparation, orders = Preparation(settings), Orders(settings)
    await preparation.start()
    async with serving(pictures) as base:
        urls = [f"{base}/{place}?sig=hush" for place in range(10)]
        frames = {"urls": urls, "fps": 5}
        listed = CaptionRequest.model_validate({"frames": frames, "sampling": {"num_frames": 3}})
        async with preparation.open(orders.of(listed)) as prepared:
            assert isinstance(prepared, Prepared)
            shades, facts = prepared.frames[:, 0, 0, 0].tolist(), prepared.facts
        late = CaptionRequest.model_validate({"frames": frames, "start_s": 2})
        with pytest.raises(NoFramesError):
            async with preparation.open(orders.of(late)):
                pass
        odd = {"frames": {"urls": urls[:2], "times_s": [0, 10**9]}}
        with pytest.raises(VideoRefusedError, match=r"86400 s are allowed"):
            async with preparation.open(orders.of(CaptionRequest.model_validate(odd))):
                pass
    await preparation.close()
    assert sorted(asked) == ["/0", "/4", "/9"]
    assert shades == [0, 4, 9]
    assert facts.frames.pts_seconds == [0, 0.8, 1.8]
    assert (facts.source.url, facts.source.images) == (f"{base}/0?sig=***", 10)
    assert (facts.video.codec, facts.video.frame_count, facts.video.fps) == ("png", 10, 5)
    assert facts.video.decoder == "pillow"
    assert facts.coverage.complete


async def test_a_file_that_changes_while_it_is_decoded_is_another_attempt(clip: Path) -> None:
    """The error is the source's, transient, and the next request is served by the same child."""
    settings = settings_from({"sources": LOCAL}, {})
    served, preparation = Served(clip.read_bytes()), Preparation(settings)  # noqa: ASYNC240  a small clip

    async def changing(wanted: web.Request) -> web.StreamResponse:
        answer = await served.answer(wanted)
        if len(served.asked) == 1:
            served.etag = '"v2"'
        return answer

    await preparation.start()
    pids = preparation._sandbox.pids()
    async with serving(changing) as base:
        with pytest.raises(SourceUnavailableError, match="the file changed while it was read"):
            async with preparation.open(order(settings, f"{base}/a.mp4")):
                pass
        async with preparation.open(order(settings, f"{base}/a.mp4")) as prepared:
            assert isinstance(prepared, Prepared)
            assert len(prepared.frames) == 3
    assert preparation._sandbox.pids() == pids
    await preparation.close()

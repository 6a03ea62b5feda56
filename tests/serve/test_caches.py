"""The whole application with parts of files, kept videos and kept captions: what is not done twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from aiohttp import web

from serve_app.schema import CaptionRecord
from tests.brokers import Kafka
from tests.clips import X264, Coding, drifting, encode, write_clip
from tests.serve.applications import Application, deployed
from tests.unit.sources.files import Served
from tests.unit.sources.servers import Handler, serving

KEPT = {"videos_mib": 64, "captions_s": 600}
LARGE = Coding(options={**X264, "crf": "2", "g": "10"})  # some MiB, a tenth of them for a frame


def test_the_same_bytes_are_neither_decoded_nor_captioned_twice(
    http_url: str, kafka: Kafka, tmp_path: Path
) -> None:
    """Under another URL too, and of a large file that is read in parts under its own; the records say so."""
    small = Served(write_clip(tmp_path / "small.mp4", seconds=1, fps=10, width=64, height=48).read_bytes())
    large = Served(encode(tmp_path / "large.mp4", drifting, 60, (640, 480), LARGE).read_bytes())

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (large if "large" in request.path else small).answer(request)

    cache = {"folder": str(tmp_path / "cache"), **KEPT}
    with (
        served(answer) as base,
        deployed(http_url, kafka, tmp_path, cache=cache, sources={"parts_from_mib": 1}) as application,
    ):
        paths = ["small.mp4", "small.mp4", "moved.mp4", "large.mp4", "large.mp4"]
        made = [asked(application, f"{base}/{path}", count) for count, path in enumerate(paths)]
    first, again, moved, parts, parts_again = made
    assert [one.reused is not None for one in made] == [False, True, True, False, True]
    # The server said once that its file is still the same, and sent it under the other name.
    assert small.asked == ["all", "known", "all"]
    assert [one.source.bytes_fetched for one in made[:3]] == [len(small.body), 0, len(small.body)]
    assert first.source.sha256 == again.source.sha256 == moved.source.sha256
    assert (moved.source.url, moved.caption, moved.frames) == (
        f"{base}/moved.mp4",
        first.caption,
        first.frames,
    )
    assert 0 < parts.source.bytes_fetched < parts.source.bytes == len(large.body)
    assert parts.source.sha256 is None
    assert parts_again.caption == parts.caption
    assert [one.timings.decode_s > 0 for one in made] == [True, False, False, True, False]


def asked(application: Application, url: str, before: int) -> CaptionRecord:
    """The record of one more request, which ends after those ``before`` it."""
    application.submit({"id": f"n{before}", "url": url, "sampling": {"num_frames": 2}})
    records = [CaptionRecord.model_validate_json(r.value or b"") for r in application.results(before + 1)]
    return next(record for record in records if record.id == f"n{before}")


@contextmanager
def served(handler: Handler) -> Iterator[str]:
    """The base URL of a server in a thread of its own."""
    loop, held = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(held.enter_async_context(serving(handler)), loop).result(10)
        asyncio.run_coroutine_threadsafe(held.aclose(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

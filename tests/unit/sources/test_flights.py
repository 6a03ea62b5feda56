"""Several requests of one URL at a time, in one process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from serve_app.errors import RecordError, SourceUnavailableError
from serve_app.settings import CacheSettings
from serve_app.sources.fetch import Fetcher
from tests.unit.sources.files import Served
from tests.unit.sources.servers import BODY, SHORT, Handler, serving

TOGETHER = 5


async def together(handler: Handler, folder: Path) -> list[bytes | RecordError]:
    """What so many fetches of one URL by one process end as."""
    fetcher = Fetcher(SHORT, cache=CacheSettings(folder=folder, videos_mib=8))

    async def one(url: str) -> bytes | RecordError:
        try:
            async with fetcher.fetch(url) as got:
                return got.path.read_bytes()
        except RecordError as error:
            return error

    async with serving(handler) as base:
        ended = await asyncio.gather(*(one(f"{base}/a.mp4") for _ in range(TOGETHER)))
        await fetcher.close()
    return list(ended)


async def test_a_url_that_many_want_is_fetched_once(tmp_path: Path) -> None:
    """The others wait for it, ask whether it changed, and have what was kept."""
    served = Served(BODY)
    assert await together(served.answer, tmp_path) == [BODY] * TOGETHER
    assert served.asked == ["all"] + ["known"] * (TOGETHER - 1)


async def test_what_may_not_be_kept_is_fetched_by_all_at_once(tmp_path: Path) -> None:
    """They wait for the first one and not for one another: all others are at the server together."""
    served, there, everybody = Served(BODY, headers={"Cache-Control": "no-store"}), 0, asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal there
        there += 1
        if there == TOGETHER:
            everybody.set()
        if there > 1:
            await everybody.wait()
        return await served.answer(request)

    assert await together(answer, tmp_path) == [BODY] * TOGETHER
    assert served.asked == ["all"] * TOGETHER


@pytest.mark.parametrize("status", [503, 404])
async def test_who_waits_for_one_that_fails_asks_for_itself(tmp_path: Path, status: int) -> None:
    """A failure is its own request's and no other's."""
    served, failures = Served(BODY), iter([status])

    async def answer(request: web.Request) -> web.StreamResponse:
        code = next(failures, None)
        return await served.answer(request) if code is None else web.Response(status=code)

    first, *others = await together(answer, tmp_path)
    assert isinstance(first, RecordError)
    assert isinstance(first, SourceUnavailableError) is (status == 503)
    assert others == [BODY] * (TOGETHER - 1)

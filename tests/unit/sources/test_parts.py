"""Large files of which a server sends the parts that are asked for."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psutil
import pytest
from aiohttp import web

from serve_app.errors import RecordError, SourceRefusedError, SourceUnavailableError
from serve_app.settings import SourceSettings
from serve_app.sources.fetch import Fetcher
from serve_app.sources.fetched import Fetched, Rest
from serve_app.sources.parts import BLOCK
from tests.unit.sources.files import OLD, Served
from tests.unit.sources.servers import SHORT, Handler, fetched, serving

LARGE = hashlib.shake_128(b"large").digest(1_900_000)
PARTS = SHORT.model_copy(update={"parts_from_mib": 1})
FIRST = 256 * 1024


@pytest.fixture(autouse=True)
def spools() -> Iterator[None]:
    """Whatever a test does, no temporary file is left open; closing is what deletes them."""
    yield
    assert [file.path for file in psutil.Process().open_files() if "/capstream-" in file.path] == []


@asynccontextmanager
async def opened(handler: Handler, settings: SourceSettings = PARTS) -> AsyncIterator[Fetched]:
    """The video of a server, in parts where it may be."""
    fetcher = Fetcher(settings)
    async with serving(handler) as base:
        try:
            async with fetcher.fetch(f"{base}/a.mp4", parts=True) as got:
                yield got
        finally:
            await fetcher.close()


def rest_of(got: Fetched) -> Rest:
    assert got.rest is not None
    return got.rest


async def failure(got: Fetched, start: int, end: int) -> RecordError:
    with pytest.raises(RecordError) as caught:
        await rest_of(got).supply(start, end)
    return caught.value


async def test_only_what_is_asked_for_is_fetched() -> None:
    """A part comes once, rounded to blocks; the facts name version and size, and claim no hash."""
    served = Served(LARGE)
    async with opened(served.answer) as got:
        at, until = 10 * BLOCK + 5, 12 * BLOCK
        await rest_of(got).supply(at, until)
        await rest_of(got).supply(at, until)
        assert got.path.read_bytes()[at:until] == LARGE[at:until]
        assert got.path.stat().st_size == len(LARGE)
        assert served.asked == ["all", f"bytes={10 * BLOCK}-{12 * BLOCK - 1}"]
        facts = got.facts
        assert (facts.sha256, facts.bytes, facts.etag, facts.last_modified) == (None, len(LARGE), '"v1"', OLD)
        assert FIRST <= facts.bytes_fetched - 2 * BLOCK < 2 * FIRST
        assert rest_of(got).spent_s > 0
    assert not got.path.exists()


async def test_what_is_read_to_the_end_has_its_hash() -> None:
    """If every byte was needed after all, the record can say so."""
    async with opened(Served(LARGE).answer) as got:
        await rest_of(got).supply(0, len(LARGE))
        assert got.facts.sha256 == hashlib.sha256(LARGE).hexdigest()
        assert len(LARGE) <= got.facts.bytes_fetched < len(LARGE) + BLOCK


async def test_who_does_not_ask_for_parts_gets_everything() -> None:
    """Parts are for those who know of them."""
    served = Served(LARGE)
    async with serving(served.answer) as base:
        assert await fetched(f"{base}/a.mp4", PARTS) == LARGE
    assert served.asked == ["all"]


@pytest.mark.parametrize(
    "served",
    [
        Served(LARGE[:900_000]),
        Served(LARGE, headers={"Accept-Ranges": "none"}),
        Served(LARGE, etag=None, modified=None),
        Served(LARGE, etag='W/"v1"', modified=None),
        Served(LARGE, etag=None, modified=OLD, headers={"Date": OLD}),
    ],
    ids=["small", "no ranges", "no version", "weak version", "too young a version"],
)
async def test_where_parts_cannot_be_told_to_fit_everything_is_fetched(served: Served) -> None:
    """Small files, servers without ranges, and versions that two contents could share: one plain request."""
    async with opened(served.answer) as got:
        assert got.rest is None
        assert got.path.read_bytes() == served.body
        assert got.facts.sha256 == hashlib.sha256(served.body).hexdigest()
    assert served.asked == ["all"]


async def test_a_date_that_is_old_enough_is_a_version() -> None:
    """Without an ETag the date is what parts are asked by."""
    async with opened(Served(LARGE, etag=None).answer) as got:
        await rest_of(got).supply(BLOCK * 20, BLOCK * 21)
        assert got.path.read_bytes()[BLOCK * 20 : BLOCK * 21] == LARGE[BLOCK * 20 : BLOCK * 21]


async def test_a_file_that_changes_midway_is_refused() -> None:
    """Parts of two versions are never mixed; another attempt may read the new one."""
    served = Served(LARGE)
    async with opened(served.answer) as got:
        served.change(LARGE[::-1])
        error = await failure(got, BLOCK * 20, BLOCK * 21)
        assert isinstance(error, SourceUnavailableError)
        assert "the file changed while it was read" in str(error)


async def test_a_server_that_sends_everything_after_all_is_taken_at_its_word() -> None:
    """It says that it has ranges and sends the whole of the same version: that is kept, and asked once."""
    served = Served(LARGE, ranges=False)
    async with opened(served.answer) as got:
        await rest_of(got).supply(BLOCK * 20, BLOCK * 21)
        await rest_of(got).supply(BLOCK * 4, BLOCK * 9)
        assert got.path.read_bytes() == LARGE
        assert got.facts.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert len(served.asked) == 2


@pytest.mark.parametrize(
    ("odd", "kind", "told"),
    [
        ({"Content-Range": "bytes 0-99/1900000"}, SourceUnavailableError, "another part was sent"),
        ({"Content-Range": "bytes 1310720-1376255/9900000"}, SourceUnavailableError, "another part was sent"),
        ({"Content-Range": "bytes */1900000"}, SourceUnavailableError, "another part was sent"),
        ({"ETag": '"v2"'}, SourceUnavailableError, "the file changed"),
        ({"Content-Encoding": "gzip"}, SourceRefusedError, "sent with Content-Encoding"),
    ],
)
async def test_a_part_that_is_not_what_was_asked_for_is_refused(
    odd: dict[str, str], kind: type[RecordError], told: str
) -> None:
    """Wrong places, sizes, versions and codings end the fetch."""
    served = Served(LARGE)

    async def lying(request: web.Request) -> web.StreamResponse:
        answer = await served.answer(request)
        if "Range" in request.headers:
            answer.headers.update(odd)
        return answer

    async with opened(lying) as got:
        error = await failure(got, BLOCK * 20, BLOCK * 21)
        assert type(error) is kind
        assert told in str(error)


@pytest.mark.parametrize(("status", "told"), [(403, "HTTP 403"), (503, "HTTP 503"), (416, "changed")])
async def test_a_server_that_stops_serving_is_unavailable(status: int, told: str) -> None:
    """It let us in before, so another attempt may find it so again."""
    served = Served(LARGE)

    async def once(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status) if "Range" in request.headers else await served.answer(request)

    async with opened(once) as got:
        error = await failure(got, BLOCK * 20, BLOCK * 21)
        assert isinstance(error, SourceUnavailableError)
        assert told in str(error)


async def test_less_than_was_announced_is_unavailable() -> None:
    """A connection that ends early leaves no hole that is taken for bytes."""
    served = Served(LARGE)

    async def cut(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await served.answer(request)
        headers = {"Content-Range": f"bytes {BLOCK * 20}-{BLOCK * 21 - 1}/{len(LARGE)}"}
        answer = web.StreamResponse(status=206, headers=headers)
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b"some")
        return answer

    async with opened(cut) as got:
        assert "less came than was asked for" in str(await failure(got, BLOCK * 20, BLOCK * 21))


async def test_parts_are_read_where_a_redirect_led_to_and_guarded_there() -> None:
    """Not from the first host again; a part's own redirect to a forbidden place is refused."""
    served, ways = Served(LARGE), list[str]()

    async def led(request: web.Request) -> web.StreamResponse:
        ways.append(request.path)
        if request.path == "/a.mp4":
            raise web.HTTPFound("/b.mp4")
        if request.headers.get("Range", "").startswith(f"bytes={BLOCK * 22}-"):
            raise web.HTTPFound("http://169.254.169.254/")
        return await served.answer(request)

    async with opened(led) as got:
        await rest_of(got).supply(BLOCK * 20, BLOCK * 21)
        assert ways == ["/a.mp4", "/b.mp4", "/b.mp4"]
        assert isinstance(await failure(got, BLOCK * 22, BLOCK * 23), SourceRefusedError)


async def test_all_parts_together_have_the_time_of_one_fetch() -> None:
    """A server cannot gain time by being slow in each part: when it is over, nothing more is asked."""
    served, over = Served(LARGE), asyncio.Event()

    async def hanging(request: web.Request) -> web.StreamResponse:
        answer = await served.answer(request)
        if "Range" in request.headers:
            await over.wait()
        return answer

    settings = PARTS.model_copy(update={"total_timeout_s": 0.5, "idle_timeout_s": 20})
    async with opened(hanging, settings) as got:
        for _ in range(2):
            assert "not complete within 0.5 s" in str(await failure(got, BLOCK * 20, BLOCK * 21))
        over.set()
    assert len(served.asked) == 2

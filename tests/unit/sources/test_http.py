"""Fetching from a real server on the loopback address."""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
import struct
from collections.abc import Iterator

import psutil
import pytest
from aiohttp import web

from serve_app.errors import (
    RecordError,
    SourceDeniedError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from serve_app.sources.fetch import Fetcher
from tests.unit.sources.servers import BODY, SHORT, fetched, refusal, serving, speaking, whole


@pytest.fixture(autouse=True)
def spools() -> Iterator[None]:
    """Whatever a test does, no temporary file is left open; closing is what deletes them."""
    yield
    assert [file.path for file in psutil.Process().open_files() if "/capstream-" in file.path] == []


async def test_a_video_is_streamed_to_a_file_of_its_own() -> None:
    """All bytes arrive, their hash is right, and the file is gone when the block is left."""
    async with serving(whole) as base:
        assert await fetched(f"{base}/a.mp4") == BODY


async def test_one_session_serves_many() -> None:
    """A fetcher takes requests at the same time, and another after it was closed."""
    async with serving(whole) as base:
        fetcher = Fetcher(SHORT)

        async def size(name: str) -> int:
            async with fetcher.fetch(f"{base}/{name}") as got:
                return got.facts.bytes

        assert await asyncio.gather(*(size(f"{n}.mp4") for n in range(8))) == [len(BODY)] * 8
        await fetcher.close()
        assert await size("again.mp4") == len(BODY)
        await fetcher.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, SourceNotFoundError) for status in (400, 404, 410, 304)),
        *((status, SourceDeniedError) for status in (401, 403, 407, 451)),
        *((status, SourceEmptyError) for status in (204, 205)),
        *((status, SourceUnavailableError) for status in (408, 425, 429, 500, 502, 503, 504)),
    ],
)
async def test_the_status_decides_whether_to_try_again(status: int, kind: type[RecordError]) -> None:
    """Too many requests, time-outs and server errors are transient, the rest is permanent."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with serving(answer) as base:
        error = await refusal(f"{base}/a.mp4?token=abc")
        assert type(error) is kind
        assert str(error) == f"{base}/a.mp4?token=***: HTTP {status}"


async def test_an_empty_body_is_no_video() -> None:
    """A success without a byte is told as what it is, and never tried again."""

    async def nothing(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"")

    async with serving(nothing) as base:
        error = await refusal(f"{base}/a.mp4")
        assert (type(error), str(error)) == (SourceEmptyError, f"{base}/a.mp4: no bytes")


async def test_redirects_are_followed_to_the_allowed_number() -> None:
    """Two are followed where two are allowed, relative ones included; the third ends the fetch."""

    async def hop(request: web.Request) -> web.StreamResponse:
        left = int(request.match_info["tail"])
        return (
            await whole(request)
            if left == 0
            else web.Response(status=302, headers={"Location": f"{left - 1}"})
        )

    async with serving(hop) as base:
        assert await fetched(f"{base}/2") == BODY
        error = await refusal(f"{base}/3")
        assert isinstance(error, SourceNotFoundError)
        assert "more redirects than 2" in str(error)


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://h/a", "data:,abc", "https://h/a", "http://[bad"]
)
async def test_redirects_keep_to_the_allowed_schemes(target: str) -> None:
    """A server cannot send us to a file, nor to a scheme that the settings leave out."""

    async def away(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": target})

    settings = SHORT.model_copy(update={"schemes": ("http", "file", "data")})
    async with serving(away) as base:
        assert isinstance(await refusal(f"{base}/a.mp4", settings), SourceRefusedError)


async def test_a_redirect_without_a_target_is_not_found() -> None:
    """There is nowhere to go, and there never will be."""

    async def nowhere(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=301)

    async with serving(nowhere) as base:
        assert isinstance(await refusal(f"{base}/a.mp4"), SourceNotFoundError)


async def test_credentials_stay_with_their_host() -> None:
    """User and password go with every request to the host that they were given for, and to no other."""
    seen: dict[str, str | None] = {}

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        seen["elsewhere"] = request.headers.get("Authorization")
        return web.Response(body=b"video")

    async with serving(elsewhere) as other:

        async def first(request: web.Request) -> web.StreamResponse:
            seen[request.path] = request.headers.get("Authorization")
            target = "/second" if request.path == "/first" else f"{other}/a"
            return web.Response(status=302, headers={"Location": target})

        async with serving(first) as base:
            assert await fetched(f"{base.replace('//', '//ann:p%40w@')}/first") == b"video"
    basic = "Basic " + base64.b64encode(b"ann:p@w").decode()
    assert seen == {"/first": basic, "/second": basic, "elsewhere": None}


async def test_an_announced_size_is_refused_before_the_body() -> None:
    """A Content-Length beyond the bound ends the fetch while the server still holds the body back."""
    asked = asyncio.Event()

    async def boast(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n")
        await writer.drain()
        await asked.wait()

    async with speaking(boast) as base:
        error = await refusal(f"{base}/a.mp4", SHORT.model_copy(update={"idle_timeout_s": 5}))
        asked.set()
    assert isinstance(error, SourceTooLargeError)
    assert str(error) == f"{base}/a.mp4: more than 2 MiB, the most that is allowed"


async def test_an_unannounced_size_is_refused_while_it_streams() -> None:
    """A chunked body without an end is cut off at the bound."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        while True:
            await response.write(BODY)

    async with serving(endless) as base:
        assert isinstance(await refusal(f"{base}/a.mp4"), SourceTooLargeError)


@pytest.mark.parametrize("abrupt", [False, True])
@pytest.mark.parametrize("head", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_breaks_off_is_unavailable(head: bytes, *, abrupt: bool) -> None:
    """A short body is no video, whether the connection is closed or reset."""

    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n40\r\n" + bytes(10))
        await writer.drain()
        if abrupt:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with speaking(cut) as base:
        error = await refusal(f"{base}/a.mp4", SHORT.model_copy(update={"idle_timeout_s": 5}))
    assert isinstance(error, SourceUnavailableError)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 twohundred\r\n\r\n", b"\x16\x03\x01"])
async def test_what_speaks_no_http_is_unavailable(answer: bytes) -> None:
    """A server that hangs up or answers nonsense may be well again later."""

    async def mumble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with speaking(mumble) as base:
        assert isinstance(await refusal(f"{base}/a.mp4"), SourceUnavailableError)


async def test_a_silent_server_is_given_up() -> None:
    """When no more of the body comes, the message says for how long."""
    done = asyncio.Event()

    async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        await writer.drain()
        await done.wait()

    async with speaking(stall) as base:
        error = await refusal(f"{base}/a.mp4")
        done.set()
    assert isinstance(error, SourceUnavailableError)
    assert str(error) == f"{base}/a.mp4: nothing came for 0.2 s"


async def test_a_slow_server_is_given_up() -> None:
    """Drops that come often enough do not go on for ever."""

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.05)

    async with serving(trickle) as base:
        error = await refusal(f"{base}/a.mp4", SHORT.model_copy(update={"total_timeout_s": 0.4}))
    assert isinstance(error, SourceUnavailableError)
    assert "not complete within 0.4 s" in str(error)


async def test_a_cancelled_fetch_leaves_nothing() -> None:
    """The file is gone and the connection closed."""
    began, closed = asyncio.Event(), asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        await writer.drain()
        began.set()
        await reader.read()
        closed.set()

    async with speaking(stall) as base:
        task = asyncio.create_task(fetched(f"{base}/a.mp4", SHORT.model_copy(update={"idle_timeout_s": 20})))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed.wait()


async def test_compressed_bodies_are_neither_asked_for_nor_unpacked() -> None:
    """A small answer cannot become a large file."""
    bomb = gzip.compress(bytes(1_000_000))
    asked: list[str] = []

    async def packed(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers["Accept-Encoding"])
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serving(packed) as base:
        assert isinstance(await refusal(f"{base}/a.mp4"), SourceRefusedError)
    assert asked == ["identity"]


async def test_nobody_there_is_unavailable() -> None:
    """A refused connection and an unknown name are told without addresses of ours."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    error = await refusal(f"http://ann:pw@127.0.0.1:{port}/a.mp4")
    assert isinstance(error, SourceUnavailableError)
    assert str(error) == f"http://***@127.0.0.1:{port}/a.mp4: connection refused"
    error = await refusal("http://name.invalid/a.mp4")
    assert isinstance(error, SourceUnavailableError)
    assert str(error) == "http://name.invalid/a.mp4: the host's name could not be resolved"


@pytest.mark.parametrize(
    "url",
    [
        "http:///a.mp4",
        "http:ann:pw@h/a",
        "http://h:99999/",
        "http://[::1",
        f"http://{'a' * 64}.example/",
        "http://a..b/",
    ],
)
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    """No host, no port number, no valid name: no attempt will help."""
    error = await refusal(url)
    assert isinstance(error, SourceRefusedError)
    assert "pw" not in str(error)

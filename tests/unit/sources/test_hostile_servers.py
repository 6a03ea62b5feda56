"""Servers that never end, or answer more than was asked."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

from serve_app.errors import RecordError, SourceRefusedError, SourceUnavailableError
from tests.unit.sources.servers import SHORT, fetched, refusal, speaking

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BANNER = b"secret-banner"
PIECES = 200_000
MAX_SENT = 32 * 1024**2
Pieces = Callable[[], Iterator[bytes]]


def after(head: bytes, piece: bytes) -> Pieces:
    """A head, then the same again and again."""

    def pieces() -> Iterator[bytes]:
        yield head
        yield from repeat(piece, PIECES)

    return pieces


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(after(OK + b"X: ", BANNER * 100), id="a header without an end"),
        pytest.param(after(OK, b"X: " + BANNER + b"\r\n"), id="headers without an end"),
        pytest.param(after(b"HTTP/1.1 200 ", BANNER * 100), id="a reason without an end"),
        pytest.param(after(b"", BANNER * 100), id="a first line without an end"),
        pytest.param(after(CHUNKED + b"0\r\n", b"X: " + BANNER + b"\r\n"), id="trailers without an end"),
    ],
)
async def test_what_surrounds_a_body_is_bounded(pieces: Pieces) -> None:
    """The connection is closed long before all is sent, and what was sent is not told."""
    sent = 0

    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            for piece in pieces():
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
        except ConnectionError:
            return

    async with speaking(pour) as base:
        error = await refusal(f"{base}/a.mp4")
    assert isinstance(error, SourceUnavailableError)
    assert BANNER.decode() not in str(error)
    assert sent < MAX_SENT


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(OK + b"X: ", b"x", id="a header"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="answers that are none yet"),
        pytest.param(CHUNKED, b"1\r\nx\r\n", id="a body"),
        pytest.param(CHUNKED, b"0", id="a chunk's size"),
        pytest.param(CHUNKED + b"1;", b"x", id="a chunk's extension"),
    ],
)
async def test_drops_that_come_in_time_have_an_end(head: bytes, piece: bytes) -> None:
    """Each is within the idle time; the time for the whole fetch ends it."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        try:
            while not reader.at_eof():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            return

    async with speaking(drip) as base:
        error = await refusal(f"{base}/a.mp4", SHORT.model_copy(update={"total_timeout_s": 0.5}))
    assert isinstance(error, SourceUnavailableError)
    assert str(error) == f"{base}/a.mp4: not complete within 0.5 s"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x"])
async def test_encoded_bodies_are_refused(encoding: str) -> None:
    """None is asked for, so whatever comes encoded is not unpacked."""

    async def packed(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = gzip.compress(bytes(10_000_000))
        head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(OK + head.encode() + body)
        await writer.drain()

    async with speaking(packed) as base:
        assert isinstance(await refusal(f"{base}/a.mp4"), SourceRefusedError)


async def test_an_encoded_transfer_is_not_unpacked() -> None:
    """Either it is refused, or no byte more is stored than was sent."""
    bomb = gzip.compress(bytes(10_000_000))

    async def packed(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunk = f"{len(bomb):x}\r\n".encode() + bomb + b"\r\n0\r\n\r\n"
        writer.write(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk)
        await writer.drain()

    async with speaking(packed) as base:
        try:
            assert await fetched(f"{base}/a.mp4") == bomb
        except RecordError as error:
            assert isinstance(error, SourceRefusedError | SourceUnavailableError)  # noqa: PT017  either is right

"""Cases: servers that send a file's first part well and lie about the parts that the child asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.boxes import box, found
from tests.hostile.outcome import DECODED
from tests.hostile.pages import GONE, LENGTH, OFF, Page, pour

if TYPE_CHECKING:
    import asyncio

    from tests.hostile.pages import Said
    from tests.hostile.seeds import Seeds
    from tests.unit.sources.servers import Raw

PADDING = 600_000  # the header lies behind what is fetched at first
HEAD = LENGTH.replace(b"\r\n\r\n", b'\r\nAccept-Ranges: bytes\r\nETag: "v1"\r\n\r\n')


def far(seeds: Seeds) -> bytes:
    """A clip whose header is far behind its pictures."""
    data = seeds["pyramid.mp4"]
    at = found(data, "moov").start
    return data[:at] + box("free", bytes(PADDING)) + data[at:]


def then(*pieces: bytes, pause_s: float = 0.0) -> Said:
    """A server that answers well once, and then says this; ``{from}`` and ``{size}`` are true."""

    def said(seeds: Seeds, port: int) -> Raw:
        data = far(seeds)
        filled = {b"{size}": b"%d" % len(data), b"{port}": b"%d" % port, b"{data}": data}
        first = pour((_filled(HEAD, filled), data))
        later = pour(tuple(_filled(piece, filled) for piece in pieces), pause_s)
        asked = 0

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            asked += 1
            await (first if asked == 1 else later)(reader, writer)

        return talk

    return said


def _filled(piece: bytes, values: dict[bytes, bytes]) -> bytes:
    for mark, value in values.items():
        piece = piece.replace(mark, value)
    return piece


PARTIAL = b'HTTP/1.1 206 Partial\r\nETag: "v1"\r\n'
ELSEWHERE = PARTIAL + b"Content-Range: bytes 0-9/{size}\r\nContent-Length: 10\r\n\r\n0123456789"
CASES = [
    Page("part/everything-after-all", then(HEAD, b"{data}"), (DECODED,)),
    Page("part/another-place", then(ELSEWHERE), (GONE,)),
    Page("part/no-place", then(PARTIAL + b"Content-Length: 5\r\n\r\nhello"), (GONE,)),
    Page("part/place-of-words", then(PARTIAL + b"Content-Range: bytes a-b/c\r\n\r\nhello"), (GONE,)),
    Page(
        "part/place-most",
        then(PARTIAL + b"Content-Range: bytes 0-" + b"9" * 40 + b"/*\r\n\r\nhello"),
        (GONE,),
    ),
    Page("part/another-version", then(HEAD.replace(b"v1", b"v2"), b"{data}"), (GONE,)),
    Page("part/nothing", then(b""), (GONE,)),
    Page("part/silence", then(*[b""] * 1000, pause_s=0.05), (GONE,)),
    Page("part/everything-and-more", then(HEAD, b"{data}", *[b"x" * 65_536] * 1000), (DECODED, GONE)),
    Page("part/half-of-everything", then(HEAD, b"x" * 1000), (GONE,)),
    Page(
        "part/redirect-to-the-trap",
        then(b"HTTP/1.1 302 Go\r\nLocation: http://127.0.0.2:{port}/\r\n\r\n"),
        (OFF,),
    ),
    Page("part/redirect-to-a-file", then(b"HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\n\r\n"), (OFF,)),
    Page("part/encoded", then(PARTIAL + b"Content-Encoding: gzip\r\n\r\nhello"), (OFF, GONE)),
    Page("part/error-500", then(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), (GONE,)),
    Page("part/noise", then(b"\0\1\2\3" * 1000), (GONE,)),
]

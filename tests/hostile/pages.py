"""Cases: servers that lie, linger, pour without end or send us elsewhere.

``{base}`` is the server of the case, ``{port}`` the trap's port on 127.0.0.2, which is not allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serve_app.errors import (
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from tests.hostile.case import UNREADABLE
from tests.hostile.outcome import DECODED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.seeds import Seeds
    from tests.unit.sources.servers import Raw

    Said = Callable[[Seeds, int], Raw]

OFF, GONE = SourceRefusedError.__name__, SourceUnavailableError.__name__
LARGE, EMPTY, MISSING = SourceTooLargeError.__name__, SourceEmptyError.__name__, SourceNotFoundError.__name__
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
DRIP_S = 0.05
BOMB = gzip.compress(bytes(8 << 20))


@dataclass(frozen=True, slots=True)
class Page:
    """A URL, what its server says (with the clips and the trap's port), and how that may end.

    ``names`` leads a host's name to addresses, one list after the other.
    """

    name: str
    said: Said
    ends: tuple[str, ...]
    url: str = "{base}/a.mp4"
    names: dict[str, list[list[str]]] = field(default_factory=dict)


def says(*pieces: bytes) -> Said:
    """A server that says this and hangs up."""
    return lambda _, port: pour(tuple(one.replace(b"{port}", b"%d" % port) for one in pieces))


def again(head: bytes, piece: bytes, pause_s: float = 0.0) -> Said:
    """A server that says a head, then the same again and again."""
    return lambda _seeds, _port: pour((head, *[piece] * 100_000), pause_s)


def silent(_seeds: Seeds, _port: int) -> Raw:
    """A server that says nothing and does not hang up."""
    return pour((b"",) * 100_000, DRIP_S)


def clip(head: bytes, share: float = 1.0, tail: bytes = b"") -> Said:
    """A server that says a head, then some of a good clip."""

    def said(seeds: Seeds, _port: int) -> Raw:
        data = seeds["pyramid.mp4"]
        return pour((head.replace(b"{size}", b"%d" % len(data)), data[: int(len(data) * share)], tail))

    return said


def pour(pieces: tuple[bytes, ...], pause_s: float = 0.0) -> Raw:
    """Write piece by piece until the other side hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                if reader.at_eof():
                    return
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)

    return talk


def sends_to(target: str, status: int = 302) -> Said:
    """A server that answers everything with a redirect; what is in braces is filled when it is asked."""
    head = f"HTTP/1.1 {status} Go\r\nContent-Length: 0\r\nConnection: close\r\nLocation: {target}\r\n\r\n"
    return says(head.encode("latin-1"))


LENGTH = OK + b"Content-Length: {size}\r\n\r\n"
BODIES = [
    Page("body/good", clip(LENGTH), (DECODED,)),
    Page("body/good-until-the-end", clip(OK + b"\r\n"), (DECODED,)),
    Page("body/half", clip(LENGTH, 0.5), (GONE,)),
    Page("body/half-until-the-end", clip(OK + b"\r\n", 0.5), (UNREADABLE,)),
    Page("body/more-than-its-length", clip(LENGTH, tail=b"more" * 1000), (DECODED,)),
    Page("body/no-bytes", says(OK + b"Content-Length: 0\r\n\r\n"), (EMPTY,)),
    Page("body/nothing-until-the-end", says(OK + b"\r\n"), (EMPTY,)),
    Page("body/endless", again(OK + b"\r\n", b"x" * 65_536), (LARGE,)),
    Page("body/endless-in-chunks", again(CHUNKED, b"10000\r\n" + b"x" * 65_536 + b"\r\n"), (LARGE,)),
    Page("body/endless-of-start-codes", again(OK + b"\r\n", b"\0\0\1\x65" * 16_384), (LARGE,)),
    Page("body/a-terabyte-is-announced", says(OK + b"Content-Length: 1099511627776\r\n\r\n"), (LARGE,)),
    Page("body/negative-length", says(OK + b"Content-Length: -1\r\n\r\nx"), (GONE,)),
    Page("body/length-of-words", says(OK + b"Content-Length: many\r\n\r\nx"), (GONE,)),
    Page(
        "body/length-of-100-digits", says(OK + b"Content-Length: " + b"9" * 100 + b"\r\n\r\nx"), (GONE, LARGE)
    ),
    Page(
        "body/two-lengths", says(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), (GONE, UNREADABLE)
    ),
    Page("body/chunk-of-64-pib", says(CHUNKED + b"ffffffffffffff\r\nx"), (GONE,)),
    Page("body/chunk-of-minus-one", says(CHUNKED + b"-1\r\nx"), (GONE,)),
    Page("body/chunk-of-words", says(CHUNKED + b"zz\r\nx"), (GONE,)),
    Page("body/chunks-without-an-end", says(CHUNKED + b"1\r\nx\r\n"), (GONE,)),
    Page("body/gzip-bomb", says(OK + b"Content-Encoding: gzip\r\n\r\n", BOMB), (OFF,)),
    Page("body/gzip-bomb-unsaid", says(OK + b"\r\n", BOMB), (UNREADABLE,)),
]
SLOW = [
    Page("slow/silent", silent, (GONE,)),
    Page("slow/status", again(b"", b"H", DRIP_S), (GONE,)),
    Page("slow/header", again(OK + b"X: ", b"x", DRIP_S), (GONE,)),
    Page("slow/headers", again(OK, b"X: x\r\n", DRIP_S), (GONE,)),
    Page("slow/body", again(OK + b"Content-Length: 1000000\r\n\r\n", b"x", DRIP_S), (GONE,)),
    Page("slow/chunks", again(CHUNKED, b"1\r\nx\r\n", DRIP_S), (GONE,)),
    Page("slow/not-yet", again(b"", b"HTTP/1.1 100 Continue\r\n\r\n", DRIP_S), (GONE,)),
]
HEADS = [
    Page("head/endless-header", again(OK + b"X: ", b"x" * 65_536), (GONE,)),
    Page("head/endless-headers", again(OK, b"X: x\r\n" * 1000), (GONE,)),
    Page("head/endless-reason", again(b"HTTP/1.1 200 ", b"x" * 65_536), (GONE,)),
    Page("head/endless-trailers", again(CHUNKED + b"0\r\n", b"X: x\r\n" * 1000), (GONE,)),
    Page("head/no-http", says(b"SSH-2.0-OpenSSH_9.9\r\n"), (GONE,)),
    Page("head/noise", says(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 100), (GONE,)),
    Page("head/http-0.9", says(b"hello"), (GONE,)),
    Page("head/hangs-up", says(b""), (GONE,)),
    Page("head/hangs-up-on-many-lines", says(b""), (GONE,), "{base}/a\x0b\x0c\x85\u2028\u2029\x1b[2J"),
    Page("head/hangs-up-on-many-letters", says(b""), (GONE,), "{base}/" + "a" * 20_000),
    Page("head/status-of-words", says(b"HTTP/1.1 abc OK\r\n\r\n"), (GONE,)),
    Page("head/status-999", says(b"HTTP/1.1 999 No\r\n\r\n"), (MISSING, GONE)),
    Page("head/zero-byte", says(OK + b"X: a\0b\r\n\r\nx"), (GONE, UNREADABLE)),
    Page("head/two-answers-in-one", says(OK + b"X: a\nX-Y: b\r\n\r\nx"), (GONE, UNREADABLE)),
    Page("head/tls-is-asked-of-plain", clip(LENGTH), (GONE,), "{tls}/a.mp4"),
]
REDIRECTS = {
    "to-itself": ("/a.mp4", MISSING),
    "to-ever-longer-names": ("a/a.mp4", MISSING),
    "to-the-trap": ("http://127.0.0.2:{port}/", OFF),
    "to-the-trap-relative": ("//127.0.0.2:{port}/", OFF),
    "to-the-trap-as-a-user": ("http://127.0.0.1@127.0.0.2:{port}/", OFF),
    "to-the-trap-in-hex": ("http://0x7f000002:{port}/", OFF),
    "to-the-trap-as-a-number": ("http://2130706434:{port}/", OFF),
    "to-the-trap-in-octal": ("http://0177.0.0.2:{port}/", OFF),
    "to-the-trap-shortened": ("http://127.2:{port}/", OFF),
    "to-the-trap-mapped": ("http://[::ffff:127.0.0.2]:{port}/", OFF),
    "to-the-trap-by-name": ("http://inside.test:{port}/", OFF),
    "to-the-trap-by-tls": ("https://127.0.0.2:{port}/", OFF),
    "to-aws-metadata": ("http://169.254.169.254/latest/meta-data/", OFF),
    "to-aws-metadata-ipv6": ("http://[fd00:ec2::254]/latest/", OFF),
    "to-gcp-metadata": ("http://metadata.google.internal/", OFF),
    "to-alibaba-metadata": ("http://100.100.100.200/", OFF),
    "to-azure-wire-server": ("http://168.63.129.16/", OFF),
    "to-a-private-network": ("http://10.0.0.1/", OFF),
    "to-loopback-ipv6": ("http://[::1]:{port}/", OFF),
    "to-nowhere": ("http://0.0.0.0:{port}/", OFF),
    "to-nat64-of-the-trap": ("http://[64:ff9b::7f00:2]:{port}/", OFF),
    "to-6to4-of-the-trap": ("http://[2002:7f00:2::]:{port}/", OFF),
    "to-a-file": ("file:///etc/passwd", OFF),
    "to-data": ("data:video/mp4,x", OFF),
    "to-ftp": ("ftp://127.0.0.2:{port}/", OFF),
    "to-gopher": ("gopher://127.0.0.2:{port}/x", OFF),
    "to-a-script": ("javascript:alert(1)", OFF),
    "to-no-url": ("http://[", OFF),
    "to-no-host": ("http:///a", MISSING),
    "to-control-characters": ("/\x01\x02\x7f", MISSING),
    "to-8000-characters": ("/" + "a" * 8000, MISSING),
    "to-a-port-of-words": ("http://127.0.0.2:port/", OFF),
    "to-a-large-port": ("http://127.0.0.2:99999/", OFF),
}
INSIDE = {
    "inside.test": [["127.0.0.2"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "rebind.test": [["127.0.0.1"], ["127.0.0.2"]],
    "both.test": [["127.0.0.1", "127.0.0.2"]],
}
SENT = [
    *(
        Page(f"redirect/{name}", sends_to(target), (end, GONE) if "control" in name else (end,), names=INSIDE)
        for name, (target, end) in REDIRECTS.items()
    ),
    Page("redirect/without-a-location", says(b"HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n"), (MISSING,)),
    Page(
        "redirect/by-a-name-that-moves",
        sends_to("http://rebind.test:{port}/"),
        (OFF,),
        "{named}/a.mp4",
        INSIDE,
    ),
    *(
        Page(f"redirect/status-{k}", sends_to("http://127.0.0.2:{port}/", k), (OFF,))
        for k in (301, 303, 307, 308)
    ),
]
CASES = BODIES + SLOW + HEADS + SENT

"""Cases: URLs that need no server: data, files, forbidden hosts, and what is no URL."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.hostile.case import UNREADABLE
from tests.hostile.outcome import DECODED
from tests.hostile.pages import EMPTY, GONE, LARGE, MISSING, OFF
from tests.hostile.pretenders import gzip_bomb, png_bomb, zip_bomb

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.seeds import Seeds

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """A URL; ``{port}`` is the trap's, ``{folder}`` the only one that ``file`` may read."""

    name: str
    url: Callable[[Seeds], str]
    ends: tuple[str, ...]


def fixed(name: str, url: str, *ends: str) -> Link:
    """A URL that needs no clip."""
    return Link(name, lambda _: url, ends)


def packed(data: bytes, kind: str = "video/mp4") -> str:
    """A data URI in base64."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


DATA = [
    Link("data/good", lambda seeds: packed(seeds["pyramid.mp4"]), (DECODED,)),
    Link("data/good-of-a-wrong-kind", lambda seeds: packed(seeds["pyramid.mp4"], "text/html"), (DECODED,)),
    Link(
        "data/good-in-percents",
        lambda seeds: "data:," + "".join(f"%{b:02x}" for b in seeds["broadcast.mxf"]),
        (DECODED,),
    ),
    Link("data/half", lambda seeds: packed(seeds["pyramid.mp4"][:1500]), (UNREADABLE,)),
    Link("data/half-of-a-group", lambda seeds: packed(seeds["pyramid.mp4"])[:-1], (OFF, DECODED)),
    Link("data/zip-bomb", lambda _: packed(zip_bomb()), (UNREADABLE,)),
    Link("data/gzip-bomb", lambda _: packed(gzip_bomb()), (UNREADABLE,)),
    Link("data/gzip-bomb-named", lambda _: packed(gzip_bomb(), "video/mp4;encoding=gzip"), (UNREADABLE,)),
    Link("data/png-bomb", lambda _: packed(png_bomb(), "image/png"), (UNREADABLE,)),
    fixed("data/larger-than-allowed", packed(bytes(2 * MIB)), LARGE),
    fixed("data/larger-in-percents", "data:," + "%00" * (2 * MIB), LARGE),
    fixed("data/larger-in-blanks", "data:;base64," + " " * (8 * MIB), EMPTY),
    fixed("data/8-million-percents", "data:;base64," + "%" * (8 * MIB), OFF, LARGE),
    fixed("data/8-million-before-the-comma", "data:" + "x" * (8 * MIB) + ",AAAA", UNREADABLE),
    fixed("data/base64-of-base64", packed(packed(bytes(1000)).encode()), UNREADABLE),
    fixed("data/playlist", packed(b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.2:{port}/a.ts\n"), UNREADABLE),
    fixed("data/no-base64", "data:;base64,!!!!", OFF),
    fixed("data/no-comma", "data:video/mp4;base64", OFF),
    fixed("data/nothing", "data:,", EMPTY),
    fixed("data/letters-of-no-code", "data:,\ud800\udfff", OFF),
    fixed("data/zeros-in-the-head", "data:\0\n\r\x1b[2J;base64,AAAA", UNREADABLE),
]
FILES = [
    fixed("file/passwd", "file:///etc/passwd", OFF),
    fixed("file/dots", "file://{folder}/../../../../../etc/passwd", OFF),
    fixed("file/dots-in-percents", "file://{folder}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", OFF),
    fixed("file/link-outwards", "file://{folder}/outwards", OFF),
    fixed("file/own-environment", "file:///proc/self/environ", OFF),
    fixed("file/own-descriptor", "file:///proc/self/fd/0", OFF),
    fixed("file/zeros-for-ever", "file:///dev/zero", OFF),
    fixed("file/pipe", "file://{folder}/pipe", OFF),
    fixed("file/folder", "file://{folder}/", OFF),
    fixed("file/terabyte", "file://{folder}/terabyte", LARGE),
    fixed("file/empty", "file://{folder}/empty", EMPTY),
    fixed("file/missing", "file://{folder}/missing.mp4", MISSING),
    fixed("file/name-of-a-million", "file://{folder}/" + "a" * 10**6, MISSING, OFF),
    fixed("file/zero-in-the-name", "file://{folder}/a%00.mp4", OFF),
    fixed("file/other-host", "file://127.0.0.2:{port}/a.mp4", OFF),
    fixed("file/host-of-a-million", "file://" + "a" * 10**6 + "/a.mp4", OFF),
    fixed("file/no-root", "file:a.mp4" + "a" * 10**6, OFF),
    fixed("file/name-that-is-no-text", "file://{folder}/%ff%fe%1b%0a", MISSING),
]
HOSTS = [
    fixed(f"host/{name}", url, OFF)
    for name, url in {
        "trap": "http://127.0.0.2:{port}/",
        "hex": "http://0x7f.0.0.2:{port}/",
        "number": "http://2130706434:{port}/",
        "octal": "http://0177.0.0.02:{port}/",
        "short": "http://127.2:{port}/",
        "dot": "http://127.0.0.2.:{port}/",
        "full-width": "http://\uff11\uff12\uff17.0.0.2:{port}/",
        "circled": "http://①②⑦.0.0.②:{port}/",
        "mapped": "http://[::ffff:7f00:2]:{port}/",
        "zone": "http://[::1%25lo]:{port}/",
        "percent": "http://127.0.0.%32:{port}/",
        "backslash": "http://127.0.0.2:{port}\\@127.0.0.1/",
        "name": "http://inside.test:{port}/",
        "one-of-two": "http://both.test:{port}/",
        "metadata": "http://169.254.169.254/latest/meta-data/",
        "metadata-by-name": "http://metadata.google.internal/computeMetadata/v1/",
        "unspecified": "http://0:{port}/",
        "broadcast": "http://255.255.255.255/",
    }.items()
]
NO_URLS = [
    fixed("url/nothing", "", OFF),
    fixed("url/no-scheme", "a.mp4", OFF),
    fixed("url/path", "/etc/passwd", OFF),
    fixed("url/scheme-of-ffmpeg", "concat:/etc/passwd|/etc/passwd", OFF),
    fixed("url/subfile", "subfile,,start,0,end,0,,:/etc/passwd", OFF),
    fixed("url/rtsp", "rtsp://127.0.0.2:{port}/", OFF),
    fixed("url/store", "s3://bucket/key", OFF),
    fixed("url/scheme-of-a-million", "x" * 10**6 + "://127.0.0.2/", OFF),
    fixed("url/path-of-a-million", "http://127.0.0.2/" + "a" * 10**6, OFF),
    fixed("url/query-of-a-million", "http://127.0.0.2/?" + "a=b&" * 250_000, OFF),
    fixed("url/host-of-a-million", "http://" + "a" * 10**6 + "/", OFF, GONE),
    fixed("url/labels-of-a-million", "http://" + "a." * 500_000 + "test/", OFF, GONE),
    fixed("url/lines", "http://127.0.0.2/a\x0b\x0c\x85\u2028\u2029b", OFF),
    fixed("url/terminal", "http://127.0.0.2/\x1b[2J\x07", OFF),
    fixed("url/brackets", "http://[[[::1]]]/", OFF),
    fixed("url/letters-of-no-code", "http://127.0.0.2/\ud800", OFF),
    fixed("url/no-host", "http:///a.mp4", OFF),
]
CASES = DATA + FILES + HOSTS + NO_URLS

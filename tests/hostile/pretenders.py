"""Cases: what is no video, and text that names other files and servers.

``{clip}`` is a good clip next door, ``{trap}`` a port of this machine that nobody may connect to.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from functools import cache, partial
from typing import TYPE_CHECKING

from PIL import Image

from tests.hostile.case import TIMEOUT, UNREADABLE, Case
from tests.hostile.giants import constant
from tests.hostile.outcome import DECODED

if TYPE_CHECKING:
    from tests.hostile.case import Make
    from tests.hostile.seeds import Seeds

MIB = 1 << 20
HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n"
HLS_KEY = (
    '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:9,\n{target}\n'
    "#EXT-X-ENDLIST\n"
)
HLS_MAP = (
    '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="{target}"\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n'
)
HLS_MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n"
CONCAT = "ffconcat version 1.0\nfile {target}\n"
DASH = (
    '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    '<Representation id="0"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>\n'
)
SMIL = '<smil><body><video src="{target}"/></body></smil>'
ASX = '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'
ASF = "[Reference]\nRef1={target}\n"
PLS = "[playlist]\nFile1={target}\nNumberOfEntries=1\n"
IMF = (
    '<?xml version="1.0"?>\n<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
    "<Id>urn:uuid:0</Id><Path>{target}</Path></CompositionPlaylist>"
)
SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n"
)
AVISYNTH = 'DirectShowSource("{target}")\n'
VOBSUB = (
    "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n# {target}\n"
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    '<image xlink:href="{target}" width="64" height="48"/></svg>'
)
RTSP = "RTSPtext\n{target}\n"
TEXTS = {
    "hls": HLS,
    "hls-key": HLS_KEY,
    "hls-map": HLS_MAP,
    "hls-master": HLS_MASTER,
    "concat": CONCAT,
    "dash": DASH,
    "smil": SMIL,
    "asx": ASX,
    "asf-reference": ASF,
    "pls": PLS,
    "imf": IMF,
    "avisynth": AVISYNTH,
    "vobsub": VOBSUB,
    "svg": SVG,
    "rtsp-text": RTSP,
}
TARGETS = {
    "clip": "clip.mp4",
    "path": "{clip}",
    "passwd": "file:///etc/passwd",
    "http": "http://127.0.0.2:{port}/a.ts",
    "tcp": "tcp://127.0.0.2:{port}",
    "rtmp": "rtmp://127.0.0.2:{port}/a",
    "concat": "concat:{clip}|{clip}",
    "subfile": "subfile,,start,0,end,0,,:{clip}",
}


def reference(name: str, target: str) -> str:
    """One text with one target in it, both still to be filled."""
    return TEXTS[name].replace("{target}", TARGETS[target])


def picture(kind: str, _seeds: Seeds) -> bytes:
    """A picture file."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, kind)
    return file.getvalue()


@cache
def png_bomb() -> bytes:
    """A PNG of 16000 x 16000 in some kilobytes, with a text of 64 MiB packed into it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 16_000, 16_000, 1, 0, 0, 0, 0))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 * MIB), 9))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + text
        + chunk(b"IDAT", zlib.compress(bytes(2001 * 16_000), 9))
        + chunk(b"IEND", b"")
    )


@cache
def gzip_bomb() -> bytes:
    """The same without names."""
    return gzip.compress(bytes(32 * MIB), 9)


@cache
def zip_bomb() -> bytes:
    """Some kilobytes that unpack to 32 MiB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mp4", bytes(32 * MIB))
    return file.getvalue()


WAVE = (
    b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0"
    b"data\xff\xff\xff\x7f" + bytes(5000)
)
CONTENTS = {
    "nothing": b"",
    "one-byte": b"\x00",
    "text": b"hello, this is plain text\n" * 1000,
    "terminal-art": b"\x1b[2J\x1b[31m\xdb\xb2\xb1\xb0\r\n" * 2000,
    "noise": random.Random(7).randbytes(MIB),
    "zeros": bytes(MIB),
    "ones": b"\xff" * MIB,
    "html": b"<html><body>404</body></html>" * 100,
    "json": b'{"a": [' * 10_000,
    "pdf": b"%PDF-1.7\n" + bytes(1000),
    "elf": b"\x7fELF\x02\x01\x01" + bytes(1000),
    "script": b"#!/bin/sh\ntouch /tmp/x\n",
    "python-pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n" * 500,
    "webvtt": b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n\n" * 500,
    "matroska-named-only": b"\x1a\x45\xdf\xa3",
    "id3-and-nothing": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(1000),
    "wave": WAVE,
    "pattern-of-names": b"frame%03d.png",
    "yuv4mpeg": b"YUV4MPEG2 W16000 H16000 F25:1\nFRAME\n" + bytes(1000),
}
MADE: dict[str, Make] = {
    "zip-bomb": lambda _: zip_bomb(),
    "gzip-bomb": lambda _: gzip_bomb(),
    "png-bomb": lambda _: png_bomb(),
    **{kind: partial(picture, kind) for kind in ("png", "jpeg", "webp", "bmp", "tiff", "ico")},
    **{name: constant(content) for name, content in CONTENTS.items()},
}
CASES = [
    *(Case(f"no-video/{name}", make, (UNREADABLE,)) for name, make in MADE.items()),
    Case("no-video/text-behind-a-gif-head", lambda _: b"GIF89a" + b"text " * 5000, (UNREADABLE,)),
    Case("no-video/zip-behind-a-clip", lambda seeds: seeds["pyramid.mp4"] + zip_bomb(), (DECODED,)),
    Case(
        "no-video/clip-behind-a-text",
        lambda seeds: b"#EXTM3U\n" + seeds["pyramid.mp4"],
        (UNREADABLE, TIMEOUT),
    ),
]

"""Cases: images of a list that are none, that are too large, or that lie; and good ones, spoilt by chance."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import partial

import numpy as np
from PIL import Image

from tests.albums import packed, shade
from tests.hostile.case import MEMORY, REFUSED, SPOILT, TIMEOUT, UNREADABLE, Case
from tests.hostile.giants import constant, gif
from tests.hostile.outcome import DECODED
from tests.hostile.pretenders import CONTENTS, gzip_bomb, png_bomb, zip_bomb
from tests.hostile.seeds import Seeds

MIB = 1 << 20
KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
HEAD = b"\x89PNG\r\n\x1a\n"
SOUND = (DECODED, UNREADABLE)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A piece of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*between: bytes, size: tuple[int, int] = (64, 48), bits: int = 1, rows: bytes | None = None) -> bytes:
    """A grey PNG with these chunks before its pixels."""
    width, height = size
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    lines = bytes((-(-width * bits // 8) + 1) * height) if rows is None else rows
    return b"".join((HEAD, head, *between, chunk(b"IDAT", zlib.compress(lines, 9)), chunk(b"IEND", b"")))


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG whose head says another size."""
    data = bytearray(packed(shade(1), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_of(width: int, height: int, bits: int = 24, packing: int = 0) -> bytes:
    """A BMP with little behind its head."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, packing, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + bytes(1000)


def webp_of(width: int, height: int) -> bytes:
    """A WebP that says how large its canvas is, and has none."""
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated(kind: str, _seeds: Seeds) -> bytes:
    """A thousand pictures, of which the first is taken."""
    file, others = io.BytesIO(), [shade(level % 256) for level in range(999)]
    shade(7).save(file, kind, save_all=True, append_images=others, duration=1)
    return file.getvalue()


def exif(body: bytes) -> bytes:
    """A good JPEG with these words about it."""
    clean, said = packed(shade(9), "JPEG"), b"Exif\0\0" + body
    return clean[:2] + b"\xff\xe1" + struct.pack(">H", len(said) + 2) + said + clean[2:]


def spoilt(kind: str, seed: int, _seeds: Seeds) -> bytes:
    """A good image, cut or with some bytes changed by chance, half of them near its head."""
    chance = random.Random(f"{kind} {seed}")
    noise = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    data = bytearray(packed(Image.fromarray(noise), kind))
    if seed % 4 == 0:
        return bytes(data[: chance.randrange(1, len(data))])
    for _ in range(chance.randrange(1, 9)):
        data[chance.randrange(chance.choice([min(200, len(data)), len(data)]))] = chance.randrange(256)
    return bytes(data)


LOOP = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
LARGE = [
    Case("large/png-16000x16000", lambda _: png_bomb(), (REFUSED, UNREADABLE)),
    Case("large/png-0x7fffffff", constant(png(size=(0x7FFFFFFF, 0x7FFFFFFF), rows=b"")), (REFUSED,)),
    Case("large/png-9000x9000", constant(png(size=(9000, 9000))), (REFUSED,), saying="9000x9000"),
    Case("large/png-8000x8000", constant(png(size=(8000, 8000))), (MEMORY, TIMEOUT)),
    Case("large/png-60000x1000", constant(png(size=(60_000, 1000))), (MEMORY, TIMEOUT, REFUSED)),
    Case("large/png-1x1000000", constant(png(size=(1, 10**6))), (REFUSED,)),
    Case("large/jpeg-65500x65500", constant(jpeg_of(65_500, 65_500)), (REFUSED,)),
    Case("large/jpeg-9000x9000", constant(jpeg_of(9000, 9000)), (REFUSED,), saying="9000x9000"),
    Case("large/jpeg-8000x8000", constant(jpeg_of(8000, 8000)), (MEMORY, UNREADABLE)),
    Case("large/webp-16383x16383", constant(webp_of(16_383, 16_383)), (REFUSED, UNREADABLE)),
    Case("large/webp-2-to-the-24", constant(webp_of(1 << 24, 1 << 24)), (REFUSED, UNREADABLE)),
    Case("large/bmp-of-2-billion", constant(bmp_of(0x7FFFFFFF, 0x7FFFFFFF)), (REFUSED,)),
    Case("large/bmp-of-minus-2-billion", constant(bmp_of(-1, -0x7FFFFFFF)), (REFUSED, UNREADABLE)),
    Case("large/bmp-runs", constant(bmp_of(8000, 8000, 8, 1)), (MEMORY, *SOUND)),
    Case("large/gif-65535x65535", constant(gif(65_535, 65_535)), (REFUSED, UNREADABLE)),
    Case("large/gif-8000x8000", constant(gif(8000, 8000)), (MEMORY, TIMEOUT, *SOUND)),
]
LIES = [
    Case(
        "lies/text-of-64-mib",
        constant(png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 * MIB), 9)))),
        SOUND,
    ),
    Case(
        "lies/profile-of-64-mib",
        constant(png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 * MIB), 9)))),
        SOUND,
    ),
    Case("lies/100000-texts", constant(png(chunk(b"tEXt", b"a\0b") * 100_000)), (*SOUND, TIMEOUT)),
    Case("lies/1000000-empty-chunks", constant(png(chunk(b"IDAT", b"") * 10**6)), (*SOUND, TIMEOUT)),
    Case("lies/64-mib-of-pixels-in-3-kib", constant(png(rows=bytes(64 * MIB))), SOUND),
    Case("lies/no-pixels", constant(png(size=(0, 0), rows=b"")), (UNREADABLE, REFUSED)),
    Case("lies/exif-that-names-itself", constant(exif(LOOP)), SOUND),
    Case("lies/exif-of-4-gib", constant(exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0" + b"\xff" * 8)), SOUND),
    Case("lies/exif-of-text", constant(exif(b"orientation: upside down")), SOUND),
    Case("lies/orientation-99", constant(exif(LOOP[:10] + struct.pack("<HHII", 0x112, 3, 1, 99))), SOUND),
    Case("lies/animated-gif", partial(animated, "GIF"), (DECODED,)),
    Case("lies/animated-webp", partial(animated, "WEBP"), (DECODED, TIMEOUT)),
    Case("lies/another-shape", constant(packed(shade(1, (48, 64)))), (REFUSED,), saying="48x64"),
    Case("lies/one-pixel", constant(packed(shade(1, (1, 1)))), (REFUSED,), saying="1x1"),
]
OTHERS = ("TIFF", "ICO", "PPM", "TGA", "PCX", "EPS", "PDF", "JPEG2000", "DDS", "SGI")
NONE = [
    Case("none/video", lambda seeds: seeds["pyramid.mp4"], (UNREADABLE,)),
    Case("none/zip-bomb", lambda _: zip_bomb(), (UNREADABLE,)),
    Case("none/gzip-bomb", lambda _: gzip_bomb(), (UNREADABLE,)),
    *(Case(f"none/{kind}", constant(packed(shade(1), kind)), (UNREADABLE,)) for kind in OTHERS),
    *(Case(f"none/{name}", constant(body), (UNREADABLE,)) for name, body in CONTENTS.items() if body),
]
CHANCE = [
    Case(f"spoilt/{kind}-{seed}", partial(spoilt, kind, seed), SPOILT) for kind in KINDS for seed in range(24)
]
CASES = [*LARGE, *LIES, *NONE, *CHANCE]

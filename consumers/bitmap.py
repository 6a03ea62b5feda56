"""A set of offsets above a base as few bytes: plain bits, deflated bits, or run lengths.

Offsets are *flags*: one byte each, 1 for a member, the first for the base itself. What is written is the
shortest of three forms, so no pattern is worse than plain bits: 3,000 bytes for the whole window.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

WINDOW = 24_000
"""Most offsets that a bitmap may cover. In base85 they fit the 4,096 characters that brokers allow."""
MAX_BYTES = WINDOW // 8
DEFLATE_FROM_BYTES = 24  # below, zlib's own header outweighs what it saves

RAW, DEFLATED, RUNS = 0, 1, 2


class BitmapError(ValueError):
    """Bytes that no bitmap is written as."""


def pack(flags: bytes | bytearray) -> bytes:
    """The shortest form of the flags (values 0 and 1); ``BitmapError`` beyond the window."""
    flags = flags.rstrip(b"\0")
    if len(flags) > WINDOW:
        raise BitmapError(f"{len(flags)} offsets are more than the window of {WINDOW}")
    if not flags:
        return b""
    array = np.frombuffer(flags, np.uint8)
    raw = np.packbits(array, bitorder="little").tobytes()
    forms = [bytes((RAW,)) + raw]
    edges = np.flatnonzero(np.diff(array)) + 1
    if len(edges) < len(raw):
        bounds = [0, *edges.tolist(), len(flags)]
        lengths = [stop - start for start, stop in pairwise(bounds)]
        # Runs alternate and begin with absent offsets, perhaps none.
        forms.append(bytes((RUNS,)) + varints(lengths if not flags[0] else [0, *lengths]))
    if len(raw) >= DEFLATE_FROM_BYTES:
        forms.append(bytes((DEFLATED,)) + zlib.compress(raw, 6))
    return min(forms, key=len)


def unpack(data: bytes) -> bytes:
    """The flags of :func:`pack`, without zeros at the end; ``BitmapError`` for any other bytes."""
    if not data:
        return b""
    form, body = data[0], data[1:]
    if form == RAW:
        return _flags(body)
    if form == DEFLATED:
        return _flags(_inflated(body))
    if form == RUNS:
        return _run_flags(body)
    raise BitmapError(f"form {form} of a bitmap is not known")


def _flags(raw: bytes) -> bytes:
    if len(raw) > MAX_BYTES:
        raise BitmapError(f"{len(raw)} bytes are more than the window's {MAX_BYTES}")
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    return bits.tobytes().rstrip(b"\0")


def _inflated(body: bytes) -> bytes:
    # One byte more than is allowed tells too much from enough, however much there would be.
    stream = zlib.decompressobj()
    try:
        return stream.decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        raise BitmapError(f"a deflated bitmap cannot be read: {error}") from error


def _run_flags(body: bytes) -> bytes:
    flags = bytearray()
    for index, length in enumerate(read_varints(body)):
        if len(flags) + length > WINDOW:
            raise BitmapError(f"runs reach beyond the window of {WINDOW}")
        flags += bytes((index % 2,)) * length
    return bytes(flags.rstrip(b"\0"))


def varints(numbers: Iterable[int]) -> bytes:
    """Numbers ≥ 0, seven bits a byte, the lowest first; the top bit says that more follow (LEB128)."""
    out = bytearray()
    for number in numbers:
        left = number
        while left > 0x7F:
            out.append(left & 0x7F | 0x80)
            left >>= 7
        out.append(left)
    return bytes(out)


def read_varints(data: bytes) -> list[int]:
    """What :func:`varints` wrote; ``BitmapError`` where the last number has no end."""
    numbers = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(number)
            number = shift = 0
    if shift:
        raise BitmapError("the last number has no end")
    return numbers

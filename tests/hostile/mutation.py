"""Spoils clips by chance: the same seed gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.boxes import HEAD, put, walk

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    Mutation = Callable[[random.Random, bytes, bytes], bytes]

MOST_BYTES = 1 << 20
# Where programs that count go wrong.
EDGES = (0, 1, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
EARLY = 512  # most containers say at their beginning what is to come


def mutated(rng: random.Random, clips: Sequence[bytes]) -> bytes:
    """One of the clips after one to six mutations."""
    data, other = rng.choice(clips), rng.choice(clips)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        data = rng.choice(MUTATIONS)(rng, data, other)[:MOST_BYTES]
    return data


def _place(rng: random.Random, data: bytes) -> int:
    """A byte; one of the first as often as any other."""
    return rng.randrange(max(1, min(len(data), EARLY) if rng.random() < 0.5 else len(data)))


def flip_bits(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """Some single bits."""
    new = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64)) if new else 0):
        new[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(new)


def set_number(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """A number that is an edge, in either byte order."""
    width = rng.choice((1, 2, 4, 8))
    number = (rng.choice(EDGES) & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(("big", "little")))
    at = _place(rng, data)
    return data[:at] + number + data[at + width :]


def cut(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data) + 1)]


def cut_out(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """A piece is missing."""
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 4, 64, 1024)) :]


def double(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """A piece is there again, up to a thousand times."""
    at, size = _place(rng, data), rng.choice((1, 8, 188, 512))
    return data[:at] + data[at : at + size] * rng.choice((2, 10, 1000)) + data[at + size :]


def splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one clip and the end of another."""
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def insert(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A piece of another clip, or noise."""
    at, there = _place(rng, data), _place(rng, other)
    size = rng.choice((4, 64, 2048))
    piece = other[there : there + size] if rng.random() < 0.7 else rng.randbytes(size)
    return data[:at] + piece + data[at:]


def blank(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """A piece of zeros or ones."""
    at, size = _place(rng, data), rng.choice((4, 32, 512))
    return data[:at] + rng.choice((b"\x00", b"\xff")) * size + data[at + size :]


def resize_box(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A box of an MP4 that lies about its size, or has a number of its body changed."""
    boxes = list(walk(data))
    if not boxes:
        return set_number(rng, data, other)
    one = rng.choice(boxes)
    inside = (one.end - one.body) // 4
    if rng.random() < 0.3 or not inside:
        size = rng.choice((*EDGES, one.end - one.start + rng.randrange(-HEAD, HEAD))) & 0xFFFFFFFF
        return put(data, one.start, "I", size)
    return put(data, one.body + 4 * rng.randrange(min(inside, 24)), "I", rng.choice(EDGES))


def move_box(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A box of an MP4 once more somewhere else."""
    boxes = list(walk(data))
    if not boxes:
        return insert(rng, data, other)
    one, there = rng.choice(boxes), rng.choice(boxes)
    return data[: there.start] + data[one.start : one.end] + data[there.start :]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    flip_bits,
    set_number,
    set_number,
    cut,
    cut_out,
    double,
    splice,
    insert,
    blank,
    resize_box,
    resize_box,
    move_box,
)

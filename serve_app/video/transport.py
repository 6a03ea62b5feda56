"""Where a transport stream falls out of step: FFmpeg finds its way back without a word on what it passed.

A transport stream is packets of one size, each of which begins with the same byte.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_app.video.index import VideoIndex

SYNC = 0x47
SIZES = (188, 192, 204)  # plain, with a time in front, with a checksum behind
IN_STEP = 3  # so many in a row are no chance
BLOCK = 1024  # packets that are read at once
MOST = 10_000  # places; a file with more is damaged wherever one looks


def marked(index: VideoIndex, fd: int, places: Sequence[tuple[int, int]]) -> VideoIndex:
    """The index with each packet marked as corrupt that began before such a place, and ended behind it.

    ``places`` are offset and size of each packet. What was lost there, the next packets may refer to.
    """
    found = np.array(out_of_step(fd), np.int64)
    if not len(found):
        return index
    begins = np.maximum.accumulate(np.array([at for at, _ in places], np.int64))
    corrupt = index.packets.corrupt.copy()
    last = np.searchsorted(begins, found, side="right") - 1
    corrupt[last[last >= 0]] = True
    return replace(index, packets=replace(index.packets, corrupt=corrupt))


def out_of_step(fd: int) -> list[int]:
    """Offsets in the open file at which a packet should begin and none does, rising."""
    at, size = min(((_in_step(fd, 0, size), size) for size in SIZES), key=lambda one: (one[0] < 0, *one))
    found: list[int] = []
    while at >= 0 and len(found) < MOST:
        rows = _bytes(fd, at, size * BLOCK)
        begins = rows[::size]
        wrong = np.flatnonzero(begins != SYNC)
        if not len(wrong):
            at = at + len(begins) * size if len(rows) == size * BLOCK else -1
            continue
        found.append(at + int(wrong[0]) * size)
        at = _in_step(fd, found[-1] + 1, size)
    return found


def _in_step(fd: int, at: int, size: int) -> int:
    """Where from ``at`` on packets of that size begin; negative if none do."""
    beyond = (IN_STEP - 1) * size
    while len(block := _bytes(fd, at, size * BLOCK)) > beyond:
        heads = block == SYNC
        fits = heads[:-beyond].copy()
        for step in range(1, IN_STEP):
            fits &= heads[step * size : len(heads) - beyond + step * size]
        if fits.any():
            return at + int(np.argmax(fits))
        at += len(fits)
    return -1


def _bytes(fd: int, at: int, count: int) -> NDArray[np.uint8]:
    return np.frombuffer(os.pread(fd, count, at), np.uint8)

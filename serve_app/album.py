"""Several images in one file, since one open file is all that a decoding process is given.

First a table, one row for each image of the list, and a last row whose time is the end; then the bytes of
those images that were fetched, in any order. A row of size 0 is an image that nobody asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ROW = np.dtype([("pts_seconds", "<f8"), ("offset", "<i8"), ("size", "<i8")])


def empty_table(pts_seconds: Sequence[float], end_seconds: float) -> NDArray[np.void]:
    """The table of images that are not there yet, shape (N + 1,)."""
    table = np.zeros(len(pts_seconds) + 1, ROW)
    table["pts_seconds"] = [*pts_seconds, end_seconds]
    return table


def read_table(fd: int, images: int) -> NDArray[np.void]:
    """The table of a list of ``images`` images."""
    return np.frombuffer(os.pread(fd, (images + 1) * ROW.itemsize, 0), ROW)


def read_image(fd: int, row: np.void) -> bytes:
    """An image's bytes; ``ValueError`` if nobody asked for it."""
    if not row["size"]:
        raise ValueError(f"the image at {row['pts_seconds']} s is not there")
    return os.pread(fd, int(row["size"]), int(row["offset"]))

"""Decoded pictures with their true times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frames:
    """Pictures in the order of their times.

    ``data`` is uint8 of shape (T, H, W, 3), RGB, upright. ``pts_seconds`` is float64 of shape (T,), in
    seconds on the container's timeline, not decreasing. ``ValueError`` for anything else.
    """

    data: NDArray[np.uint8]
    pts_seconds: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.data.dtype != np.uint8 or self.data.ndim != 4 or self.data.shape[3] != 3:
            raise ValueError(f"data must be uint8 (T, H, W, 3), is {self.data.dtype} {self.data.shape}")
        if self.pts_seconds.dtype != np.float64 or self.pts_seconds.shape != self.data.shape[:1]:
            raise ValueError(
                f"pts_seconds must be float64 ({len(self.data)},),"
                f" is {self.pts_seconds.dtype} {self.pts_seconds.shape}"
            )
        if not np.isfinite(self.pts_seconds).all() or (np.diff(self.pts_seconds) < 0).any():
            raise ValueError("pts_seconds must be finite and not decreasing")

    def __len__(self) -> int:
        return len(self.data)

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.data.shape[2])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.data.shape[1])

    def __repr__(self) -> str:
        if len(self) == 0:
            return f"Frames(0 of {self.width}x{self.height})"
        first, last = self.pts_seconds[0], self.pts_seconds[-1]
        return f"Frames({len(self)} of {self.width}x{self.height}, {first:.3f} s to {last:.3f} s)"


def fresh(size: int) -> NDArray[np.uint8]:
    """Memory of its own for so many bytes of pixels."""
    return np.empty(size, np.uint8)

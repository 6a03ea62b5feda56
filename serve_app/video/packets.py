"""The packets of one stream as its container describes them, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSET = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """All packets of one stream in decode order; arrays of shape (P,).

    ``pts``, ``dts`` and ``duration`` are int64 in units of the time base, ``UNSET`` (0 for a duration)
    where the container does not say. ``hidden`` marks packets that an edit list cuts away: they are
    decoded, never shown. ``corrupt`` marks packets with missing bytes.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    duration: NDArray[np.int64]
    size: NDArray[np.int64]
    keyframe: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    corrupt: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pts)

"""Which packets to decode for the frames that were chosen. A pure value, made before any decoding.

A *stretch* starts at a keyframe and runs, in decode order, to the last frame chosen in it. Between two
stretches nothing is decoded. Inside one, packets that nobody chose may be skipped as long as no other
frame refers to them; the decoder knows which those are (``skip_frame``, below).

A chosen frame belongs to the last keyframe that precedes it in decode order *and* is not shown after
it. Frames that follow a keyframe in decode order but are shown before it (the leading frames of an open
GOP) may refer to the GOP before, so they start there. With that, pixels equal those of a full decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve_app.video.index import UNSET

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.video.index import Packets, VideoIndex

SEEK_GAP_PACKETS = 32  # reading over fewer packets is cheaper than a seek


@dataclass(frozen=True, slots=True)
class Stretch:
    """Packets ``start`` to ``last``, both included, by ordinal; ``wanted`` are the chosen among them."""

    start: int
    last: int
    wanted: frozenset[int]
    seek: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Stretches in decode order.

    ``skip`` allows unreferenced packets to be left out. ``whole`` asks for a decode to the very end,
    whatever was chosen, that believes no flag of the container.
    """

    stretches: tuple[Stretch, ...]
    skip: bool = False
    whole: bool = False

    @property
    def packets(self) -> int:
        """How many packets are fed to the decoder."""
        return sum(s.last - s.start + 1 for s in self.stretches)


def plan(index: VideoIndex, chosen: NDArray[np.int64], *, skip: bool) -> Plan:
    """The plan for the frames ``chosen``, indices into the index, shape (T,), T at least 1."""
    if not index.timed:
        return through(index, chosen)
    wanted = np.sort(index.ordinals[chosen])
    # A later frame that starts earlier takes those before it along.
    begins = np.minimum.accumulate(starts(index.packets, wanted)[::-1])[::-1]
    breaks = np.flatnonzero(begins[1:] > wanted[:-1] + 1) + 1
    stretches: list[Stretch] = []
    position = 0
    for part, begin in zip(np.split(wanted, breaks), begins[np.concatenate(([0], breaks))], strict=True):
        start, last = int(begin), int(part[-1])
        stretches.append(Stretch(start, last, frozenset(part.tolist()), start - position > SEEK_GAP_PACKETS))
        position = last + 1
    return Plan(tuple(stretches), skip=skip)


def through(index: VideoIndex, chosen: NDArray[np.int64]) -> Plan:
    """A full decode from the first keyframe to the last packet: slow, and trusts no later flag."""
    keys = np.flatnonzero(index.packets.keyframe)
    start = int(keys[0]) if index.timed and len(keys) else 0
    wanted = frozenset(index.ordinals[chosen].tolist())
    return Plan((Stretch(start, len(index.packets) - 1, wanted),), whole=True)


def starts(packets: Packets, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each wanted ordinal the keyframe to start at, or the first packet if there is none."""
    keys = np.flatnonzero(packets.keyframe)
    begins = np.zeros(len(wanted), dtype=np.int64)
    shown = packets.pts[keys]
    for place, ordinal in enumerate(wanted.tolist()):
        at = int(np.searchsorted(keys, ordinal, side="right")) - 1
        pts = int(packets.pts[ordinal])
        # A keyframe without a time may be shown later, too.
        while at > 0 and pts != UNSET and (shown[at] == UNSET or shown[at] > pts):
            at -= 1
        begins[place] = keys[at] if at >= 0 else 0
    return begins

"""What a container holds, read without decoding: each packet's times and flags, in numpy.

Two orders matter. Packets are stored in *decode order*, and a packet's place there is its ordinal.
Frames are shown in *presentation order*, by pts; ``ordinals`` leads from the second to the first.
Times stay the container's own: nothing is shifted to zero. Where they lack, are made up or jump back, a
warning says what is used instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from serve_app.video.packets import UNSET, Packets
from serve_app.video.times import NEAR, continued, decoding_times, filled, made_up

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

__all__ = ["UNSET", "Header", "Packets", "VideoIndex", "build", "listed"]

FALLBACK_FRAME_S = 0.04


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VideoIndex:
    """The frames of one stream in presentation order; arrays of shape (N,).

    ``pts_seconds`` is float64 in seconds; ``ordinals`` is int64, each frame's packet. Where ``timed`` is
    false the container gave no usable pts: the times are counted from the frame rate, or are those of
    decoding, and ``ordinals`` number the decoder's output instead of its input. ``covers_header``: the
    frames last as long as the container says, to within a tenth of a second. ``promised_end_seconds`` is
    where they would end by the container's word, and never before they do.
    """

    packets: Packets
    pts_seconds: NDArray[np.float64]
    ordinals: NDArray[np.int64]
    end_seconds: float
    timed: bool = True
    covers_header: bool = True
    promised_end_seconds: float = 0.0
    warnings: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ordinals)

    @property
    def start_seconds(self) -> float:
        """The first frame's pts."""
        return float(self.pts_seconds[0])

    @property
    def duration_seconds(self) -> float:
        """From the first frame's pts to the end of the last."""
        return max(0.0, self.end_seconds - self.start_seconds)

    @property
    def fps(self) -> float | None:
        """Average frames per second; ``None`` for a single frame."""
        shown = float(self.pts_seconds[-1]) - self.start_seconds
        return (len(self) - 1) / shown if shown > 0 else None

    @property
    def keyframes(self) -> NDArray[np.int64]:
        """Which frames are marked as keyframes: indices, rising; none where times are counted."""
        if not self.timed:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.packets.keyframe[self.ordinals]).astype(np.int64)

    def shown_at(self, seconds: float) -> int:
        """The index of the frame on screen at a time; ``ValueError`` outside the video."""
        if not self.start_seconds <= seconds < self.end_seconds:
            allowed = f"from {self.start_seconds:.3f} s to {self.end_seconds:.3f} s, the end not included"
            raise ValueError(f"no frame is shown at {seconds:g} s; allowed: {allowed}")
        return int(np.searchsorted(self.pts_seconds, seconds, side="right")) - 1

    def only(self, shown: NDArray[np.int64]) -> VideoIndex:
        """The index without the frames whose ordinals are not among ``shown``."""
        keep = np.isin(self.ordinals, shown)
        return replace(self, pts_seconds=self.pts_seconds[keep], ordinals=self.ordinals[keep])

    def __repr__(self) -> str:
        return f"VideoIndex({len(self)} frames, {self.start_seconds:.3f} s to {self.end_seconds:.3f} s)"


@dataclass(frozen=True, slots=True)
class Header:
    """What the container claims beside its packets; ``None`` where it claims nothing.

    ``nominal_fps`` is what the codec's own headers say; it counts where packets have no times. With
    ``guesses`` the container stores no pts, and FFmpeg's are made up for this codec.
    """

    frames: int | None = None
    duration_s: float | None = None
    fps: float | None = None
    nominal_fps: float | None = None
    reorders: bool = False
    guesses: bool = False


def build(packets: Packets, time_base: Fraction, header: Header) -> VideoIndex:
    """The index of ``packets``; ``ValueError`` if no packet can be shown."""
    packets, joins = continued(packets, time_base)
    shown = _showable(packets)
    if not shown.any():
        raise ValueError("no packet can be shown")
    index = _index(packets, shown, time_base, header)
    covers = header.duration_s is not None and index.duration_seconds > header.duration_s - 0.1
    promised = index.start_seconds + (header.duration_s or 0.0)
    until = max(index.end_seconds, promised)
    said = (*_jumped(index, joins), *index.warnings, *_complaints(index, header))
    return replace(index, covers_header=covers, promised_end_seconds=until, warnings=said)


def _index(packets: Packets, shown: NDArray[np.bool_], time_base: Fraction, header: Header) -> VideoIndex:
    if header.guesses and header.reorders and made_up(packets, shown):
        return _by_dts(packets, shown, time_base, header)
    timed, said = filled(packets, shown, reorders=header.reorders)
    if timed is None:
        return _counted(packets, shown, time_base, header)
    index = _timed(timed, shown & (timed.pts != UNSET), time_base, header)
    return replace(index, warnings=(said,) if said else ())


def _jumped(index: VideoIndex, joins: tuple[int, ...]) -> tuple[str, ...]:
    if not joins:
        return ()
    times = "time" if len(joins) == 1 else "times"
    text = f"the container's times jump back {len(joins)} {times}"
    return (text + (": what follows is shifted behind what precedes" if index.timed else ""),)


def listed(pts_seconds: NDArray[np.float64], end_seconds: float | None = None) -> VideoIndex:
    """The index of images that are frames, each a keyframe, at rising times, shape (N,), N at least 1.

    Without ``end_seconds`` the last one lasts as long as the others mostly do.
    """
    count = len(pts_seconds)
    order, none = np.arange(count, dtype=np.int64), np.zeros(count, np.int64)
    packets = Packets(order, order, none, none, none == 0, none > 0, none > 0)
    end = float(pts_seconds[-1]) + _usual_gap(pts_seconds, Header()) if end_seconds is None else end_seconds
    return VideoIndex(packets, pts_seconds, order, end, promised_end_seconds=end)


def _showable(packets: Packets) -> NDArray[np.bool_]:
    # Packets before the first keyframe lack what they refer to: a recording joined in the middle.
    first = int(np.argmax(packets.keyframe)) if packets.keyframe.any() else 0
    return (np.arange(len(packets)) >= first) & ~packets.hidden


def _timed(packets: Packets, shown: NDArray[np.bool_], time_base: Fraction, header: Header) -> VideoIndex:
    ordinals = np.flatnonzero(shown).astype(np.int64)
    ordinals = ordinals[np.argsort(packets.pts[ordinals], kind="stable")]
    seconds = _seconds(packets.pts[ordinals], time_base)
    last = float(packets.duration[ordinals[-1]] * time_base)
    end = float(seconds[-1]) + (last if last > 0 else _usual_gap(seconds, header))
    return VideoIndex(packets, seconds, ordinals, end)


def _seconds(ticks: NDArray[np.int64], time_base: Fraction) -> NDArray[np.float64]:
    return (ticks.astype(np.float64) * time_base.numerator / time_base.denominator).astype(np.float64)


def _usual_gap(seconds: NDArray[np.float64], header: Header) -> float:
    gaps = np.diff(seconds)
    gaps = np.sort(gaps[gaps > 0])
    if len(gaps):
        # np.median would import more of numpy when it is first called; the decoding process may not.
        return float(gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2
    return 1 / header.fps if header.fps else FALLBACK_FRAME_S


def _by_dts(packets: Packets, shown: NDArray[np.bool_], time_base: Fraction, header: Header) -> VideoIndex:
    # One frame is shown for each that is decoded, so the n-th in either order has the n-th time.
    seconds = _seconds(decoding_times(packets, shown), time_base)
    ordinals = np.arange(len(seconds), dtype=np.int64)
    end = float(seconds[-1]) + _usual_gap(seconds, header)
    said = "the container stores no presentation times: frames are counted, and have the times of decoding"
    return VideoIndex(packets, seconds, ordinals, end, timed=False, warnings=(said,))


def _counted(packets: Packets, shown: NDArray[np.bool_], time_base: Fraction, header: Header) -> VideoIndex:
    fps = header.nominal_fps or header.fps
    frame_s = 1 / fps if fps else FALLBACK_FRAME_S
    pts = packets.pts[shown]
    frame_s = _measured(pts, time_base, frame_s)
    start = float(pts[0] * time_base) if pts[0] != UNSET else 0.0
    ordinals = np.arange(len(pts), dtype=np.int64)
    seconds = (start + ordinals * frame_s).astype(np.float64)
    lacking = int((pts == UNSET).sum())
    lack = (
        "the container has no usable pts"
        if lacking == len(pts)
        else f"{lacking} of {len(pts)} packets have no pts"
    )
    said = f"{lack}; times are counted at {1 / frame_s:.3f} fps" + (f" from {start:.3f} s" if start else "")
    end = start + len(pts) * frame_s
    return VideoIndex(packets, seconds, ordinals, end, timed=False, warnings=(said,))


def _measured(pts: NDArray[np.int64], time_base: Fraction, frame_s: float) -> float:
    # FFmpeg's rate may be a guess: the few times that there are know better, if they are far enough apart.
    known = np.flatnonzero(pts != UNSET)
    if len(known) < 2 or known[-1] - known[0] < 2 * NEAR:  # a distance takes two
        return frame_s
    span = (int(pts[known[-1]]) - int(pts[known[0]])) * time_base
    found = float(span) / int(known[-1] - known[0])
    return found if found > 0 and abs(found - frame_s) > frame_s / 4 else frame_s


def _complaints(index: VideoIndex, header: Header) -> tuple[str, ...]:
    said: list[str] = []
    found, seconds = len(index.packets), index.duration_seconds
    if not index.packets.keyframe.any():
        said.append("no packet is marked as a keyframe")
    # For an edit list FFmpeg gives packets twice or not at all: no lie of the header.
    if header.frames is not None and header.frames != found and not index.packets.hidden.any():
        said.append(f"the header says {header.frames} frames, {found} were found")
    if header.duration_s is None:
        said.append(f"the header names no duration, {seconds:.3f} s were found")
    elif abs(header.duration_s - seconds) > max(0.5, 0.02 * seconds):
        said.append(f"the header says {header.duration_s:.3f} s, the frames cover {seconds:.3f} s")
    fps = index.fps
    if header.fps is None:
        said.append("the header names no frame rate")
    elif fps is not None and index.timed and abs(header.fps - fps) > 0.05 * fps:
        said.append(f"the header says {header.fps:.3f} fps, the frames average {fps:.3f} fps")
    return tuple(said)

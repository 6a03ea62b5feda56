"""What may be used of a damaged video: frames that damage cannot have reached.

A decoder carries on after damage and hands out pictures made from what it lacks. Most of them are not
marked, so a frame is trusted by what it refers to, and not by how it came out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve_app.errors import VideoUnreadableError
from serve_app.video.coverage import spoiled
from serve_app.video.times import NEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.video.canvas import Canvas
    from serve_app.video.container import VideoContainer
    from serve_app.video.plan import Plan

ONE_FRAME_EACH = frozenset({"h264", "hevc"})  # a packet without a frame is a damaged one


@dataclass(frozen=True, slots=True)
class Damage:
    """Ordinals of packets that were refused or came out broken, and of those that silently never came out."""

    told: frozenset[int]
    silent: frozenset[int]

    @property
    def any(self) -> bool:
        """Whether there is damage at all."""
        return bool(self.told or self.silent)


def damage_seen(video: VideoContainer, canvas: Canvas, steps: Plan) -> Damage:
    """What was met on the way; ``steps`` were executed to their end."""
    index = canvas.index
    lacking = np.flatnonzero(index.packets.corrupt).tolist()
    met = {o for o in lacking if any(step.start <= o <= step.last for step in steps.stretches)}
    told = frozenset(canvas.corrupt.union(video.refused, met))
    if not index.timed or video.codec not in ONE_FRAME_EACH or not video.one_packet_each:
        return Damage(told, frozenset())
    shown, pts = set(index.ordinals.tolist()), index.packets.pts
    silent = {
        ordinal
        for step in steps.stretches
        for ordinal in range(step.start, step.last + 1)
        # Pictures shown before a keyframe, though stored after it, may refer to what lies before it.
        if ordinal in shown and ordinal not in canvas.seen and pts[ordinal] >= pts[step.start]
    }
    return Damage(told, frozenset(silent - told - video.unreferenced))


def unreached(canvas: Canvas, damage: Damage) -> bool:
    """Whether every chosen frame came out, and none may refer to what a decoder said is damaged."""
    return canvas.complete and not (damage.told and _reached(canvas, damage.told).any())


def whole(canvas: Canvas, damage: Damage) -> Canvas:
    """The canvas if it is complete and unreached; ``VideoUnreadableError`` that counts the frames if not."""
    if not canvas.complete:
        raise VideoUnreadableError(
            f"{len(canvas.painted)} of {len(canvas.chosen)} chosen frames could be decoded"
        )
    hit = int(_reached(canvas, damage.told).sum()) if damage.told else 0
    if hit:
        raise VideoUnreadableError(
            f"{hit} of {len(canvas.chosen)} chosen frames refer to packets that could not be decoded"
        )
    return canvas


def warn(canvas: Canvas, damage: Damage) -> Canvas:
    """The canvas with a word on packets that silently never came out: no decoder tells what that spoils."""
    if damage.silent:
        canvas.warnings.append(
            f"{len(damage.silent)} packets showed no frame: frames that refer to them may be wrong"
        )
    return canvas


def leave_out(canvas: Canvas, damage: Damage) -> Canvas:
    """The canvas without what damage may have reached; ``VideoUnreadableError`` if nothing is left."""
    ordinals = canvas.index.ordinals[canvas.chosen]
    never = np.array([ordinal not in canvas.painted for ordinal in ordinals.tolist()])
    canvas.lost = never | _reached(canvas, damage.told | damage.silent)
    left = np.flatnonzero(~canvas.lost)
    if not len(left):
        raise VideoUnreadableError(f"none of {len(ordinals)} chosen frames could be decoded whole")
    if len(left) < len(ordinals):
        canvas.warnings.append(
            f"{len(ordinals) - len(left)} of {len(ordinals)} chosen frames are lost to damage and left out"
        )
    # One after the other: the frames may take most of the memory that there is.
    for row, old in enumerate(left.tolist()):
        if row != old:
            canvas.pixels[row] = canvas.pixels[old]
    canvas.pixels = canvas.pixels[: len(left)]
    return canvas


def _reached(canvas: Canvas, damage: frozenset[int]) -> NDArray[np.bool_]:
    index = canvas.index
    ordinals = index.ordinals[canvas.chosen]
    if index.timed:
        return spoiled(index, ordinals, damage, canvas.intact)
    # Without times frames are counted, and nobody knows how many are missing. Packets that were decoded
    # later may have been shown before, but by so many frames at most.
    return ordinals >= min(damage, default=len(index) + NEAR) - NEAR

"""What may be used of a damaged video: frames that damage cannot have reached.

A decoder carries on after damage and hands out pictures made from what it lacks. Most of them are not
marked, so a frame is trusted by what it refers to, and not by how it came out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serve_app.errors import VideoUnreadableError
from serve_app.video.coverage import spoiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.video.canvas import Canvas
    from serve_app.video.container import VideoContainer
    from serve_app.video.plan import Plan

ONE_FRAME_EACH = frozenset({"h264", "hevc"})  # a packet without a frame is a damaged one


def damage_seen(video: VideoContainer, canvas: Canvas, steps: Plan) -> frozenset[int]:
    """Ordinals of packets that were refused, came out broken, or should have come out and did not.

    ``steps`` were executed to their end.
    """
    found = frozenset(canvas.corrupt.union(video.refused))
    index = canvas.index
    if not index.timed or video.codec not in ONE_FRAME_EACH or not video.one_packet_each:
        return found
    shown, pts = set(index.ordinals.tolist()), index.packets.pts
    silent = {
        ordinal
        for step in steps.stretches
        for ordinal in range(step.start, step.last + 1)
        # Pictures shown before a keyframe, though stored after it, may refer to what lies before it.
        if ordinal in shown and ordinal not in canvas.seen and pts[ordinal] >= pts[step.start]
    }
    return found | silent


def leave_out(canvas: Canvas, damage: frozenset[int]) -> Canvas:
    """The canvas without what damage may have reached; ``VideoUnreadableError`` if nothing is left."""
    ordinals = canvas.index.ordinals[canvas.chosen]
    never = np.array([ordinal not in canvas.painted for ordinal in ordinals.tolist()])
    canvas.lost = never | _reached(canvas, damage)
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
    # Without times frames are counted, and nobody knows how many are missing.
    return ordinals >= min(damage, default=len(index))

"""A model's own arithmetic: which frames it takes of a video, and what they cost it. Pure.

At a constant frame rate the indices are the model's own, computed as its loader computes them. Loaders
count frames, which at a variable rate is another time than they think: there the same places are taken
in time instead. Sizes are in :mod:`serve_app.video.geometry`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

import numpy as np

from serve_app.schema import FrameFacts
from serve_app.settings.profile import FrameTokens, PatchTokens, PixelTokens, TileTokens
from serve_app.video.sampling import bounded, each_once, middles, shown_at, shown_between, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_app.settings.profile import FrameRule, ModelProfile, TokenRule
    from serve_app.video.frames import Frames

RATE_DENOMINATOR = 1001  # 24000/1001, 30000/1001, 60000/1001


def model_frames(
    pts_seconds: NDArray[np.float64],
    end_seconds: float,
    rule: FrameRule,
    start_s: float | None = None,
    end_s: float | None = None,
) -> NDArray[np.int64]:
    """Indices of the frames that the rule takes of a range; arguments and errors as ``choose``."""
    first, stop = shown_between(pts_seconds, end_seconds, start_s, end_s)
    part = pts_seconds[first:stop]
    end = float(pts_seconds[stop]) if stop < len(pts_seconds) else end_seconds
    if steady(part, end):
        fps = frame_rate(pts_seconds)
        return first + placed(rule, len(part), frame_count(rule, len(part), fps), fps)
    average = len(part) / (end - float(part[0]))
    return first + _placed_in_time(rule, part, end, frame_count(rule, len(part), average))


def frame_rate(pts_seconds: NDArray[np.float64]) -> float:
    """Frames per second from the first to the last, without the noise of adding up seconds."""
    gaps, seconds = len(pts_seconds) - 1, float(pts_seconds[-1] - pts_seconds[0])
    if gaps == 0 or seconds <= 0:
        return 1.0
    rate = gaps / seconds
    near = float(Fraction(rate).limit_denominator(RATE_DENOMINATOR))
    return near if abs(near - rate) <= 1e-6 * rate and near > 0 else rate


def steady(pts_seconds: NDArray[np.float64], end_seconds: float) -> bool:
    """Whether each frame is nearer to its place at a constant rate than to its neighbours'.

    The last one may be shown for two: containers leave its end to guesses. A single frame is none.
    """
    total = len(pts_seconds)
    if total == 1:
        return False
    ideal = np.linspace(pts_seconds[0], pts_seconds[-1], total)
    gap = (pts_seconds[-1] - pts_seconds[0]) / (total - 1)
    return bool(np.abs(pts_seconds - ideal).max() < 0.5 * gap and end_seconds - pts_seconds[-1] < 2.5 * gap)


def frame_count(rule: FrameRule, total: int, fps: float) -> int:
    """How many of ``total`` frames at ``fps`` frames per second; at least 1, at most ``total``."""
    factor = rule.frame_factor
    if rule.num_frames is not None:
        count = min(round(rule.num_frames / factor) * factor, total // factor * factor)
        return max(count, min(total, factor))
    wanted = total / fps * (rule.fps or 1.0)
    return bounded(round(wanted) if rule.rounding == "nearest" else wanted, total, rule)


def placed(rule: FrameRule, total: int, count: int, fps: float) -> NDArray[np.int64]:
    """Indices of ``count`` of ``total`` frames, rising, each once."""
    first, last = _kept(rule, total, fps)
    match rule.placing:
        case "ends":
            return each_once(np.linspace(first, last, count).round().astype(np.int64))
        case "ends_down":
            return each_once(np.linspace(first, last, count, dtype=np.int64))
        case "starts":
            return first + np.arange(count, dtype=np.int64) * (last - first + 1) // count
        case "middles":
            halves = 2 * np.arange(count, dtype=np.int64) + 1
            return first + halves * (last - first + 1) // (2 * count)
        case _:
            assert_never(rule.placing)


def _kept(rule: FrameRule, total: int, fps: float) -> tuple[int, int]:
    """First and last frame of what is left after the ends are skipped, as SmolVLM's processor counts."""
    skip, seconds = rule.skip_s, total / fps
    if skip > 0 and seconds - 2 * skip > rule.max_frames * (rule.fps or 1.0):
        first, last = int(skip * fps), min(int(total - skip * fps), total - 1)
        if first < last:
            return first, last
    return 0, total - 1


def _placed_in_time(rule: FrameRule, part: NDArray[np.float64], end: float, count: int) -> NDArray[np.int64]:
    low, high, total = float(part[0]), float(part[-1]), len(part)
    if rule.skip_s > 0 and end - low - 2 * rule.skip_s > rule.max_frames * (rule.fps or 1.0):
        low, high, end = low + rule.skip_s, high - rule.skip_s, end - rule.skip_s
    match rule.placing:
        case "ends" if rule.skip_s == 0:
            return spread(part, count)
        case "ends" | "ends_down":
            return each_once(shown_at(part, np.linspace(low, high, count)))
        case "starts":
            return each_once(shown_at(part, low + np.arange(count, dtype=np.float64) * ((end - low) / count)))
        case "middles":
            return middles(part, low, end, count) if count < total else np.arange(total, dtype=np.int64)
        case _:
            assert_never(rule.placing)


def visual_tokens(rule: TokenRule, frames: int, width: int, height: int) -> int:
    """Tokens of ``frames`` frames of that size, without the text around them."""
    match rule:
        case PatchTokens():
            patches = (height // rule.factor) * (width // rule.factor)
            return math.ceil(frames / rule.temporal_factor) * patches
        case FrameTokens():
            return frames * rule.per_frame + rule.per_video
        case TileTokens():
            tiles = math.ceil(width / rule.tile) * math.ceil(height / rule.tile)
            return frames * (tiles * rule.per_tile + rule.per_frame)
        case PixelTokens():
            return frames * math.ceil(width * height / rule.pixels_per_token)
        case _:
            assert_never(rule)


def facts_of(frames: Frames, profile: ModelProfile | None) -> FrameFacts:
    """What a record says of its frames."""
    count, height, width, _ = frames.data.shape
    return FrameFacts(
        pts_seconds=frames.pts_seconds.tolist(),
        width=width,
        height=height,
        profile=profile.name if profile is not None else None,
        visual_tokens=visual_tokens(profile.tokens, count, width, height) if profile is not None else None,
    )

"""Light, colours, motion and cuts of a few frames: plain arithmetic on pixels.

Light is mean luma (ITU-R BT.709 weights on the gamma-coded values, 0 to 1). A colour's name is its nearest
neighbour in CIELAB (CIE 1976, D65 white; sRGB decoding as in IEC 61966-2-1) among the names below. A cut is
a jump of the colour histogram between neighbouring frames; motion is the mean absolute difference of luma
between neighbours that are no cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 64  # frames are thinned to at most so many pixels a side
LUMA = np.array([0.2126, 0.7152, 0.0722])
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
NAMED = {
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
    "red": (220, 20, 30),
    "orange": (255, 140, 0),
    "yellow": (255, 230, 40),
    "green": (30, 150, 50),
    "cyan": (40, 210, 215),
    "blue": (30, 60, 220),
    "purple": (125, 40, 160),
    "pink": (255, 130, 190),
    "brown": (120, 70, 30),
}
NAMES = tuple(NAMED)
LIGHT = ((0.08, "black"), (0.25, "dark"), (0.45, "dim"), (0.7, "bright"), (np.inf, "very bright"))
MOTION = ((0.002, "no"), (0.015, "little"), (0.06, "moderate"), (np.inf, "much"))
MAIN_SHARE = 0.15
MAX_COLOURS = 3
CUT = 0.5
BINS = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found, in words; ``colours`` begin with the most frequent."""

    light: str
    colours: tuple[str, ...]
    motion: str
    cuts: int


def measure(frames: np.ndarray) -> Measured:
    """Measure ``frames`` (uint8, T x H x W x 3, RGB, T at least 1)."""
    thin = _thinned(frames)
    luma = thin @ LUMA / 255
    jumps = _jumps(thin) > CUT
    return Measured(
        light=_word(float(luma.mean()), LIGHT),
        colours=_colours(thin),
        motion=_word(_motion(luma, jumps), MOTION),
        cuts=int(jumps.sum()),
    )


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB colours (… x 3, 0 to 255)."""
    coded = np.asarray(rgb, dtype=float) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    ratio = linear @ TO_XYZ.T / WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


ANCHORS = lab(np.array(list(NAMED.values())))


def _thinned(frames: np.ndarray) -> np.ndarray:
    _, height, width, _ = frames.shape
    return frames[:, :: -(-height // SIDE), :: -(-width // SIDE)]


def _colours(thin: np.ndarray) -> tuple[str, ...]:
    # A histogram of few bins first: naming its centres is cheaper than naming every pixel.
    coarse = (thin >> 4).reshape(-1, 3).astype(np.int32)
    codes, counts = np.unique(coarse @ np.array([256, 16, 1]), return_counts=True)
    centres = np.stack([codes >> 8, (codes >> 4) & 15, codes & 15], axis=-1) * 17
    nearest = np.linalg.norm(lab(centres)[:, None] - ANCHORS[None], axis=-1).argmin(axis=1)
    shares = np.bincount(nearest, weights=counts, minlength=len(NAMES)) / counts.sum()
    order = np.argsort(-shares, kind="stable")[:MAX_COLOURS]
    main = [NAMES[i] for i in order if shares[i] >= MAIN_SHARE]
    return tuple(main) or (NAMES[order[0]],)


def _jumps(thin: np.ndarray) -> np.ndarray:
    # Half the L1 distance of neighbouring histograms: 0 for equal colours, 1 for none in common.
    codes = (thin // (256 // BINS)).astype(np.int32) @ np.array([BINS * BINS, BINS, 1])
    histograms = np.stack([np.bincount(c.ravel(), minlength=BINS**3) / c.size for c in codes])
    jumps: np.ndarray = np.abs(np.diff(histograms, axis=0)).sum(axis=1) / 2
    return jumps


def _motion(luma: np.ndarray, jumps: np.ndarray) -> float:
    changes = np.abs(np.diff(luma, axis=0)).mean(axis=(1, 2))[~jumps]
    return float(changes.mean()) if changes.size else 0.0


def _word(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    return next(word for bound, word in steps if value < bound)

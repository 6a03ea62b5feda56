"""Videos and settings by the thousand, the same on every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

RATES = (10, 15, 24, 25, 30, 48, 50, 60, 120, 24_000 / 1001, 30_000 / 1001, 60_000 / 1001, 12.5, 1)


@dataclass(frozen=True)
class Clip:
    """A video as a loader knows it."""

    total: int
    fps: float
    width: int
    height: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.total / self.fps


def below(dice: random.Random, most: int) -> int:
    """A whole number from 1 to ``most``, small ones as likely as large ones."""
    return min(most, int(most ** dice.random() + dice.random()) or 1)


def clips(seed: int, count: int, most_frames: int = 200_000) -> Iterator[tuple[random.Random, Clip]]:
    """Clips of all lengths, rates and sizes, and the dice for what else a case needs."""
    dice = random.Random(seed)
    for _ in range(count):
        rate = dice.choice(RATES) if dice.random() < 0.8 else dice.uniform(0.2, 240)
        width = below(dice, 8000)
        height = below(dice, 8000) if dice.random() < 0.2 else max(1, int(width * dice.uniform(0.3, 3)))
        yield dice, Clip(below(dice, most_frames), rate, width, height)

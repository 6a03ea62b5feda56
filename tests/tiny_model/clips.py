"""Clips that the tiny model is trained and tested on: a coloured square that moves over a ground.

A caption states the colour, the direction and the length. Pictures alone do not tell the length: how far
the square goes, how many frames are taken and how large they are does not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# With its channels swapped each of them is another one.
COLOURS = {
    "red": (220, 40, 40),
    "orange": (240, 140, 30),
    "yellow": (235, 225, 50),
    "cyan": (50, 225, 235),
    "azure": (30, 140, 240),
    "blue": (40, 40, 220),
}
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
LENGTHS = (1, 2, 4, 8)
SIDES = (112, 140, 168, 196, 224)  # of a picture, in multiples of what the model sees as one token
LEAST_TRAVEL = 36


@dataclass(frozen=True)
class Clip:
    """What a clip shows. ``start`` is the square's upper left corner at first, ``travel`` its way in pixels.

    ``length`` is what the caption says, ``seconds`` what is nearly that. ``texture`` is how much the ground
    varies from block to block, ``noise`` from frame to frame.
    """

    colour: str
    direction: str
    length: int
    seconds: float
    fps: int
    width: int
    height: int
    side: int
    start: tuple[int, int]
    travel: int
    ink: tuple[int, int, int]
    ground: tuple[int, int, int]
    texture: int
    block: int
    noise: int
    seed: int

    @property
    def caption(self) -> str:
        """The one right caption."""
        return caption(self.colour, self.direction, self.length)

    @property
    def total(self) -> int:
        """How many frames there are."""
        return round(self.seconds * self.fps)

    @cached_property
    def background(self) -> NDArray[np.int16]:
        """The ground without the square."""
        rows, columns = -(-self.height // self.block), -(-self.width // self.block)
        random = np.random.default_rng(self.seed)
        cells = random.integers(-self.texture, self.texture + 1, (rows, columns, 1), dtype=np.int16)
        texture = cells.repeat(self.block, axis=0).repeat(self.block, axis=1)[: self.height, : self.width]
        return texture + np.array(self.ground, dtype=np.int16)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``: uint8, H x W x 3, RGB."""
        (x, y), (right, down) = self.start, DIRECTIONS[self.direction]
        way = round(self.travel * index / max(1, self.total - 1))
        left, top = x + right * way, y + down * way
        picture = self.background.copy()
        picture[top : top + self.side, left : left + self.side] = self.ink
        if self.noise:
            random = np.random.default_rng((self.seed, index))
            picture += random.integers(0, 2 * self.noise + 1, picture.shape, dtype=np.uint8)
            picture -= self.noise
        return np.clip(picture, 0, 255).astype(np.uint8)

    def pictures(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Some frames: uint8, T x H x W x 3, RGB."""
        return np.stack([self.picture(index) for index in indices])


def caption(colour: str, direction: str, length: int) -> str:
    """What is said of such a clip."""
    return f"a {colour} square moves {direction} for {length} {'second' if length == 1 else 'seconds'}"


def draw(random: np.random.Generator, width: int, height: int, frames: int = 4) -> Clip:
    """A clip by chance, of that size and with at least ``frames`` frames."""
    length = int(random.choice(LENGTHS))
    seconds = length * random.uniform(0.95, 1.05)
    least = max(8, int(frames / seconds) + 2)
    direction = str(random.choice(list(DIRECTIONS)))
    side = int(random.integers(36, min(64, int(0.45 * min(width, height))) + 1))
    start, travel = _way(random, DIRECTIONS[direction], (width - side, height - side))
    colour = str(random.choice(list(COLOURS)))
    grey = int(random.integers(20, 190))
    return Clip(
        colour=colour,
        direction=direction,
        length=length,
        seconds=seconds,
        fps=int(random.integers(least, max(least, 30) + 1)),
        width=width,
        height=height,
        side=side,
        start=start,
        travel=travel,
        ink=_near(random, COLOURS[colour], 15),
        ground=_near(random, (grey, grey, grey), 10),
        texture=int(random.choice((0, 0, 10, 30))),
        block=int(random.choice((2, 4, 8, 16))),
        noise=int(random.choice((0, 2, 5, 10))),
        seed=int(random.integers(2**31)),
    )


def _way(
    random: np.random.Generator, direction: tuple[int, int], room: tuple[int, int]
) -> tuple[tuple[int, int], int]:
    """Where the square begins and how far it goes, so that it stays in the picture."""
    along = 0 if direction[0] else 1
    travel = int(random.integers(LEAST_TRAVEL, room[along] + 1))
    first = int(random.integers(0, room[along] - travel + 1))
    across = int(random.integers(0, room[1 - along] + 1))
    begin = first if direction[along] > 0 else first + travel
    return ((begin, across) if along == 0 else (across, begin)), travel


def _near(random: np.random.Generator, colour: tuple[int, int, int], spread: int) -> tuple[int, int, int]:
    red, green, blue = (int(np.clip(part + random.integers(-spread, spread + 1), 0, 255)) for part in colour)
    return red, green, blue


def spread(total: int, count: int) -> list[int]:
    """``count`` of ``total`` indices, from the first to the last, as Qwen's loader takes them."""
    return [round(index) for index in np.linspace(0, total - 1, count)]


def fresh(seed: int, count: int) -> list[Clip]:
    """``count`` clips of all sizes, the same for the same seed."""
    random = np.random.default_rng(seed)
    return [draw(random, *(int(side) for side in random.choice(SIDES, 2))) for _ in range(count)]

"""What is asked for, from a seed: mostly videos, some that need a retry, some that must fail; no I/O."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import Enum

MAX_ATTEMPTS = 4
LONGEST_DELAY_S = 1.2


class Way(Enum):
    """How a request fares where nothing is killed."""

    VIDEO = "video"
    FLAKY = "flaky"  # its first fetch is answered with 503
    DOWN = "down"  # every fetch is
    MISSING = "missing"
    BROKEN = "broken"  # bytes that are no video
    MALFORMED = "malformed"  # its value is no request

    @property
    def captioned(self) -> bool:
        """Whether it ends as a caption."""
        return self in (Way.VIDEO, Way.FLAKY)

    @property
    def fetches(self) -> int:
        """How often it is fetched."""
        return {Way.FLAKY: 2, Way.DOWN: MAX_ATTEMPTS, Way.MALFORMED: 0}.get(self, 1)


@dataclass(frozen=True, slots=True)
class ClipShape:
    """A clip, and how often it is asked for among all."""

    name: str
    seconds: float
    size: tuple[int, int]
    weight: int


SHAPES = (
    ClipShape("tiny.mp4", 1, (320, 240), 30),
    ClipShape("small.mp4", 3, (640, 360), 35),
    ClipShape("wide.mp4", 5, (960, 540), 25),
    ClipShape("large.mp4", 10, (1280, 720), 10),
)
WAYS = {Way.VIDEO: 86, Way.FLAKY: 6, Way.MISSING: 3, Way.BROKEN: 2, Way.DOWN: 1, Way.MALFORMED: 2}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; its source waits ``delay_ms`` before it answers."""

    name: str
    way: Way
    clip: str
    delay_ms: int

    @property
    def path(self) -> str:
        """Where its video is at the source."""
        return f"/{self.name}/{self.way.value}/{self.delay_ms}/{self.clip}"

    def value(self, base_url: str) -> bytes:
        """The record's value."""
        if self.way is Way.MALFORMED:
            return f"{self.name} is no request".encode()
        return json.dumps({"id": self.name, "url": base_url + self.path}).encode()


def ask_at(path: str) -> Ask:
    """The request whose video is at this path."""
    _, name, way, delay_ms, clip = path.split("/")
    return Ask(name, Way(way), clip, int(delay_ms))


def asks(count: int, noise: random.Random) -> tuple[Ask, ...]:
    """So many requests."""
    ways = noise.choices(list(WAYS), list(WAYS.values()), k=count)
    shapes = noise.choices(SHAPES, [shape.weight for shape in SHAPES], k=count)
    return tuple(
        Ask(f"r{number:05}", way, shape.name, round(1000 * noise.uniform(0, LONGEST_DELAY_S)))
        for number, (way, shape) in enumerate(zip(ways, shapes, strict=True))
    )

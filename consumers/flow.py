"""When to stop fetching and when to go on: two bounds, each with a lower mark to resume at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """Most records and bytes in flight; fetching resumes below ``resume_share`` of both, in (0, 1]."""

    max_count: int
    max_bytes: int
    resume_share: float


class FlowChange(Enum):
    """What to tell the Kafka client."""

    PAUSE = "pause"
    RESUME = "resume"
    NONE = "none"


class Flow:
    """Remembers whether fetching is paused, so that the client is told only of changes."""

    def __init__(self, limits: FlowLimits) -> None:
        self._limits = limits
        self.paused = False

    def room(self, count: int) -> int:
        """How many more records may be taken now."""
        return 0 if self.paused else max(0, self._limits.max_count - count)

    def regulate(self, count: int, size: int) -> FlowChange:
        """Decide with ``count`` records of ``size`` bytes in flight.

        One record above the byte bound is let through when nothing else is in flight: it must end
        somewhere.
        """
        limits = self._limits
        full = count >= limits.max_count or (count > 0 and size >= limits.max_bytes)
        low = (
            count <= limits.max_count * limits.resume_share and size <= limits.max_bytes * limits.resume_share
        )
        if not self.paused and full:
            self.paused = True
            return FlowChange.PAUSE
        if self.paused and (low or count == 0):
            self.paused = False
            return FlowChange.RESUME
        return FlowChange.NONE

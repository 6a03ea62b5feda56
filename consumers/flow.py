"""When to stop fetching and when to go on, and from which partitions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from consumers.settlement import Partition


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """Most records and bytes in flight; fetching resumes below ``resume_share`` of both, in (0, 1]."""

    max_count: int
    max_bytes: int
    resume_share: float


class Flow:
    """Two bounds, each with a lower mark to resume at."""

    def __init__(self, limits: FlowLimits) -> None:
        self._limits = limits
        self.paused = False

    def room(self, count: int) -> int:
        """How many more records may be taken now."""
        return 0 if self.paused else max(0, self._limits.max_count - count)

    def regulate(self, count: int, size: int) -> None:
        """Decide with ``count`` records of ``size`` bytes in flight.

        One record above the byte bound is let through when nothing else is in flight: it must end
        somewhere.
        """
        limits = self._limits
        full = count >= limits.max_count or (count > 0 and size >= limits.max_bytes)
        low = (
            count <= limits.max_count * limits.resume_share and size <= limits.max_bytes * limits.resume_share
        )
        if not self.paused:
            self.paused = full
        elif low or count == 0:
            self.paused = False


@dataclass(frozen=True, slots=True)
class PauseChange:
    """What to tell the Kafka client."""

    pause: frozenset[Partition]
    resume: frozenset[Partition]


class Pauses:
    """Remembers which partitions the client was told to pause, so that it is told only of changes.

    There are several reasons to pause a partition. Whoever calls unites them, and a partition is resumed
    when none is left: one reason that goes never lifts another's pause.
    """

    def __init__(self) -> None:
        self._told: frozenset[Partition] = frozenset()

    def forget(self, partitions: Collection[Partition]) -> None:
        """Note that the client fetches from these again, because they are newly assigned or gone."""
        self._told -= frozenset(partitions)

    def change(self, wanted: frozenset[Partition]) -> PauseChange:
        """What is to change so that exactly the wanted partitions are paused."""
        change = PauseChange(wanted - self._told, self._told - wanted)
        self._told = wanted
        return change

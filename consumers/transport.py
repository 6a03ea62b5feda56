"""What the consumer's loop asks of its Kafka clients, and what they answer: types only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from consumers.progress import Progress
from consumers.records import InputRecord
from consumers.settlement import Partition, Settlement, Ticket


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """No record is left below ``offset``, the one that the next record will have."""

    partition: Partition
    offset: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Everything is published and the positions are committed."""


@dataclass(frozen=True, slots=True)
class Published:
    """The outputs are published, the positions are not committed: they come again, without outputs."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSettled:
    """Nothing can be relied on; the same settlement is tried again later."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The broker takes everything but these, which exceed its record size; nothing is committed."""

    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class SettledLate:
    """An earlier settlement is published and committed after all; the one given was not tried."""

    settlement: Settlement


SettleOutcome = Settled | SettledLate | Published | NotSettled | TooLarge


class Rebalances(Protocol):
    """What the transport calls, inside ``poll``, when partitions come and go."""

    def assigned(self, found: Mapping[Partition, Progress]) -> None:
        """Partitions are ours now and fetched from, each from where the last owner left it."""

    def revoked(self, partitions: Collection[Partition]) -> None:
        """Partitions go away in good order: this is the last moment to settle."""

    def lost(self, partitions: Collection[Partition]) -> None:
        """Partitions are somebody else's already: nothing may be settled."""


class Transport(Protocol):
    """The Kafka clients. Every method is called on the loop's thread."""

    def subscribe(self, rebalances: Rebalances) -> None:
        """Join the group."""

    def poll(self, limit: int, timeout_s: float) -> list[InputRecord | PartitionEnd]:
        """Serve callbacks, and take up to ``limit`` records; with 0 nothing but callbacks."""

    def pause(self, partitions: Collection[Partition]) -> None:
        """Fetch no more from these."""

    def resume(self, partitions: Collection[Partition]) -> None:
        """Fetch from these again."""

    def settle(self, settlement: Settlement) -> SettleOutcome:
        """Publish and commit, within a bounded time."""

    def close(self) -> None:
        """Leave the group."""

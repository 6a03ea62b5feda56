"""What is published and committed together, and how its parts are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from consumers.records import OutputRecord

# Keys of every look-up in the ledger: a tuple is hashed five times as fast as a dataclass.


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class Ticket(NamedTuple):
    """One record in flight: its place, the assignment under which it was taken, and its past.

    ``crashes`` processes died while they worked on it.
    """

    partition: Partition
    offset: int
    epoch: int
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """What to commit for a partition: the first offset that is not done, and the text beside it.

    ``seen`` and ``alone`` repeat what the text says, see :mod:`consumers.progress`; ``epoch`` and
    ``version`` are those of the assignment which made it.
    """

    offset: int
    metadata: str = ""
    seen: int | None = None
    alone: int | None = None
    epoch: int = field(default=0, compare=False)
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be published and committed together.

    ``outputs`` are the finished records in the order of their finishing; ``positions`` what to commit
    for each partition once they are published.
    """

    outputs: Mapping[Ticket, tuple[OutputRecord, ...]]
    positions: Mapping[Partition, Position]

    def __bool__(self) -> bool:
        return bool(self.outputs or self.positions)

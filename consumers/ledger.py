"""Which offsets of each partition are done: the state behind every commit, without I/O.

Theory of operation. Records of a partition are taken in order and finish in any order. Every offset
from ``base`` up is in one of three states:

    begin(o)         finish(o, outputs)          apply(settlement)
    ────────> in flight ──────────────> ready ──────────────────> done

``ready`` means that what became of the record is known but not yet published; ``done`` that the broker
has it. ``base`` is the watermark: every offset below it is done, so it is the offset to commit. Offsets
that never arrive (control records, aborted or compacted data) are gaps: they are done as soon as a later
offset, or the end of the partition, is seen.

An assignment of a partition has an *epoch*. What finishes for an older epoch belongs to somebody else
by now and is dropped: the broker does not check that for us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from consumers.records import OutputRecord


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """One record in flight: its place, and the assignment under which it was taken."""

    partition: Partition
    offset: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be published and committed together.

    ``outputs`` are the finished records in the order of their finishing; ``positions`` the offset to
    commit for each partition once they are published.
    """

    outputs: Mapping[Ticket, tuple[OutputRecord, ...]]
    positions: Mapping[Partition, int]

    def __bool__(self) -> bool:
        return bool(self.outputs or self.positions)


@dataclass(slots=True)
class _PartitionState:
    epoch: int
    base: int
    seen: int
    committed: int
    sizes: dict[int, int] = field(default_factory=dict)  # of what is in flight or ready
    ready: dict[int, tuple[OutputRecord, ...]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)

    def close_gap(self, offset: int) -> None:
        # Between two records the broker keeps what no reader is shown.
        if offset > self.seen:
            self.done.update(range(self.seen, offset))
            self.seen = offset
            self.advance()

    def advance(self) -> None:
        while self.base in self.done:
            self.done.remove(self.base)
            self.base += 1

    def position(self) -> int:
        # The watermark as it will be once everything ready is done.
        offset = self.base
        while offset in self.done or offset in self.ready:
            offset += 1
        return offset


class Ledger:
    """All partitions that this consumer owns."""

    def __init__(self) -> None:
        self._partitions: dict[Partition, _PartitionState] = {}
        self._epoch = 0
        self._count = 0
        self._bytes = 0

    @property
    def in_flight(self) -> int:
        """Records begun and not yet done."""
        return self._count

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of their keys and values."""
        return self._bytes

    @property
    def partitions(self) -> frozenset[Partition]:
        """What is owned now."""
        return frozenset(self._partitions)

    def assign(self, partition: Partition, base: int) -> None:
        """Own a partition from ``base``, the first offset that is not done."""
        self.drop(partition)
        self._epoch += 1
        self._partitions[partition] = _PartitionState(self._epoch, base=base, seen=base, committed=base)

    def drop(self, partition: Partition) -> None:
        """Own it no longer; what is in flight or ready is forgotten and done elsewhere."""
        state = self._partitions.pop(partition, None)
        if state is not None:
            self._count -= len(state.sizes)
            self._bytes -= sum(state.sizes.values())

    def begin(self, partition: Partition, offset: int, size: int) -> Ticket | None:
        """Take a record in; ``None`` if the partition is not owned.

        An offset below one that was seen means that the log itself began again (a topic deleted and
        created anew): the partition is taken as newly assigned from there.
        """
        state = self._partitions.get(partition)
        if state is None:
            return None
        if offset < state.seen:
            self.assign(partition, offset)
            state = self._partitions[partition]
        state.close_gap(offset)
        state.seen = offset + 1
        state.sizes[offset] = size
        self._count += 1
        self._bytes += size
        return Ticket(partition, offset, state.epoch)

    def reach_end(self, partition: Partition, end: int) -> None:
        """Close the gap before ``end``, the offset that the next record will have."""
        state = self._partitions.get(partition)
        if state is not None:
            state.close_gap(end)

    def finish(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> bool:
        """Say what became of a record; ``False`` if its assignment is over, and nothing is to be done."""
        state = self._owned(ticket)
        if state is None or ticket.offset not in state.sizes or ticket.offset in state.ready:
            return False
        state.ready[ticket.offset] = outputs
        return True

    def replace(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        """Change what is to be published for a ready record."""
        state = self._owned(ticket)
        if state is not None and ticket.offset in state.ready:
            state.ready[ticket.offset] = outputs

    def settlement(self, among: Iterable[Partition] | None = None) -> Settlement:
        """Everything ready, and the positions to commit with it, of all or some partitions."""
        outputs: dict[Ticket, tuple[OutputRecord, ...]] = {}
        positions: dict[Partition, int] = {}
        for partition, state in self._chosen(among):
            outputs |= {Ticket(partition, o, state.epoch): made for o, made in state.ready.items()}
            if (position := state.position()) != state.committed:
                positions[partition] = position
        return Settlement(outputs, positions)

    def apply(self, settlement: Settlement, *, committed: bool) -> None:
        """Note that a settlement was published, and whether its positions were committed."""
        for ticket in settlement.outputs:
            state = self._owned(ticket)
            if state is not None and state.ready.pop(ticket.offset, None) is not None:
                state.done.add(ticket.offset)
                self._count -= 1
                self._bytes -= state.sizes.pop(ticket.offset)
        for _, state in self._chosen({ticket.partition for ticket in settlement.outputs}):
            state.advance()
        for partition, position in settlement.positions.items():
            if committed and partition in self._partitions:
                self._partitions[partition].committed = position

    def undone(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """Records below each partition's end that are not done, the ones finished out of order left out."""
        return {
            partition: max(0, ends[partition] - state.base - len(state.done))
            for partition, state in self._partitions.copy().items()
            if partition in ends
        }

    def watermarks(self) -> dict[Partition, int]:
        """The first offset of each partition that is not done."""
        return {partition: state.base for partition, state in self._partitions.copy().items()}

    def _owned(self, ticket: Ticket) -> _PartitionState | None:
        state = self._partitions.get(ticket.partition)
        return state if state is not None and state.epoch == ticket.epoch else None

    def _chosen(self, among: Iterable[Partition] | None) -> Iterator[tuple[Partition, _PartitionState]]:
        for partition in self._partitions if among is None else among:
            state = self._partitions.get(partition)
            if state is not None:
                yield partition, state

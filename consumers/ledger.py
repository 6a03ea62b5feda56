"""Which offsets of each partition are done: the state behind every commit, without I/O.

Theory of operation. Records of a partition are taken in order and finish in any order. Every offset
from the watermark up is in one of three states:

    begin(o)         finish(o, outputs)          apply(settlement)
    ────────> in flight ──────────────> ready ──────────────────> done

``ready`` means that what became of the record is known but not yet published; ``done`` that the broker
has it. Every offset below the watermark is done, so it is the offset to commit; which ones above it are
done is written beside it (:mod:`consumers.progress`). Offsets that never arrive (control records, aborted
or compacted data) are gaps: they are done as soon as a later offset, or the end of the partition, is seen.

An assignment of a partition has an *epoch*. What finishes for an older epoch belongs to somebody else
by now and is dropped: the broker does not check that for us.

A record that kills its process leaves no failure behind, only what was committed before. Therefore
nothing begins on a partition before it was committed that work begins there. Where a process died:

- what it had begun and not finished is suspect, and counts one crash, to below the limit;
- the next offsets are committed as *seen* before each begins, so that even a quick death is known;
- a suspect one crash below the limit is worked on alone: everything else in this process waits until it
  is finished. Only a crash then brings it to the limit, so that no neighbour is condemned with it.

Who comes to the limit begins with that count in its ticket, and is not to be worked on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from consumers.assignment import Assignment
from consumers.bitmap import WINDOW
from consumers.progress import Progress, encode
from consumers.records import OutputRecord
from consumers.settlement import Partition, Position, Settlement, Ticket

__all__ = ["Ledger", "Partition", "Position", "Refusal", "Settlement", "Ticket"]


class Refusal(Enum):
    """Why a record does not begin."""

    WAIT = "wait"  # offer it again, after the next settlement at the latest
    SKIP = "skip"  # it is finished already, or not ours


class Ledger:
    """All partitions that this consumer owns; ``crash_limit`` processes at most die with one record."""

    def __init__(self, crash_limit: int = 3) -> None:
        self._assignments: dict[Partition, Assignment] = {}
        self._left: dict[Partition, tuple[int, str]] = {}
        self._crash_limit = crash_limit
        self._epoch = 0
        self._count = 0
        self._bytes = 0
        self._running = 0
        self._alone: tuple[Partition, int] | None = None
        self.pressing = False
        """Whether a record waits for nothing but the next settlement."""

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
        return frozenset(self._assignments)

    def assign(self, partition: Partition, progress: Progress) -> None:
        """Own a partition from where the last owner left it.

        If that was this process, as when a broker is away for longer than a session, nobody died.
        """
        self.drop(partition)
        self._epoch += 1
        if self._left.pop(partition, None) == (progress.base, encode(progress)):
            progress = progress.left_alive()
        self._assignments[partition] = Assignment(self._epoch, progress, self._crash_limit)

    def drop(self, partition: Partition) -> None:
        """Own it no longer; what is in flight or ready is forgotten and done elsewhere."""
        state = self._assignments.pop(partition, None)
        if state is not None:
            if state.told is not None:
                self._left[partition] = (state.told.offset, state.told.metadata)
            self._count -= len(state.sizes)
            self._running -= len(state.sizes) - len(state.ready)
            self._bytes -= sum(state.sizes.values())
        if self._alone is not None and self._alone[0] == partition:
            self._alone = None

    def begin(
        self, partition: Partition, offset: int, size: int, until: int | None = None
    ) -> Ticket | Refusal:
        """Take a record in, if it may begin; ``until`` is where those end that are to begin next.

        An offset below one that was seen means that the log itself began again (a topic deleted and
        created anew): the partition is taken as newly assigned from there.
        """
        state = self._assignments.get(partition)
        if state is None:
            return Refusal.SKIP
        if offset < state.seen:
            self.assign(partition, Progress(offset))
            state = self._assignments[partition]
        # The short questions come first: all of this is asked for each record.
        place = offset - state.low
        if place < len(state.flags) and state.is_finished(offset):
            state.close_gap(offset + 1)
            return Refusal.SKIP
        if place >= WINDOW and not state.fits(offset + 1):
            return Refusal.WAIT
        guarded = state.guarded or self._alone is not None
        if guarded and not self._may_begin(state, partition, offset, until or offset + 1):
            return Refusal.WAIT
        state.begin(offset, size)
        self._count += 1
        self._running += 1
        self._bytes += size
        crashes = state.crashes.get(offset, 0) if state.crashes else 0
        return Ticket(partition, offset, state.epoch, crashes)

    def _may_begin(self, state: Assignment, partition: Partition, offset: int, until: int) -> bool:
        told = state.told
        if told is None or told.seen is None:
            state.version += 1
            self.pressing = True
            return False
        if state.crashes and state.crashes.get(offset) == self._crash_limit - 1:
            return self._may_begin_alone(state, partition, offset)
        if self._alone is not None:
            return False
        if state.caution and told.seen <= offset:
            state.intended = max(state.intended, until)
            state.version += 1
            self.pressing = True
            return False
        return True

    def _may_begin_alone(self, state: Assignment, partition: Partition, offset: int) -> bool:
        if self._alone is None:
            self._alone = (partition, offset)
        if self._alone != (partition, offset) or self._running:
            return False
        if state.told is not None and state.told.alone == offset:
            return True
        state.alone = offset
        state.version += 1
        self.pressing = True
        return False

    def reach_end(self, partition: Partition, end: int) -> bool:
        """Close the gap before ``end``, the next record's offset; ``False`` to be told again later."""
        state = self._assignments.get(partition)
        if state is None:
            return True
        if not state.fits(end):
            return False
        state.close_gap(end)
        return True

    def finish(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> bool:
        """Say what became of a record; ``False`` if its assignment is over, and nothing is to be done."""
        state = self._owned(ticket)
        if state is None or ticket.offset not in state.sizes or ticket in state.ready:
            return False
        state.finish(ticket, outputs)
        self._running -= 1
        if self._alone is not None and self._alone == (ticket.partition, ticket.offset):
            self._alone = None
        return True

    def replace(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        """Change what is to be published for a ready record."""
        state = self._owned(ticket)
        if state is not None and ticket in state.ready:
            state.ready[ticket] = outputs

    def settlement(self, among: Iterable[Partition] | None = None, *, final: bool = False) -> Settlement:
        """Everything ready, and the positions to commit with it, of all or some partitions.

        A ``final`` one is for partitions that are left in good order: it makes nothing suspect.
        """
        outputs: dict[Ticket, tuple[OutputRecord, ...]] = {}
        positions: dict[Partition, Position] = {}
        self.pressing = False
        for partition, state in self._chosen(among):
            outputs.update(state.ready)
            if state.version != state.told_version or final:
                position = state.position(final=final)
                if position != state.told:
                    positions[partition] = position
        return Settlement(outputs, positions)

    def apply(self, settlement: Settlement, *, committed: bool) -> None:
        """Note that a settlement was published, and whether its positions were committed.

        It may be an older one, of which that became known late.
        """
        for ticket in settlement.outputs:
            state = self._owned(ticket)
            if state is not None and state.ready.pop(ticket, None) is not None:
                self._count -= 1
                self._bytes -= state.sizes.pop(ticket.offset)
        if not committed:
            return
        for partition, position in settlement.positions.items():
            state = self._assignments.get(partition)
            if state is not None and state.epoch == position.epoch:
                state.tell(position)

    def undone(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """Records below each partition's end that are not done, the ones finished out of order left out."""
        return {
            partition: max(0, ends[partition] - state.low - state.flags.count(1) + len(state.ready))
            for partition, state in self._assignments.copy().items()
            if partition in ends
        }

    def watermarks(self) -> dict[Partition, int]:
        """The offset that is committed for each partition, or was when it was taken over."""
        return {
            partition: state.told.offset if state.told is not None else state.start
            for partition, state in self._assignments.copy().items()
        }

    def _owned(self, ticket: Ticket) -> Assignment | None:
        state = self._assignments.get(ticket.partition)
        return state if state is not None and state.epoch == ticket.epoch else None

    def _chosen(self, among: Iterable[Partition] | None) -> Iterator[tuple[Partition, Assignment]]:
        for partition in self._assignments if among is None else among:
            state = self._assignments.get(partition)
            if state is not None:
                yield partition, state

"""The consumer's loop: one thread that owns the Kafka clients and the ledger.

It polls, hands records to the event loop, collects what finished from a queue, regulates the flow and
settles at an interval. It never waits for a record: polling goes on whatever the tiers do. Rebalances
come as callbacks inside :meth:`~consumers.transport.Transport.poll`, so on the same thread.

How results and offsets reach the broker is the transport's affair: at-least-once publishes, then
commits; a transaction does both at once. The loop is the same.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import assert_never

from consumers.flow import Flow, FlowChange
from consumers.ledger import Ledger, Partition, Settlement, Ticket
from consumers.records import InputRecord, OutputRecord
from consumers.transport import NotSettled, PartitionEnd, Published, Settled, TooLarge, Transport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of the loop in seconds."""

    settle_interval_s: float
    poll_timeout_s: float = 0.02


Start = Callable[[list[tuple[Ticket, InputRecord]]], None]


class Runner:
    """The loop. ``start`` is called on its thread and must pass the work on without waiting."""

    def __init__(
        self, transport: Transport, flow: Flow, start: Start, pace: Pace, clock: Callable[[], float]
    ) -> None:
        self._transport = transport
        self._flow = flow
        self._start = start
        self._pace = pace
        self._clock = clock
        self._ledger = Ledger()
        self._finished: queue.SimpleQueue[tuple[Ticket, tuple[OutputRecord, ...]]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._next_settle = clock()
        self.beat = clock()
        self.settled = 0

    # Called from other threads.

    def finish(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        """Hand in what became of a record, from any thread."""
        self._finished.put((ticket, outputs))

    def pause_for_good(self) -> None:
        """Take no more records; go on settling what finishes."""
        self._idle.set()

    def stop(self) -> None:
        """Settle what is finished, leave the group and end."""
        self._stopping.set()

    @property
    def in_flight(self) -> int:
        """Records taken and not yet settled."""
        return self._ledger.in_flight

    @property
    def partitions(self) -> frozenset[Partition]:
        """What this consumer owns at the moment."""
        return self._ledger.partitions

    def snapshot(self, ends: Mapping[Partition, int]) -> dict[str, object]:
        """Counts for the status page; read without a lock, so each is true but not of one instant."""
        return {
            "in_flight": self._ledger.in_flight,
            "in_flight_bytes": self._ledger.in_flight_bytes,
            "settled": self.settled,
            "paused": self._flow.paused,
            "watermarks": _by_name(self._ledger.watermarks()),
            "undone": _by_name(self._ledger.undone(ends)),
        }

    # The thread itself.

    def run(self) -> None:
        """Loop until :meth:`stop`; any exception ends the consumer and must end its process."""
        self._transport.subscribe(self)
        while not self._stopping.is_set():
            self.step()
        self._collect()
        self._settle()
        self._transport.close()

    def step(self) -> None:
        """Do one round of the loop."""
        room = 0 if self._idle.is_set() else self._flow.room(self._ledger.in_flight)
        self._take(self._transport.poll(room, self._pace.poll_timeout_s))
        self._collect()
        if self._clock() >= self._next_settle:
            self._settle()
            self._next_settle = self._clock() + self._pace.settle_interval_s
        self._regulate()
        self.beat = self._clock()

    def _take(self, events: list[InputRecord | PartitionEnd]) -> None:
        work = []
        for event in events:
            match event:
                case PartitionEnd(partition, offset):
                    self._ledger.reach_end(partition, offset)
                case InputRecord():
                    place = Partition(event.topic, event.partition)
                    ticket = self._ledger.begin(place, event.offset, event.size)
                    if ticket is not None:
                        work.append((ticket, event))
                case _:
                    assert_never(event)
        if work:
            self._start(work)

    def _collect(self) -> None:
        while True:
            try:
                ticket, outputs = self._finished.get_nowait()
            except queue.Empty:
                return
            if not self._ledger.finish(ticket, outputs):
                log.info("dropped a result of a former assignment: %s", ticket)

    def _regulate(self) -> None:
        change = self._flow.regulate(self._ledger.in_flight, self._ledger.in_flight_bytes)
        match change:
            case FlowChange.PAUSE:
                self._transport.pause(self._ledger.partitions)
            case FlowChange.RESUME:
                self._transport.resume(self._ledger.partitions)
            case FlowChange.NONE:
                pass
            case _:
                assert_never(change)

    def _settle(self, among: Collection[Partition] | None = None) -> None:
        settlement = self._ledger.settlement(among)
        if not settlement:
            return
        outcome = self._transport.settle(settlement)
        match outcome:
            case Settled():
                self._ledger.apply(settlement, committed=True)
                self.settled += len(settlement.outputs)
            case Published(reason):
                log.warning("published, to be committed later: %s", reason)
                self._ledger.apply(settlement, committed=False)
                self.settled += len(settlement.outputs)
            case NotSettled(reason):
                log.warning("not settled, tried again: %s", reason)
            case TooLarge(tickets):
                self._shrink(settlement, tickets)
            case _:
                assert_never(outcome)

    def _shrink(self, settlement: Settlement, tickets: tuple[Ticket, ...]) -> None:
        for ticket in tickets:
            smaller = tuple(o.if_too_large() if o.if_too_large else o for o in settlement.outputs[ticket])
            log.warning("too large for the broker, so %s goes to %s", ticket, smaller[0].topic)
            self._ledger.replace(ticket, smaller)

    # Rebalances, inside poll.

    def assigned(self, bases: Mapping[Partition, int]) -> None:
        """Own partitions; a consumer that is paused keeps the new ones paused too."""
        for partition, base in bases.items():
            self._ledger.assign(partition, base)
        if self._flow.paused:
            self._transport.pause(bases.keys())

    def revoked(self, partitions: Collection[Partition]) -> None:
        """Settle what is finished, then own them no longer."""
        self._collect()
        self._settle(partitions)
        self.lost(partitions)

    def lost(self, partitions: Collection[Partition]) -> None:
        """Own partitions no longer."""
        for partition in partitions:
            self._ledger.drop(partition)


def _by_name(numbers: Mapping[Partition, int]) -> dict[str, int]:
    return {f"{place.topic}-{place.number}": number for place, number in sorted(numbers.items())}

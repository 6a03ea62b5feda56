"""The consumer's loop: one thread that owns the Kafka clients and the ledger.

It polls, begins what may begin, hands it to the event loop, collects what finished from a queue, pauses
and resumes partitions and settles at an interval. It never waits for a record, nor for one to be due:
polling goes on whatever the tiers do. Rebalances come as callbacks inside
:meth:`~consumers.transport.Transport.poll`, so on the same thread.

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

from consumers.backlog import Backlog, Work
from consumers.breaker import Breaker
from consumers.flow import Flow, Pauses
from consumers.ledger import Ledger
from consumers.progress import Progress
from consumers.records import OutputRecord
from consumers.settlement import Partition, Settlement, Ticket
from consumers.transport import (
    NotSettled,
    Published,
    Settled,
    SettledLate,
    TooLarge,
    Transport,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of the loop in seconds."""

    settle_interval_s: float
    poll_timeout_s: float = 0.02


@dataclass(frozen=True, slots=True)
class Clocks:
    """``monotonic`` in seconds, for intervals; ``epoch_ms`` for what is due, as records say it."""

    monotonic: Callable[[], float]
    epoch_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop decides by."""

    flow: Flow
    ledger: Ledger
    backlog: Backlog
    breaker: Breaker


Start = Callable[[Work], None]


class Runner:
    """The loop. ``start`` is called on its thread and must pass the work on without waiting."""

    def __init__(self, transport: Transport, parts: Parts, start: Start, pace: Pace, clocks: Clocks) -> None:
        self._transport = transport
        self._flow = parts.flow
        self._ledger = parts.ledger
        self._backlog = parts.backlog
        self._breaker = parts.breaker
        self._pauses = Pauses()
        self._start = start
        self._pace = pace
        self._clocks = clocks
        self._finished: queue.SimpleQueue[tuple[Ticket, tuple[OutputRecord, ...]]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._next_settle = self._next_try = self.beat = clocks.monotonic()
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

    def halt(self, reason: str) -> None:
        """Begin nothing from now on, as if the breaker had opened here."""
        self._breaker.open(reason)

    @property
    def in_flight(self) -> int:
        """Records taken and not yet settled."""
        return self._ledger.in_flight

    @property
    def partitions(self) -> frozenset[Partition]:
        """What this consumer owns at the moment."""
        return self._ledger.partitions

    @property
    def broken(self) -> str | None:
        """Why it stopped reading for good, ``None`` while it reads."""
        return self._breaker.reason

    def snapshot(self, ends: Mapping[Partition, int]) -> dict[str, object]:
        """Counts for the status page; read without a lock, so each is true but not of one instant."""
        return {
            "in_flight": self._ledger.in_flight,
            "in_flight_bytes": self._ledger.in_flight_bytes,
            "settled": self.settled,
            "paused": self._flow.paused,
            "stopped": self.broken,
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
        self._settle(final=True)
        self._transport.close()

    def step(self) -> None:
        """Do one round of the loop."""
        now_ms = self._clocks.epoch_ms()
        for event in self._transport.poll(self._room(), self._pace.poll_timeout_s):
            self._backlog.add(event, now_ms)
        work = self._backlog.begin(self._ledger, self._room(), now_ms)
        if work:
            self._start(work)
        self._collect()
        now = self._clocks.monotonic()
        if now >= self._next_settle or (self._ledger.pressing and now >= self._next_try):
            self._settle()
            self._next_settle = self._clocks.monotonic() + self._pace.settle_interval_s
        self._regulate()
        self.beat = self._clocks.monotonic()

    @property
    def _reads(self) -> bool:
        return not self._idle.is_set() and self._breaker.reason is None

    def _room(self) -> int:
        return self._flow.room(self._ledger.in_flight) if self._reads else 0

    def _collect(self) -> None:
        while True:
            try:
                ticket, outputs = self._finished.get_nowait()
            except queue.Empty:
                return
            if not self._ledger.finish(ticket, outputs):
                log.info("dropped a result of a former assignment: %s", ticket)
                continue
            self._breaker.note(outputs)

    def _regulate(self) -> None:
        self._flow.regulate(self._ledger.in_flight, self._ledger.in_flight_bytes)
        owned = self._ledger.partitions
        all_paused = self._flow.paused or not self._reads
        change = self._pauses.change(owned if all_paused else owned & self._backlog.waiting)
        if change.pause:
            self._transport.pause(change.pause)
        if change.resume:
            self._transport.resume(change.resume)

    def _settle(self, among: Collection[Partition] | None = None, *, final: bool = False) -> None:
        settlement = self._ledger.settlement(among, final=final)
        if not settlement:
            return
        outcome = self._transport.settle(settlement)
        match outcome:
            case Settled():
                self._apply(settlement)
            case SettledLate(earlier):
                log.warning("an earlier settlement turned out to be committed")
                self._apply(earlier)
                self._settle(among, final=final)
            case Published(reason):
                log.warning("published, to be committed later: %s", reason)
                self._apply(settlement, committed=False)
                self._next_try = self._clocks.monotonic() + self._pace.settle_interval_s
            case NotSettled(reason):
                log.warning("not settled, tried again: %s", reason)
                self._next_try = self._clocks.monotonic() + self._pace.settle_interval_s
            case TooLarge(tickets):
                self._shrink(settlement, tickets)
            case _:
                assert_never(outcome)

    def _apply(self, settlement: Settlement, *, committed: bool = True) -> None:
        self._ledger.apply(settlement, committed=committed)
        self.settled += len(settlement.outputs)

    def _shrink(self, settlement: Settlement, tickets: tuple[Ticket, ...]) -> None:
        for ticket in tickets:
            smaller = tuple(o.if_too_large() if o.if_too_large else o for o in settlement.outputs[ticket])
            log.warning("too large for the broker, so %s goes to %s", ticket, smaller[0].topic)
            self._ledger.replace(ticket, smaller)

    # Rebalances, inside poll.

    def assigned(self, found: Mapping[Partition, Progress]) -> None:
        """Own partitions, which the client fetches from; those to be paused are paused in this round."""
        self._pauses.forget(found)
        for partition, progress in found.items():
            self._backlog.drop(partition)
            self._ledger.assign(partition, progress)

    def revoked(self, partitions: Collection[Partition]) -> None:
        """Settle what is finished, then own them no longer."""
        self._collect()
        self._settle(partitions, final=True)
        self.lost(partitions)

    def lost(self, partitions: Collection[Partition]) -> None:
        """Own partitions no longer."""
        self._pauses.forget(partitions)
        for partition in partitions:
            self._backlog.drop(partition)
            self._ledger.drop(partition)


def _by_name(numbers: Mapping[Partition, int]) -> dict[str, int]:
    return {f"{place.topic}-{place.number}": number for place, number in sorted(numbers.items())}

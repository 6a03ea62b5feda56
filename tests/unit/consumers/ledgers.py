"""Ledgers for tests, opened as the loop opens them."""

from __future__ import annotations

from consumers.ledger import Ledger, Partition, Position, Refusal, Ticket
from consumers.progress import Progress, decode
from consumers.records import OutputRecord

P0 = Partition("t", 0)
P1 = Partition("t", 1)


def output(name: str) -> tuple[OutputRecord, ...]:
    return (OutputRecord("out", None, name.encode()),)


def open_partition(ledger: Ledger, partition: Partition, progress: Progress) -> None:
    """Assign, and commit that work begins: what the loop does before the first record."""
    ledger.assign(partition, progress)
    for _ in range(2):
        assert ledger.begin(partition, progress.base, 1, progress.base + 100) is Refusal.WAIT
        settle(ledger)
        if progress.seen is None:
            return


def ledger_at(base: int = 10, progress: Progress | None = None) -> Ledger:
    ledger = Ledger()
    open_partition(ledger, P0, progress or Progress(base))
    return ledger


def begin(ledger: Ledger, offset: int, partition: Partition = P0) -> Ticket:
    ticket = ledger.begin(partition, offset, 100)
    assert isinstance(ticket, Ticket)
    return ticket


def settle(ledger: Ledger) -> dict[Partition, int]:
    settlement = ledger.settlement()
    ledger.apply(settlement, committed=True)
    return {partition: position.offset for partition, position in settlement.positions.items()}


def told(position: Position) -> Progress:
    return decode(position.offset, position.metadata)

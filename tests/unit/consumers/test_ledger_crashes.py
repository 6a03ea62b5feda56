"""What the ledger does about records that kill the process which works on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consumers.ledger import Ledger, Refusal
from consumers.progress import Progress, Run
from tests.unit.consumers.ledgers import P0, P1, begin, ledger_at, open_partition, output, settle, told


def ledger_with_a_last_chance() -> Ledger:
    """P0 opened at a suspect that is to be alone, P1 opened beside it."""
    ledger = Ledger()
    ledger.assign(P0, died(seen=11, suspects=(Run(10, 11, 1),)))
    assert ledger.begin(P0, 10, 1) is Refusal.WAIT
    settle(ledger)
    open_partition(ledger, P1, Progress(0))
    return ledger


def died(seen: int, **more: object) -> Progress:
    """What a process leaves that died with everything below ``seen`` begun."""
    return Progress(10, seen=seen, **more)  # type: ignore[arg-type]  # the fields of Progress


def test_after_a_death_records_are_announced_before_they_begin() -> None:
    """However quickly a record kills its process, the commit before it says that it had begun."""
    ledger = ledger_at(progress=died(seen=10))
    assert ledger.begin(P0, 110, 1, 112) is Refusal.WAIT
    assert told(ledger.settlement().positions[P0]).seen == 112


def test_what_was_in_flight_at_a_death_begins_in_company_at_first() -> None:
    """One crash is most often nobody's fault: suspects are worked on beside each other."""
    ledger = ledger_at(progress=died(seen=12))
    assert [begin(ledger, offset).crashes for offset in (10, 11, 12)] == [1, 1, 0]


def test_a_suspect_before_its_last_crash_is_worked_on_alone() -> None:
    """It waits for everything in flight, its being alone is committed first, and others wait for it."""
    ledger = ledger_with_a_last_chance()
    other = begin(ledger, 0, P1)
    assert ledger.begin(P0, 10, 1) is Refusal.WAIT
    assert ledger.begin(P1, 1, 1) is Refusal.WAIT
    ledger.finish(other, output("other"))
    assert ledger.begin(P0, 10, 1) is Refusal.WAIT
    settlement = ledger.settlement()
    assert told(settlement.positions[P0]).alone == 10
    ledger.apply(settlement, committed=True)
    suspect = begin(ledger, 10)
    assert ledger.begin(P1, 1, 1) is Refusal.WAIT
    ledger.finish(suspect, output("it was not"))
    begin(ledger, 1, P1)
    after = told(ledger.settlement().positions[P0])
    assert (after.alone, after.suspects) == (None, ())


def test_who_kills_alone_begins_no_more() -> None:
    """The crash count in its ticket is the limit, for whoever makes a dead letter of it."""
    ledger = ledger_at(progress=died(seen=12, alone=10, suspects=(Run(10, 12, 2),)))
    ticket = begin(ledger, 10)
    assert ticket.crashes == 3
    ledger.finish(ticket, output("dead letter"))
    assert ledger.begin(P0, 11, 1) is Refusal.WAIT


def test_good_order_keeps_the_counts() -> None:
    """A rebalance between two crashes does not let a bad record start again from none."""
    ledger = ledger_at(progress=died(seen=12))
    left = told(ledger.settlement(final=True).positions[P0])
    assert left == Progress(10, suspects=(Run(10, 12, 1),))


def test_a_suspect_whose_partition_goes_holds_nobody() -> None:
    """Others begin again when the partition of the one that waits alone is revoked."""
    ledger = ledger_with_a_last_chance()
    assert ledger.begin(P0, 10, 1) is Refusal.WAIT
    assert ledger.begin(P1, 0, 1) is Refusal.WAIT
    ledger.drop(P0)
    begin(ledger, 0, P1)


@pytest.mark.parametrize("crashes", [0, 1])
def test_a_lost_session_is_no_crash(crashes: int) -> None:
    """A partition that comes back has no suspects, unless somebody else wrote beside it meanwhile."""
    ledger = ledger_at()
    begin(ledger, 10)
    last = ledger.settlement()
    ledger.apply(last, committed=True)
    left = told(last.positions[P0])
    assert left.seen == 11
    ledger.drop(P0)
    ledger.assign(P0, replace(left, seen=11 + crashes))
    for _ in range(1 + crashes):
        assert ledger.begin(P0, 10, 1, 110) is Refusal.WAIT
        settle(ledger)
    assert begin(ledger, 10).crashes == crashes

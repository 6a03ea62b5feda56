"""The ledger against literals."""

from __future__ import annotations

from consumers.bitmap import WINDOW
from consumers.ledger import Ledger, Partition, Position, Refusal, Ticket
from consumers.progress import Progress, Run, decode
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


def test_watermark_waits_for_the_slowest() -> None:
    """Records that finish out of order are published at once, but committed up to the first gap only."""
    ledger = ledger_at()
    first, second = begin(ledger, 10), begin(ledger, 11)
    ledger.finish(second, output("b"))
    assert settle(ledger) == {P0: 10}
    ledger.finish(first, output("a"))
    assert settle(ledger) == {P0: 12}
    assert ledger.in_flight == 0
    assert ledger.in_flight_bytes == 0


def test_what_is_finished_beyond_the_watermark_is_told_and_not_done_again() -> None:
    """The next owner of the partition begins with the unfinished ones alone."""
    ledger = ledger_at()
    begin(ledger, 10)
    ledger.finish(begin(ledger, 11), output("b"))
    left = told(ledger.settlement(final=True).positions[P0])
    assert left == Progress(10, b"\0\1")
    heir = ledger_at(progress=left)
    begin(heir, 10)
    assert heir.begin(P0, 11, 1) is Refusal.SKIP
    begin(heir, 12)


def test_everything_known_to_be_finished_is_passed() -> None:
    """When the last unfinished record ends, the watermark passes what the former owner had finished."""
    ledger = ledger_at(progress=Progress(10, b"\0\1\1"))
    ledger.finish(begin(ledger, 10), output("a"))
    assert settle(ledger) == {P0: 13}
    assert ledger.begin(P0, 11, 1) is Refusal.SKIP
    assert ledger.begin(P0, 12, 1) is Refusal.SKIP
    begin(ledger, 13)


def test_offsets_that_never_come_are_done() -> None:
    """Gaps between records, and before the end of a partition, do not hold the watermark."""
    ledger = ledger_at()
    ticket = begin(ledger, 13)
    ledger.finish(ticket, output("a"))
    assert settle(ledger) == {P0: 14}
    assert ledger.reach_end(P0, 17)
    assert settle(ledger) == {P0: 17}


def test_a_gap_wider_than_the_window_is_passed_when_nothing_is_unfinished() -> None:
    """A million aborted records do not stop an idle partition."""
    ledger = ledger_at()
    assert ledger.reach_end(P0, 1_000_010)
    assert settle(ledger) == {P0: 1_000_010}
    begin(ledger, 2_000_000)


def test_nothing_begins_beyond_the_window() -> None:
    """A record whose completion could not be told beside the watermark waits, and so does an end."""
    ledger = ledger_at()
    slow = begin(ledger, 10)
    assert ledger.begin(P0, 10 + WINDOW, 1) is Refusal.WAIT
    assert not ledger.reach_end(P0, 11 + WINDOW)
    last = begin(ledger, 9 + WINDOW)
    ledger.finish(last, output("last"))
    assert told(ledger.settlement().positions[P0]).finished.count(1) == WINDOW - 1
    ledger.finish(slow, output("slow"))
    assert ledger.reach_end(P0, 11 + WINDOW)
    begin(ledger, 11 + WINDOW)


def test_nothing_begins_before_it_is_committed_that_work_begins() -> None:
    """A process that dies on its first record leaves a trace."""
    ledger = Ledger()
    ledger.assign(P0, Progress(10))
    assert ledger.begin(P0, 10, 1) is Refusal.WAIT
    assert ledger.pressing
    assert told(ledger.settlement().positions[P0]).seen == 10


def test_nothing_new_is_nothing_to_settle() -> None:
    """A position is given once; after its commit there is no settlement."""
    ledger = ledger_at()
    ledger.finish(begin(ledger, 10), output("a"))
    settle(ledger)
    assert not ledger.settlement()


def test_position_comes_again_until_it_is_committed() -> None:
    """Outputs that were published are not repeated because the commit failed; the position is."""
    ledger = ledger_at()
    ledger.finish(begin(ledger, 10), output("a"))
    ledger.apply(ledger.settlement(), committed=False)
    again = ledger.settlement()
    assert not again.outputs
    assert again.positions[P0].offset == 11


def test_unsettled_outputs_come_again() -> None:
    """A settlement that was not applied is offered again whole."""
    ledger = ledger_at()
    ledger.finish(begin(ledger, 10), output("a"))
    assert ledger.settlement() == ledger.settlement()
    assert ledger.in_flight == 1


def test_a_settlement_may_be_applied_late() -> None:
    """What turns out to be committed after more was finished leaves the rest to be settled."""
    ledger = ledger_at()
    ledger.finish(begin(ledger, 10), output("a"))
    earlier = ledger.settlement()
    ledger.finish(begin(ledger, 11), output("b"))
    ledger.apply(earlier, committed=True)
    rest = ledger.settlement()
    assert [ticket.offset for ticket in rest.outputs] == [11]
    assert rest.positions[P0].offset == 12


def test_a_late_settlement_says_nothing_about_a_new_assignment() -> None:
    """A partition that went and came back is begun by a commit of its own."""
    ledger = ledger_at()
    ledger.finish(begin(ledger, 10), output("a"))
    earlier = ledger.settlement()
    ledger.assign(P0, Progress(11))
    ledger.apply(earlier, committed=True)
    assert ledger.begin(P0, 11, 1) is Refusal.WAIT


def test_result_of_a_former_assignment_is_dropped() -> None:
    """What finishes after its partition went away and came back belongs to somebody else."""
    ledger = ledger_at()
    ticket = begin(ledger, 10)
    ledger.assign(P0, Progress(10))
    assert not ledger.finish(ticket, output("late"))
    assert not ledger.settlement()


def test_dropped_partition_leaves_nothing_in_flight() -> None:
    """Counts fall with the partition, so that flow control does not wait for what will never finish."""
    ledger = ledger_at()
    begin(ledger, 10)
    ledger.finish(begin(ledger, 11), output("b"))
    ledger.drop(P0)
    assert (ledger.in_flight, ledger.in_flight_bytes) == (0, 0)
    assert ledger.begin(P0, 12, 1) is Refusal.SKIP


def test_settling_some_partitions_leaves_the_others() -> None:
    """A revocation settles only what goes away."""
    ledger = ledger_at()
    open_partition(ledger, P1, Progress(0))
    ledger.finish(begin(ledger, 10), output("a"))
    ledger.finish(begin(ledger, 0, P1), output("b"))
    settlement = ledger.settlement([P1], final=True)
    assert settlement.positions == {P1: Position(1)}
    ledger.apply(settlement, committed=True)
    assert ledger.settlement().positions[P0].offset == 11


def test_a_log_that_began_again_is_taken_from_there() -> None:
    """A topic that was deleted and created anew starts at a lower offset, and nothing of it is skipped."""
    ledger = ledger_at()
    old = begin(ledger, 10)
    assert ledger.begin(P0, 0, 1) is Refusal.WAIT
    settle(ledger)
    new = begin(ledger, 0)
    assert not ledger.finish(old, output("old"))
    assert ledger.finish(new, output("new"))
    assert settle(ledger) == {P0: 1}


def test_undone_leaves_out_what_is_done_beyond_the_watermark() -> None:
    """Undone records count the gap to the end, less what is done out of order; ready is not done."""
    ledger = ledger_at()
    begin(ledger, 10)
    ledger.finish(begin(ledger, 11), output("b"))
    assert ledger.undone({P0: 15}) == {P0: 5}
    settle(ledger)
    assert ledger.undone({P0: 15}) == {P0: 4}


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

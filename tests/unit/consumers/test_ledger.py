"""The ledger against literals."""

from __future__ import annotations

from consumers.bitmap import WINDOW
from consumers.ledger import Ledger, Position, Refusal
from consumers.progress import Progress
from tests.unit.consumers.ledgers import P0, P1, begin, ledger_at, open_partition, output, settle, told


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


def test_a_late_result_does_not_end_the_same_record_begun_anew() -> None:
    """Only the assignment's epoch tells the two apart; without it the record would be published twice."""
    ledger = ledger_at()
    late = begin(ledger, 10)
    ledger.drop(P0)
    open_partition(ledger, P0, Progress(10))
    anew = begin(ledger, 10)
    assert not ledger.finish(late, output("late"))
    assert not ledger.settlement().outputs
    ledger.replace(late, output("late"))
    assert ledger.finish(anew, output("anew"))
    assert ledger.settlement().outputs == {anew: output("anew")}


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

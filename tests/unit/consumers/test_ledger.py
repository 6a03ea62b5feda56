"""The ledger against literals, and against a model under random runs."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumers.ledger import Ledger, Partition, Ticket
from consumers.records import OutputRecord

P0 = Partition("t", 0)
P1 = Partition("t", 1)


def output(name: str) -> tuple[OutputRecord, ...]:
    return (OutputRecord("out", None, name.encode()),)


def ledger_at(base: int = 10) -> Ledger:
    ledger = Ledger()
    ledger.assign(P0, base)
    return ledger


def begin(ledger: Ledger, offset: int) -> Ticket:
    ticket = ledger.begin(P0, offset, 100)
    assert ticket is not None
    return ticket


def settle(ledger: Ledger) -> dict[Partition, int]:
    settlement = ledger.settlement()
    ledger.apply(settlement, committed=True)
    return dict(settlement.positions)


def test_watermark_waits_for_the_slowest() -> None:
    """Records that finish out of order are published at once, but committed up to the first gap only."""
    ledger = ledger_at()
    first, second = begin(ledger, 10), begin(ledger, 11)
    ledger.finish(second, output("b"))
    assert settle(ledger) == {}
    ledger.finish(first, output("a"))
    assert settle(ledger) == {P0: 12}
    assert ledger.in_flight == 0
    assert ledger.in_flight_bytes == 0


def test_offsets_that_never_come_are_done() -> None:
    """Gaps between records, and before the end of a partition, do not hold the watermark."""
    ledger = ledger_at()
    ticket = begin(ledger, 13)
    ledger.finish(ticket, output("a"))
    assert settle(ledger) == {P0: 14}
    ledger.reach_end(P0, 17)
    assert settle(ledger) == {P0: 17}


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
    assert again.positions == {P0: 11}


def test_unsettled_outputs_come_again() -> None:
    """A settlement that was not applied is offered again whole."""
    ledger = ledger_at()
    ledger.finish(begin(ledger, 10), output("a"))
    assert ledger.settlement() == ledger.settlement()
    assert ledger.in_flight == 1


def test_result_of_a_former_assignment_is_dropped() -> None:
    """What finishes after its partition went away and came back belongs to somebody else."""
    ledger = ledger_at()
    ticket = begin(ledger, 10)
    ledger.assign(P0, 10)
    assert not ledger.finish(ticket, output("late"))
    assert not ledger.settlement()


def test_dropped_partition_leaves_nothing_in_flight() -> None:
    """Counts fall with the partition, so that flow control does not wait for what will never finish."""
    ledger = ledger_at()
    begin(ledger, 10)
    ledger.finish(begin(ledger, 11), output("b"))
    ledger.drop(P0)
    assert (ledger.in_flight, ledger.in_flight_bytes) == (0, 0)
    assert ledger.begin(P0, 12, 1) is None


def test_settling_some_partitions_leaves_the_others() -> None:
    """A revocation settles only what goes away."""
    ledger = ledger_at()
    ledger.assign(P1, 0)
    ledger.finish(begin(ledger, 10), output("a"))
    other = ledger.begin(P1, 0, 1)
    assert other is not None
    ledger.finish(other, output("b"))
    settlement = ledger.settlement([P1])
    assert settlement.positions == {P1: 1}
    ledger.apply(settlement, committed=True)
    assert ledger.settlement().positions == {P0: 11}


def test_a_log_that_began_again_is_taken_from_there() -> None:
    """A topic that was deleted and created anew starts at a lower offset, and nothing of it is skipped."""
    ledger = ledger_at()
    old = begin(ledger, 10)
    new = begin(ledger, 0)
    assert not ledger.finish(old, output("old"))
    assert ledger.finish(new, output("new"))
    assert settle(ledger) == {P0: 1}


def test_undone_leaves_out_what_finished_beyond_the_watermark() -> None:
    """Undone records count the gap to the end, less what is done out of order."""
    ledger = ledger_at()
    begin(ledger, 10)
    ledger.finish(begin(ledger, 11), output("b"))
    settle(ledger)
    assert ledger.undone({P0: 15}) == {P0: 4}


class LedgerAgainstModel(RuleBasedStateMachine):
    """Random runs: the ledger never commits past an unfinished record and publishes each result once."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.ledger.assign(P0, 0)
        self.next_offset = 0
        self.running: list[Ticket] = []
        self.unfinished: set[int] = set()
        self.published: list[int] = []
        self.committed = 0

    @rule(gap=st.integers(0, 3))
    def arrive(self, gap: int) -> None:
        """A record comes, perhaps after a gap."""
        offset = self.next_offset + gap
        ticket = self.ledger.begin(P0, offset, 1)
        assert ticket is not None
        self.running.append(ticket)
        self.unfinished.add(offset)
        self.next_offset = offset + 1

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Any running record finishes."""
        ticket = data.draw(st.sampled_from(self.running))
        self.running.remove(ticket)
        if self.ledger.finish(ticket, output(str(ticket.offset))):
            self.unfinished.discard(ticket.offset)

    @rule(works=st.booleans(), committed=st.booleans())
    def settle(self, works: bool, committed: bool) -> None:  # noqa: FBT001  drawn by hypothesis
        """A settlement succeeds, half succeeds or fails."""
        settlement = self.ledger.settlement()
        if works:
            self.published += [ticket.offset for ticket in settlement.outputs]
            self.ledger.apply(settlement, committed=committed)
            if committed:
                self.committed = settlement.positions.get(P0, self.committed)

    @rule()
    def reassign(self) -> None:
        """The partition is lost and comes back at its committed offset."""
        self.ledger.drop(P0)
        self.ledger.assign(P0, self.committed)
        self.next_offset = self.committed
        self.unfinished.clear()
        self.published = [offset for offset in self.published if offset < self.committed]

    @invariant()
    def nothing_unfinished_is_committed(self) -> None:
        """Every offset below the committed one is done."""
        assert all(offset >= self.committed for offset in self.unfinished)

    @invariant()
    def nothing_is_published_twice(self) -> None:
        """Within an assignment a result is offered until it is applied, and never again."""
        assert len(self.published) == len(set(self.published))

    @invariant()
    def counts_agree(self) -> None:
        """In flight is what was begun, less what is done or gone."""
        assert self.ledger.in_flight == len(self.unfinished) + len(self.ledger.settlement().outputs)


TestLedgerAgainstModel = LedgerAgainstModel.TestCase
TestLedgerAgainstModel.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)

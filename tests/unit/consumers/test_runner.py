"""The loop over a transport that plays a script."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import pytest

from consumers.backlog import Backlog
from consumers.breaker import Breaker, BreakerLimits
from consumers.flow import Flow, FlowLimits
from consumers.ledger import Ledger
from consumers.progress import Progress
from consumers.records import InputRecord, OutputRecord
from consumers.retries import Arrival, RetryTopic, retry_record
from consumers.runner import Clocks, Pace, Parts, Runner
from consumers.settlement import Partition, Settlement, Ticket
from consumers.transport import (
    NotSettled,
    PartitionEnd,
    Published,
    Rebalances,
    Settled,
    SettledLate,
    SettleOutcome,
    TooLarge,
)
from serve_app.errors import Failure, SourceUnavailableError
from tests.unit.consumers.samples import NAMES, record

P0 = Partition("video.requests", 0)
P1 = Partition("video.requests", 1)
DONE = (OutputRecord(NAMES.captions, None, b"x"),)
DEAD = (OutputRecord(NAMES.dead_letters, None, b"x"),)
LATER = RetryTopic("video.requests.retry.5s", 5000)
R0 = Partition(LATER.name, 0)


class ScriptedTransport:
    """Gives out the scripted events, and remembers what it was told.

    The outcomes are those of settlements that hold results; others succeed.
    """

    def __init__(self, *outcomes: SettleOutcome) -> None:
        self.events: deque[InputRecord | PartitionEnd] = deque()
        self.outcomes = deque(outcomes)
        self.settlements: list[Settlement] = []
        self.told: list[str] = []
        self.paused: set[Partition] = set()
        self.limits: list[int] = []

    def subscribe(self, rebalances: Rebalances) -> None:
        assert rebalances is not None

    def poll(self, limit: int, timeout_s: float) -> list[InputRecord | PartitionEnd]:
        assert timeout_s >= 0
        self.limits.append(limit)
        return [self.events.popleft() for _ in range(min(limit, len(self.events)))]

    def pause(self, partitions: Collection[Partition]) -> None:
        self.paused.update(partitions)
        self.told.append(f"pause {sorted(p.number for p in partitions)}")

    def resume(self, partitions: Collection[Partition]) -> None:
        self.paused.difference_update(partitions)
        self.told.append(f"resume {sorted(p.number for p in partitions)}")

    def settle(self, settlement: Settlement) -> SettleOutcome:
        self.settlements.append(settlement)
        return self.outcomes.popleft() if self.outcomes and settlement.outputs else Settled()

    def close(self) -> None:
        self.told.append("close")


def parts(max_count: int) -> Parts:
    return Parts(
        Flow(FlowLimits(max_count, 10**6, 0.5)),
        Ledger(),
        Backlog({LATER.name: LATER.delay_ms}),
        Breaker(BreakerLimits(in_a_row=2, share=1, window=100), NAMES),
    )


class Loop:
    """A runner with its surroundings: clocks that stand still, and the work it started."""

    def __init__(self, *outcomes: SettleOutcome, max_count: int = 4) -> None:
        self.transport = ScriptedTransport(*outcomes)
        self.started: list[tuple[Ticket, InputRecord]] = []
        self.now_ms = 0
        clocks = Clocks(lambda: 1.0, lambda: self.now_ms)
        self.runner = Runner(self.transport, parts(max_count), self.started.extend, Pace(0), clocks)
        self.runner.assigned({P0: Progress(0)})

    def step(self) -> None:
        # What begins is committed first, so a record that came in one round begins in the next.
        self.runner.step()
        self.runner.step()

    def offer(self, *offsets: int) -> None:
        self.transport.events.extend(record(offset) for offset in offsets)
        self.step()

    def finish(self, *offsets: int, outputs: tuple[OutputRecord, ...] = DONE) -> None:
        for ticket, came in self.started:
            if came.offset in offsets:
                self.runner.finish(ticket, outputs)
        self.step()

    def begun(self) -> list[int]:
        return [came.offset for _, came in self.started]

    def published(self) -> list[tuple[list[int], dict[Partition, int]]]:
        """Settlements with outputs: their offsets, and what was to be committed."""
        return [
            ([t.offset for t in s.outputs], {p: at.offset for p, at in s.positions.items()})
            for s in self.transport.settlements
            if s.outputs
        ]


def test_results_are_published_with_what_they_finish() -> None:
    """One settlement holds the outputs and the position that they allow."""
    loop = Loop()
    loop.offer(0, 1)
    loop.finish(1)
    loop.finish(0)
    assert loop.published() == [([1], {P0: 0}), ([0], {P0: 2})]
    assert loop.runner.settled == 2


def test_nothing_begins_before_its_partition_is_opened_by_a_commit() -> None:
    """The first record waits for one settlement, at once, and its partition is not fetched from."""
    loop = Loop()
    loop.transport.events.append(record(0))
    loop.runner.step()
    assert loop.begun() == []
    assert loop.transport.told == ["pause [0]"]
    assert [dict(s.outputs) for s in loop.transport.settlements] == [{}]
    loop.runner.step()
    assert loop.begun() == [0]
    assert loop.transport.told == ["pause [0]", "resume [0]"]


def test_polling_goes_on_while_paused() -> None:
    """With the bound reached the client is paused and still polled, with room for nothing."""
    loop = Loop(max_count=2)
    loop.offer(0, 1, 2)
    assert loop.begun() == [0, 1]
    assert loop.transport.told == ["pause [0]"]
    loop.runner.step()
    assert loop.transport.limits[-1] == 0
    loop.finish(0, 1)
    assert loop.transport.told == ["pause [0]", "resume [0]"]


def test_failed_settlement_is_tried_again() -> None:
    """What the broker did not acknowledge stays and is offered again."""
    loop = Loop(NotSettled("no broker"))
    loop.offer(0)
    loop.finish(0)
    loop.runner.step()
    first, second = loop.published()
    assert first == second
    assert loop.runner.settled == 1


def test_published_but_not_committed_is_not_published_again() -> None:
    """Only the position is repeated."""
    loop = Loop(Published("rebalance"))
    loop.offer(0)
    loop.finish(0)
    loop.runner.step()
    assert loop.published() == [([0], {P0: 1})]
    assert loop.transport.settlements[-1].positions[P0].offset == 1


def test_what_was_committed_after_all_is_not_settled_again() -> None:
    """The late word on a settlement counts for it, and the rest is settled at once."""
    loop = Loop(NotSettled("no answer"))
    loop.offer(0, 1)
    loop.runner.finish(loop.started[0][0], DONE)
    loop.runner.step()
    loop.transport.outcomes.append(SettledLate(loop.transport.settlements[-1]))
    loop.runner.finish(loop.started[1][0], DONE)
    loop.runner.step()
    assert loop.published() == [([0], {P0: 1}), ([0, 1], {P0: 2}), ([1], {P0: 2})]
    assert loop.runner.settled == 2


def test_too_large_result_is_replaced() -> None:
    """A record that the broker refuses for its size goes out as what stands in for it."""
    loop = Loop()
    loop.offer(0)
    (ticket, _) = loop.started[0]
    small = OutputRecord("dlq", None, b"")
    loop.transport.outcomes.append(TooLarge((ticket,)))
    loop.runner.finish(ticket, (OutputRecord("out", None, b"big", (), lambda: small),))
    loop.step()
    assert [s.outputs for s in loop.transport.settlements if s.outputs][1] == {ticket: (small,)}


def test_revocation_settles_what_is_finished() -> None:
    """The last moment before a partition goes is used, in good order, and later results are dropped."""
    loop = Loop()
    loop.offer(0, 1)
    (first, _), (second, _) = loop.started
    loop.runner.finish(first, DONE)
    loop.runner.revoked([P0])
    assert loop.transport.settlements[-1].positions[P0].offset == 1
    assert loop.transport.settlements[-1].positions[P0].seen is None
    loop.runner.finish(second, DONE)
    loop.step()
    assert loop.published() == [([0], {P0: 1})]


def test_lost_partition_settles_nothing() -> None:
    """What somebody else owns already is left alone."""
    loop = Loop()
    loop.offer(0)
    loop.runner.lost([P0])
    loop.finish(0)
    assert loop.published() == []


def test_what_waits_here_goes_with_its_partition() -> None:
    """A record that had not begun when its partition went is somebody else's."""
    loop = Loop(max_count=1)
    loop.offer(0, 1)
    loop.transport.events.append(record(2))
    loop.runner.lost([P0])
    loop.runner.assigned({P1: Progress(5)})
    loop.step()
    assert loop.begun() == [0]


def test_new_partition_is_paused_with_the_others() -> None:
    """A consumer that is full does not fetch from what it is given."""
    loop = Loop(max_count=1)
    loop.offer(0)
    loop.runner.assigned({P1: Progress(5)})
    loop.runner.step()
    assert loop.transport.told == ["pause [0]", "pause [1]"]


def test_pause_does_not_survive_a_reassignment() -> None:
    """A partition that was paused when it went is fetched from, or paused anew, when it comes back."""
    loop = Loop(max_count=1)
    loop.offer(0)
    loop.runner.lost([P0])
    loop.runner.assigned({P0: Progress(0)})
    loop.step()
    assert loop.transport.told == ["pause [0]"]
    loop.offer(0)
    assert loop.transport.told == ["pause [0]", "pause [0]"]


def waiting(offset: int) -> InputRecord:
    """A retry record made now at time 0, so due at 5,000 ms."""
    failure = Failure.of(SourceUnavailableError("HTTP 503"))
    made = retry_record(Arrival(record(offset), attempts=1), failure, LATER, 0)
    return InputRecord(made.topic, 0, offset, made.key, made.value, made.headers, 0)


def test_a_retry_waits_until_it_is_due() -> None:
    """Its partition is paused meanwhile, others go on, and nobody sleeps."""
    loop = Loop()
    loop.runner.assigned({R0: Progress(0)})
    loop.transport.events.append(waiting(0))
    loop.offer(7)
    assert [(came.topic, came.offset) for _, came in loop.started] == [("video.requests", 7)]
    loop.now_ms = 4999
    loop.step()
    assert len(loop.started) == 1
    loop.now_ms = 5000
    loop.step()
    assert [came.topic for _, came in loop.started] == ["video.requests", LATER.name]


def test_room_does_not_resume_what_is_not_due_nor_the_other_way_round() -> None:
    """A partition is resumed when no reason to pause it is left."""
    loop = Loop(max_count=1)
    loop.runner.assigned({R0: Progress(0)})
    loop.transport.events.append(waiting(0))
    loop.runner.step()
    loop.offer(0)
    assert loop.transport.paused == {P0, R0}
    loop.finish(0)
    assert loop.transport.paused == {R0}
    loop.offer(1)
    loop.now_ms = 5000
    loop.step()
    assert loop.transport.paused == {P0, R0}
    loop.finish(1)
    loop.step()
    assert (LATER.name, 0) in [(came.topic, came.offset) for _, came in loop.started]


def test_breaker_stops_reading_and_goes_on_settling() -> None:
    """Dead letters in a row stop the consumer; what is in flight is settled, nothing else begins."""
    loop = Loop()
    loop.offer(0, 1, 2, 3)
    loop.finish(0, 1, 2, outputs=DEAD)
    assert loop.runner.broken == "3 dead letters in a row"
    loop.offer(4)
    assert loop.begun() == [0, 1, 2, 3]
    assert loop.transport.paused == {P0}
    loop.finish(3)
    assert loop.published()[-1] == ([3], {P0: 4})


def test_stop_settles_and_leaves() -> None:
    """A stopped loop settles what is finished in good order and closes the clients."""
    loop = Loop()
    loop.offer(0)
    loop.runner.finish(loop.started[0][0], DONE)
    loop.runner.stop()
    loop.runner.run()
    last = loop.transport.settlements[-1].positions[P0]
    assert (last.offset, last.metadata) == (1, "")
    assert loop.transport.told[-1] == "close"


def test_draining_takes_no_more() -> None:
    """A consumer that drains goes on settling and takes nothing new."""
    loop = Loop()
    loop.runner.pause_for_good()
    loop.offer(0)
    assert loop.started == []


def test_bug_in_the_transport_ends_the_loop() -> None:
    """An unexpected error is not swallowed."""

    class Broken(ScriptedTransport):
        def poll(self, limit: int, timeout_s: float) -> list[InputRecord | PartitionEnd]:
            raise ZeroDivisionError(limit, timeout_s)

    runner = Runner(Broken(), parts(1), print, Pace(0), Clocks(lambda: 0.0, lambda: 0))
    with pytest.raises(ZeroDivisionError):
        runner.run()


def test_what_is_to_be_paused_is_paused_anew_when_it_comes_again() -> None:
    """The client fetches from what it is given, whatever it was told before."""
    loop = Loop()
    loop.runner.pause_for_good()
    loop.step()
    assert loop.transport.paused == {P0}
    loop.transport.paused.clear()
    loop.runner.assigned({P0: Progress(0)})
    loop.step()
    assert loop.transport.paused == {P0}


def test_nothing_is_told_of_a_partition_that_has_gone() -> None:
    """The client refuses to resume what it does not own."""
    loop = Loop(max_count=2)
    loop.offer(0, 1)
    assert loop.transport.paused == {P0}
    loop.runner.lost([P0])
    loop.step()
    assert loop.transport.paused == {P0}  # not resumed: it is nobody's to resume

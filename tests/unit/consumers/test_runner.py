"""The loop over a transport that plays a script."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import pytest

from consumers.flow import Flow, FlowLimits
from consumers.ledger import Partition, Settlement, Ticket
from consumers.records import InputRecord, OutputRecord
from consumers.runner import Pace, Runner
from consumers.transport import (
    NotSettled,
    PartitionEnd,
    Published,
    Rebalances,
    Settled,
    SettleOutcome,
    TooLarge,
)
from tests.unit.consumers.samples import record

P0 = Partition("video.requests", 0)
P1 = Partition("video.requests", 1)
DONE = (OutputRecord("out", None, b"x"),)


class ScriptedTransport:
    """Gives out the scripted events, and remembers what it was told."""

    def __init__(self, *outcomes: SettleOutcome) -> None:
        self.events: deque[InputRecord | PartitionEnd] = deque()
        self.outcomes = deque(outcomes)
        self.settlements: list[Settlement] = []
        self.told: list[str] = []
        self.limits: list[int] = []

    def subscribe(self, rebalances: Rebalances) -> None:
        assert rebalances is not None

    def poll(self, limit: int, timeout_s: float) -> list[InputRecord | PartitionEnd]:
        assert timeout_s >= 0
        self.limits.append(limit)
        return [self.events.popleft() for _ in range(min(limit, len(self.events)))]

    def pause(self, partitions: Collection[Partition]) -> None:
        self.told.append(f"pause {sorted(p.number for p in partitions)}")

    def resume(self, partitions: Collection[Partition]) -> None:
        self.told.append(f"resume {sorted(p.number for p in partitions)}")

    def settle(self, settlement: Settlement) -> SettleOutcome:
        self.settlements.append(settlement)
        return self.outcomes.popleft() if self.outcomes else Settled()

    def close(self) -> None:
        self.told.append("close")


class Loop:
    """A runner with its surroundings: a clock that stands still, and the work it started."""

    def __init__(self, *outcomes: SettleOutcome, max_count: int = 4) -> None:
        self.transport = ScriptedTransport(*outcomes)
        self.started: list[tuple[Ticket, InputRecord]] = []
        flow = Flow(FlowLimits(max_count, 10**6, 0.5))
        self.runner = Runner(self.transport, flow, self.started.extend, Pace(0), lambda: 1.0)
        self.runner.assigned({P0: 0})

    def offer(self, *offsets: int) -> None:
        self.transport.events.extend(record(offset) for offset in offsets)
        self.runner.step()

    def finish(self, *offsets: int) -> None:
        for ticket, came in self.started:
            if came.offset in offsets:
                self.runner.finish(ticket, DONE)
        self.runner.step()


def test_results_are_published_before_their_offset_is_committed() -> None:
    """One settlement holds the outputs and the position that they allow."""
    loop = Loop()
    loop.offer(0, 1)
    loop.finish(1)
    loop.finish(0)
    assert [dict(s.positions) for s in loop.transport.settlements] == [{}, {P0: 2}]
    assert loop.runner.settled == 2


def test_polling_goes_on_while_paused() -> None:
    """With the bound reached the client is paused and still polled, with room for nothing."""
    loop = Loop(max_count=2)
    loop.offer(0, 1, 2)
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
    first, second = loop.transport.settlements
    assert first == second
    assert loop.runner.settled == 1


def test_published_but_not_committed_is_not_published_again() -> None:
    """Only the position is repeated."""
    loop = Loop(Published("rebalance"))
    loop.offer(0)
    loop.finish(0)
    loop.runner.step()
    assert [len(s.outputs) for s in loop.transport.settlements] == [1, 0]
    assert loop.transport.settlements[1].positions == {P0: 1}


def test_too_large_result_is_replaced() -> None:
    """A record that the broker refuses for its size goes out as what stands in for it."""
    loop = Loop()
    loop.offer(0)
    (ticket, _) = loop.started[0]
    small = OutputRecord("dlq", None, b"")
    loop.transport.outcomes.append(TooLarge((ticket,)))
    loop.runner.finish(ticket, (OutputRecord("out", None, b"big", (), lambda: small),))
    loop.runner.step()
    loop.runner.step()
    assert loop.transport.settlements[1].outputs == {ticket: (small,)}


def test_revocation_settles_what_is_finished() -> None:
    """The last moment before a partition goes is used, and later results are dropped."""
    loop = Loop()
    loop.offer(0, 1)
    (first, _), (second, _) = loop.started
    loop.runner.finish(first, DONE)
    loop.runner.revoked([P0])
    assert loop.transport.settlements[-1].positions == {P0: 1}
    loop.runner.finish(second, DONE)
    loop.runner.step()
    assert len(loop.transport.settlements) == 1


def test_lost_partition_settles_nothing() -> None:
    """What somebody else owns already is left alone."""
    loop = Loop()
    loop.offer(0)
    loop.runner.lost([P0])
    loop.finish(0)
    assert loop.transport.settlements == []


def test_new_partition_is_paused_with_the_others() -> None:
    """A consumer that is full does not fetch from what it is given."""
    loop = Loop(max_count=1)
    loop.offer(0)
    loop.runner.assigned({P1: 5})
    assert loop.transport.told == ["pause [0]", "pause [1]"]


def test_stop_settles_and_leaves() -> None:
    """A stopped loop settles what is finished and closes the clients."""
    loop = Loop()
    loop.offer(0)
    loop.runner.finish(loop.started[0][0], DONE)
    loop.runner.stop()
    loop.runner.run()
    assert loop.transport.settlements[-1].positions == {P0: 1}
    assert loop.transport.told == ["close"]


def test_draining_takes_no_more() -> None:
    """A consumer that drains goes on settling and takes nothing new."""
    loop = Loop()
    loop.runner.pause_for_good()
    loop.offer(0)
    assert loop.started == []


def test_bug_in_the_transport_ends_the_loop() -> None:
    """An unexpected error is not swallowed."""
    loop = Loop()

    class Broken(ScriptedTransport):
        def poll(self, limit: int, timeout_s: float) -> list[InputRecord | PartitionEnd]:
            raise ZeroDivisionError(limit, timeout_s)

    runner = Runner(Broken(), Flow(FlowLimits(1, 1, 1)), loop.started.extend, Pace(0), lambda: 0.0)
    with pytest.raises(ZeroDivisionError):
        runner.run()

"""Two bounds, each with a lower mark; and pauses that do not lift each other."""

from __future__ import annotations

from consumers.flow import Flow, FlowLimits, PauseChange, Pauses
from consumers.settlement import Partition

P0, P1 = Partition("t", 0), Partition("t", 1)


def flow() -> Flow:
    return Flow(FlowLimits(max_count=10, max_bytes=1000, resume_share=0.5))


def paused(one: Flow, count: int, size: int) -> bool:
    one.regulate(count, size)
    return one.paused


def test_count_pauses_and_resumes_lower() -> None:
    """Fetching stops at the bound and goes on only below the lower mark."""
    one = flow()
    assert [paused(one, count, 0) for count in (9, 10, 6, 5)] == [False, True, True, False]


def test_bytes_pause_and_resume_lower() -> None:
    """Bytes have their own bound, whatever the count."""
    one = flow()
    assert [paused(one, *held) for held in ((2, 1000), (1, 501), (1, 500))] == [True, True, False]


def test_one_giant_record_does_not_stall() -> None:
    """A record above the byte bound is worked on alone, and fetching resumes after it."""
    one = flow()
    assert [paused(one, *held) for held in ((1, 5000), (0, 0))] == [True, False]


def test_room_is_what_is_left() -> None:
    """No more is taken at once than fits, and nothing while paused."""
    one = flow()
    assert one.room(4) == 6
    one.regulate(10, 0)
    assert one.room(4) == 0


def change(pause: set[Partition], resume: set[Partition]) -> PauseChange:
    return PauseChange(frozenset(pause), frozenset(resume))


def test_only_changes_are_told() -> None:
    """A partition is paused once and resumed once, when no reason is left."""
    pauses = Pauses()
    assert pauses.change(frozenset({P0})) == change({P0}, set())
    assert pauses.change(frozenset({P0, P1})) == change({P1}, set())
    assert pauses.change(frozenset({P0})) == change(set(), {P1})
    assert pauses.change(frozenset({P0})) == change(set(), set())


def test_a_new_assignment_is_fetched_from() -> None:
    """The client resumes what it assigns, so that a pause still wanted is told again."""
    pauses = Pauses()
    pauses.change(frozenset({P0}))
    pauses.forget([P0])
    assert pauses.change(frozenset({P0})) == change({P0}, set())

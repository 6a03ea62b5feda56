"""Two bounds, each with a lower mark."""

from __future__ import annotations

from consumers.flow import Flow, FlowChange, FlowLimits


def flow() -> Flow:
    return Flow(FlowLimits(max_count=10, max_bytes=1000, resume_share=0.5))


def test_count_pauses_and_resumes_lower() -> None:
    """Fetching stops at the bound and goes on only below the lower mark."""
    one = flow()
    assert one.regulate(9, 0) is FlowChange.NONE
    assert one.regulate(10, 0) is FlowChange.PAUSE
    assert one.regulate(6, 0) is FlowChange.NONE
    assert one.regulate(5, 0) is FlowChange.RESUME


def test_bytes_pause_and_resume_lower() -> None:
    """Bytes have their own bound, whatever the count."""
    one = flow()
    assert one.regulate(2, 1000) is FlowChange.PAUSE
    assert one.regulate(1, 501) is FlowChange.NONE
    assert one.regulate(1, 500) is FlowChange.RESUME


def test_one_giant_record_does_not_stall() -> None:
    """A record above the byte bound is worked on alone, and fetching resumes after it."""
    one = flow()
    assert one.regulate(1, 5000) is FlowChange.PAUSE
    assert one.regulate(0, 0) is FlowChange.RESUME


def test_room_is_what_is_left() -> None:
    """No more is taken at once than fits, and nothing while paused."""
    one = flow()
    assert one.room(4) == 6
    one.regulate(10, 0)
    assert one.room(4) == 0

"""Whether a run kept the promise."""

from __future__ import annotations

import pytest

from tests.chaos.load import Way
from tests.chaos.verdict import Delivery, End, Verdict, judged

CLEAN = {"inputs": 3, "captions": 2, "dead_letters": 1, "missing": 0, "double": 0, "stray": 0}
EXPECTED = {"a": Way.VIDEO, "b": Way.FLAKY, "c": Way.MISSING}
ENDS = [End("a", captioned=True), End("b", captioned=True), End("c", captioned=False, error_class="X")]


def test_all_once() -> None:
    """Each request ended once, the missing video as a dead letter: nothing is wrong."""
    verdict = judged(EXPECTED, ENDS, CLEAN)
    assert (verdict.requests, verdict.captions, verdict.dead_letters) == (3, 2, 1)
    assert verdict.given_up == {}
    assert verdict.faults("exactly_once") == []


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_lost_request(delivery: Delivery) -> None:
    """No delivery may lose one."""
    verdict = judged(EXPECTED, ENDS[1:], CLEAN)
    assert (verdict.lost, verdict.pending) == (1, 0)
    assert verdict.faults(delivery) == ["1 without a result: a"]


def test_a_request_that_is_not_done() -> None:
    """What the group has not committed is not lost, but the run did not end well either."""
    verdict = judged(EXPECTED, ENDS[1:], CLEAN | {"undone": 1})
    assert (verdict.lost, verdict.pending) == (0, 1)
    assert verdict.faults("exactly_once") == ["1 without a result: a", "audit: 1 undone"]


def test_a_doubled_request() -> None:
    """It breaks exactly once, and is counted for at least once."""
    verdict = judged(EXPECTED, [*ENDS, End("a", captioned=False, error_class="X")], CLEAN | {"double": 1})
    assert verdict.doubled == ("a",)
    assert verdict.faults("exactly_once") == ["1 more than once: a", "audit: 1 double"]
    assert verdict.faults("at_least_once") == []


def test_a_caption_that_became_a_dead_letter() -> None:
    """It ended once, so nothing is lost; the error that ended it is counted."""
    letter = End("a", captioned=False, error_class="WorkerLostError")
    verdict = judged(EXPECTED, [letter, *ENDS[1:]], CLEAN)
    assert verdict.given_up == {"WorkerLostError": 1}
    assert verdict.faults("exactly_once") == []


def test_what_nobody_asked_for() -> None:
    """A result without a request is a fault of its own."""
    verdict = judged(EXPECTED, [*ENDS, End("z", captioned=True)], CLEAN)
    assert verdict.faults("at_least_once") == ["1 without a request: z"]


def test_what_the_run_itself_left() -> None:
    """Requests that the brokers never took, processes that stayed and undone inputs are faults too."""
    verdict: Verdict = judged(
        EXPECTED, ENDS, CLEAN | {"undone": 2}, refused=["r9: timed out"], left=["17 ray::x"]
    )
    assert verdict.faults("exactly_once") == [
        "1 not taken by the brokers: r9: timed out",
        "1 left behind: 17 ray::x",
        "audit: 2 undone",
    ]

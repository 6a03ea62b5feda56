"""The audit's sums, against a model that keeps every record."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.ledger import Partition
from consumers.tally import Account, Ending, Standing, Tally, total

PLACE = Partition("video.requests", 0)
SIZE = 12
offsets = st.integers(0, SIZE + 5)


def tally(base: int = SIZE, finished: bytes = b"", start: int = 0) -> Tally:
    made = Tally(PLACE, start, SIZE, Standing(base, finished))
    for offset in range(start, SIZE):
        made.input(offset)
    return made


@given(
    inputs=st.sets(offsets),
    endings=st.lists(st.tuples(offsets, st.sampled_from(Ending))),
    open_retries=st.sets(offsets),
    standing=st.builds(Standing, offsets, st.lists(st.integers(0, 1), max_size=SIZE).map(bytes)),
    start=st.integers(0, SIZE),
)
@example({3}, [(3, Ending.CAPTION), (3, Ending.DEAD_LETTER)], set(), Standing(SIZE, b""), 0)
@example({3}, [(3, Ending.CAPTION)] * 2, set(), Standing(SIZE, b""), 0)
def test_every_offset_is_judged_as_the_model_says(
    inputs: set[int],
    endings: list[tuple[int, Ending]],
    open_retries: set[int],
    standing: Standing,
    start: int,
) -> None:
    """Counts and places agree with a judgement of each offset by itself, and the counts add up."""
    made = Tally(PLACE, start, SIZE, standing)
    for offset in inputs:
        made.input(offset)
    for offset, how in endings:
        made.ended(offset, how, "somewhere")
    for offset in open_retries:
        made.retried(offset, "r", None, is_open=True)
    account = made.account()
    ways = {offset: [how for at, how in endings if at == offset] for offset in range(start, SIZE)}

    def judged(offset: int) -> str:
        ended = ways[offset]
        if offset not in inputs:
            return "stray" if ended or offset in open_retries else "nothing"
        if len(ended) > 1:
            return "double"
        if ended:
            return ended[0].value
        if offset in open_retries:
            return "open"
        return "missing" if standing.done(offset) else "undone"

    counts = Counter(judged(offset) for offset in ways)
    assert account.captions == counts["caption"]
    assert account.dead_letters == counts["dead letter"]
    assert account.open_retries == counts["open"]
    assert account.undone == counts["undone"]
    for name in ("missing", "double", "stray"):
        assert getattr(account, name) == tuple(o for o in ways if judged(o) == name)
    sums = total([account])
    parts = ("captions", "dead_letters", "open_retries", "undone", "missing", "double")
    assert sums["inputs"] == sum(sums[name] for name in parts)
    assert account.sound is not bool(account.missing or account.double or account.stray)


def test_finished_offsets_above_the_watermark_are_done() -> None:
    """What is flagged and has no ending is missing; what is not flagged is undone."""
    account = tally(base=3, finished=b"\0\1\0\1").account()
    assert account.missing == (0, 1, 2, 4, 6)
    assert account.undone == SIZE - 5


def test_a_later_start_keeps_its_offsets() -> None:
    """Offsets are those of the partition, also where reading begins in its middle or above the watermark."""
    assert tally(base=8, start=6).account().missing == (6, 7)
    assert tally(base=4, finished=b"\0\0\0\1\1", start=6).account().missing == (7, 8)


def test_a_retry_written_twice_is_double() -> None:
    """One per topic and attempt is the rule; further attempts are no fault, nor is the caption at the end."""
    made = tally(base=0)
    for topic, attempt in (("5s", 1), ("60s", 2), ("60s", 3), ("60s", None), ("60s", None), ("60s", 999)):
        made.retried(1, topic, attempt, is_open=False)
    made.retried(1, "60s", 999, is_open=False)
    made.ended(1, Ending.CAPTION, "c-0-0")
    assert made.account().double == ()
    made.retried(2, "5s", 1, is_open=True)
    made.retried(2, "5s", 1, is_open=True)
    assert made.account().double == (2,)


def test_further_endings_are_named() -> None:
    """The place of each ending after the first one."""
    made = tally()
    for place in ("c-0-0", "c-0-1", "c-1-7"):
        made.ended(4, Ending.CAPTION, place)
    assert made.account().again == {4: ["c-0-1", "c-1-7"]}


@pytest.mark.parametrize("how", Ending)
def test_counters_do_not_wrap(how: Ending) -> None:
    """Hundreds of endings of one input are still double."""
    made = tally()
    for _ in range(513):
        made.ended(4, how, "c-0-0")
    assert made.account().double == (4,)


def test_no_partitions_add_up_to_nothing() -> None:
    """The totals have a name for each sum."""
    none: list[Account] = []
    assert set(total(none).values()) == {0}

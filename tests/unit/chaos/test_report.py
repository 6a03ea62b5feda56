"""The table of faults."""

from __future__ import annotations

from tests.chaos.report import HEAD, Done, Effect, effects, rows, summary, table
from tests.chaos.schedule import Kind
from tests.chaos.verdict import End, Fetch, judged

CONSUMER, BROKER = Kind.CONSUMER, Kind.BROKER


def test_effects_of_two_faults() -> None:
    """Until the next caption, the longest silence up to the next fault, and what was fetched again."""
    done = [Done(CONSUMER, 10, 1), Done(BROKER, 20, 1)]
    captions = [9.0, 10.5, 14.5, 15.0, 26.0]
    fetches = [Fetch(at, "r1", again=again) for at, again in [(9, True), (11, True), (12, False), (25, True)]]
    assert effects(done, captions, fetches) == [
        Effect(CONSUMER, next_s=0.5, silence_s=4.0, again=1),
        Effect(BROKER, next_s=6.0, silence_s=6.0, again=1),
    ]


def test_a_silence_that_outlasts_the_next_fault() -> None:
    """The first caption after a fault ends its silence, whatever came in between."""
    done = [Done(CONSUMER, 10, 1), Done(BROKER, 12, 1)]
    assert [(one.next_s, one.silence_s) for one in effects(done, [15.0], [])] == [(5, 5), (3, 3)]


def test_no_caption_any_more() -> None:
    """A fault after which nothing came is told as such."""
    (found,) = effects([Done(BROKER, 10, 1)], [9.0], [])
    assert (found.next_s, found.silence_s) == (None, None)
    assert (
        table(rows([found])) == f"{HEAD}\n| kill -9 of one broker of three | 1 | never | never | never | 0 |"
    )


def test_a_fault_without_a_caption_after_it_is_counted_apart() -> None:
    """The numbers of a row say how many faults they are of."""
    found = [Effect(CONSUMER, 1, 2, 3), Effect(CONSUMER, None, None, 0)]
    (line,) = table(rows(found)).splitlines()[2:]
    assert line == "| kill -9 of a consumer replica | 2, 1 at the end | 1.0 s | 1.0 s | 2.0 s | 3 |"


def test_one_row_for_each_kind() -> None:
    """Median and maximum over all faults of a kind, sums of what was fetched again."""
    found = [Effect(CONSUMER, 1, 2, 3), Effect(BROKER, 9, 9, 0), Effect(CONSUMER, 5, 6, 4)]
    assert table(rows(found)).splitlines()[2:] == [
        "| kill -9 of a consumer replica | 2 | 3.0 s | 5.0 s | 6.0 s | 7 |",
        "| kill -9 of one broker of three | 1 | 9.0 s | 9.0 s | 9.0 s | 0 |",
    ]


def test_the_run_in_a_sentence() -> None:
    """It names the delivery, the numbers and the seconds."""
    verdict = judged({}, [End("z", captioned=True)], {})
    assert summary(verdict, "exactly_once", 3, 61.4) == (
        "exactly_once: 0 requests, 3 SIGKILLs, 61 s; 1 captions, 0 dead letters, "
        "0 lost, 0 not done, 0 duplicated; dead letters that only the faults made: none."
    )

"""Stopping when there are too many dead letters."""

from __future__ import annotations

from consumers.breaker import Breaker, BreakerLimits
from consumers.records import OutputRecord
from tests.unit.consumers.samples import NAMES

CAPTION = (OutputRecord(NAMES.captions, None, b""),)
DEAD = (OutputRecord(NAMES.dead_letters, None, b""),)
RETRY = (OutputRecord("video.requests.retry.5s", None, b""),)


def reason(
    *ends: tuple[OutputRecord, ...], in_a_row: int = 3, share: float = 0.5, window: int = 6
) -> str | None:
    breaker = Breaker(BreakerLimits(in_a_row, share, window), NAMES)
    for outputs in ends:
        breaker.note(outputs)
    return breaker.reason


def test_dead_letters_in_a_row() -> None:
    """A caption between them ends the row; a record that goes to be tried again has not ended."""
    assert reason(DEAD, DEAD, CAPTION, DEAD, in_a_row=2) is None
    assert reason(DEAD, RETRY, DEAD, in_a_row=2) is None
    assert reason(DEAD, RETRY, DEAD, DEAD, in_a_row=2) == "3 dead letters in a row"


def test_share_of_the_last_results() -> None:
    """The share counts once the window is full, and only what is in it."""
    assert reason(DEAD, CAPTION, DEAD, DEAD, CAPTION) is None
    assert reason(DEAD, CAPTION, DEAD, DEAD, CAPTION, CAPTION) is None
    assert reason(CAPTION, *[DEAD, CAPTION, DEAD] * 2) == "4 of the last 6 records became dead letters"


def test_it_stays_open() -> None:
    """A caption that was in flight does not make it read again."""
    assert reason(DEAD, DEAD, DEAD, CAPTION, in_a_row=2) == "3 dead letters in a row"


def test_it_can_be_switched_off() -> None:
    """No row and the whole as share never stop."""
    assert reason(*[DEAD] * 50, in_a_row=0, share=1) is None

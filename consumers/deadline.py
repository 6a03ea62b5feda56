"""One time limit for several waits, and for calls that do not keep theirs.

librdkafka's ``send_offsets_to_transaction`` takes a time-out and never looks at it
(confluentinc/librdkafka#5456): when the group's coordinator goes away at the wrong moment it waits for
ever. Such a call is made on a thread of its own, which is left behind when the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

MIN_WAIT_S = 0.1
SLACK_S = 0.5
"""What a call that keeps its time-out may take longer."""


class Deadline:
    """So many seconds from now."""

    def __init__(self, timeout_s: float) -> None:
        self._at = time.monotonic() + timeout_s

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return time.monotonic() >= self._at

    @property
    def left_s(self) -> float:
        """The time-out for the next request; what was begun gets a moment even when time is over."""
        return max(MIN_WAIT_S, self._at - time.monotonic())

    def call(self, work: Callable[[], None]) -> None:
        """Do ``work`` and raise what it raises; ``TimeoutError`` if it does not end.

        It may still end later, so what it uses must be harmless by then: of a producer that was left
        behind, the broker takes nothing any more once a new one with its id is open.
        """
        ended: Future[None] = Future()

        def run() -> None:
            try:
                work()
                ended.set_result(None)
            except Exception as error:  # noqa: BLE001  the thread's outermost frame: handed to the caller
                ended.set_exception(error)

        left_s = self.left_s
        Thread(target=run, name="kafka-request", daemon=True).start()
        try:
            ended.result(left_s + SLACK_S)
        except TimeoutError:
            raise TimeoutError(f"not ended after {left_s:.1f} s") from None

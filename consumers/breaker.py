"""When so many records become dead letters that it must be our own fault: stop reading."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from consumers.records import Names, OutputRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """It opens above so many dead letters in a row (0: never), or above this share of the last ``window``."""

    in_a_row: int
    share: float
    window: int


class Breaker:
    """Sees every result; once open it stays open (:mod:`consumers.halt`)."""

    def __init__(self, limits: BreakerLimits, names: Names) -> None:
        self._limits = limits
        self._names = names
        self._row = 0
        self._dead = 0
        self._last: deque[bool] = deque(maxlen=limits.window)
        self.told: Callable[[str], None] = lambda _: None
        """Is called with the reason when it opens."""
        self.reason: str | None = None
        """Why it is open, ``None`` while it is closed."""

    def open(self, reason: str) -> None:
        """Open it for a reason from elsewhere; the first one is kept."""
        if self.reason is None:
            log.error("stopped reading: %s", reason)
            self.reason = reason
            self.told(reason)

    def note(self, outputs: tuple[OutputRecord, ...]) -> None:
        """Count a record that ended as these; one that goes to be tried again has not ended."""
        topics = {output.topic for output in outputs}
        dead = self._names.dead_letters in topics
        if not dead and self._names.captions not in topics:
            return
        self._row = self._row + 1 if dead else 0
        if len(self._last) == self._limits.window:
            self._dead -= self._last[0]
        self._last.append(dead)
        self._dead += dead
        if (judged := self._judged()) is not None:
            self.open(judged)

    def _judged(self) -> str | None:
        limits = self._limits
        if limits.in_a_row and self._row > limits.in_a_row:
            return f"{self._row} dead letters in a row"
        if len(self._last) == limits.window and self._dead > limits.share * limits.window:
            return f"{self._dead} of the last {limits.window} records became dead letters"
        return None

"""Counts what became of each input offset, without I/O: four bytes an offset, whatever their number.

Theory. A record that is done has exactly one output: a caption, a dead letter, or a retry record, which is
in turn done or not. So of an input that is done there is, in the end, one caption, one dead letter or one
*open* retry record (one that nobody has done yet). Inputs that are not done may have nothing, and are
*undone*: above the watermark, and not among what is finished there.

What is read last is newer than what is read first. The reader asks for the done offsets first, so an input
that ends meanwhile is at worst called open although its caption is counted: that is no error, and is
counted as ended. For the same reason an ending whose input came after the inputs were read is ignored.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consumers.ledger import Partition

MOST = 255  # where a counter of one byte stops
MAX_AGAIN = 1000
Mask = NDArray[np.bool_]


class Ending(Enum):
    """How an input can end."""

    CAPTION = "caption"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a group has done on a partition: every offset below ``base``, and the flagged ones from it up.

    ``finished`` has a byte, 0 or 1, for each offset from ``base``.
    """

    base: int
    finished: bytes = b""

    def done(self, offset: int) -> bool:
        """Whether this offset is done."""
        above = offset - self.base
        return above < 0 or (above < len(self.finished) and self.finished[above] == 1)


@dataclass(frozen=True, slots=True)
class Account:
    """How the inputs of one partition ended: ``captions`` to ``undone`` are counts of sound inputs.

    ``missing``, ``double`` and ``stray`` are offsets: done without any ending; with more than one; and
    endings of an offset that holds no input. ``again`` names places of second endings, as far as noted.
    """

    partition: Partition
    inputs: int
    captions: int
    dead_letters: int
    open_retries: int
    undone: int
    missing: tuple[int, ...]
    double: tuple[int, ...]
    stray: tuple[int, ...]
    again: dict[int, list[str]]

    @property
    def sound(self) -> bool:
        """Whether every input ended, or will end, exactly once."""
        return not (self.missing or self.double or self.stray)


@dataclass(slots=True)
class Tally:
    """The counters of the offsets ``start`` up to ``end`` of one partition."""

    partition: Partition
    start: int
    end: int
    standing: Standing
    _inputs: bytearray = field(init=False)
    _endings: dict[Ending, bytearray] = field(init=False)
    _retries: bytearray = field(init=False)
    _attempts: dict[str, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("q")))
    _again: dict[int, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = self.end - self.start
        self._inputs, self._retries = bytearray(size), bytearray(size)
        self._endings = {kind: bytearray(size) for kind in Ending}

    def input(self, offset: int) -> None:
        """A record stands at this offset."""
        if self.start <= offset < self.end:
            self._inputs[offset - self.start] = 1

    def ended(self, offset: int, how: Ending, place: str) -> None:
        """A caption or dead letter of this input stands at ``place``."""
        if self.start <= offset < self.end:
            index = offset - self.start
            if any(counter[index] for counter in self._endings.values()) and len(self._again) < MAX_AGAIN:
                self._again.setdefault(offset, []).append(place)
            counter = self._endings[how]
            counter[index] = min(MOST, counter[index] + 1)

    def retried(self, offset: int, topic: str, attempt: int | None, *, is_open: bool) -> None:
        """A retry record of this input stands on ``topic``; open if nobody has done it yet.

        Two on one topic with the same ``attempt`` are a double.
        """
        if self.start <= offset < self.end:
            if is_open:
                self._retries[offset - self.start] = 1
            if attempt is not None and attempt <= MOST:
                self._attempts[topic].append(offset << 8 | attempt)

    def account(self) -> Account:
        """The sums."""
        inputs = _array(self._inputs) > 0
        captions, letters = (_array(self._endings[kind]) for kind in Ending)
        endings = captions.astype(np.uint16) + letters
        retries = _array(self._retries) > 0
        doubled = endings > 1
        doubled[self._retried_twice() - self.start] = True
        pending = inputs & (endings == 0) & ~doubled
        undone = pending & ~retries & ~self._done()
        once = inputs & (endings == 1) & ~doubled
        return Account(
            partition=self.partition,
            inputs=int(inputs.sum()),
            captions=int((once & (captions > 0)).sum()),
            dead_letters=int((once & (letters > 0)).sum()),
            open_retries=int((pending & retries).sum()),
            undone=int(undone.sum()),
            missing=self._offsets(pending & ~retries & ~undone),
            double=self._offsets(doubled & inputs),
            stray=self._offsets(~inputs & ((endings > 0) | retries)),
            again=self._again,
        )

    def _done(self) -> Mask:
        done = np.zeros(self.end - self.start, np.bool_)
        base = max(0, self.standing.base - self.start)
        done[:base] = True
        skipped = max(0, self.start - self.standing.base)
        above = _array(self.standing.finished)[skipped:]
        room = done[base : base + len(above)]
        room[:] = above[: len(room)] > 0
        return done

    def _retried_twice(self) -> NDArray[np.int64]:
        twice = [np.zeros(0, np.int64)]
        for packed in self._attempts.values():
            found, counts = np.unique(np.frombuffer(packed, np.int64), return_counts=True)
            twice.append(found[counts > 1] >> 8)
        return np.unique(np.concatenate(twice))

    def _offsets(self, mask: Mask) -> tuple[int, ...]:
        return tuple((np.flatnonzero(mask) + self.start).tolist())


def _array(data: bytes | bytearray) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def total(accounts: Iterable[Account]) -> dict[str, int]:
    """The sums of all partitions by name."""
    names: dict[str, Any] = {
        "inputs": lambda a: a.inputs,
        "captions": lambda a: a.captions,
        "dead_letters": lambda a: a.dead_letters,
        "open_retries": lambda a: a.open_retries,
        "undone": lambda a: a.undone,
        "missing": lambda a: len(a.missing),
        "double": lambda a: len(a.double),
        "stray": lambda a: len(a.stray),
    }
    kept = list(accounts)
    return {name: sum(of(account) for account in kept) for name, of in names.items()}

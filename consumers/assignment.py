"""The work on one partition, from the moment that it is ours until it goes: plain state, no decisions."""

from __future__ import annotations

from consumers.bitmap import WINDOW
from consumers.progress import Progress, encode, runs_of
from consumers.records import OutputRecord
from consumers.settlement import Position, Ticket

CAUTION = 1000
"""After a process died, so many records are announced before work on them begins."""


class Assignment:
    """``low`` is the first offset that is not finished; ``flags`` has a byte for each offset from there.

    Below ``low`` everything is done, or ready to be done with the next settlement. ``told`` is what was
    committed last, ``None`` before the first time; ``version`` counts what has changed. While it is
    ``guarded`` a record may have to wait before it begins: for the first commit, or for what a process
    died of.
    """

    def __init__(self, epoch: int, progress: Progress, crash_limit: int) -> None:
        self.epoch = epoch
        self.low = progress.base
        self.seen = progress.base
        self.flags = bytearray(progress.finished)
        self.sizes: dict[int, int] = {}  # of what is in flight or ready
        self.ready: dict[Ticket, tuple[OutputRecord, ...]] = {}
        self.crashes = progress.crash_counts(crash_limit)
        self.caution = CAUTION if progress.seen is not None else 0
        self.intended = progress.base
        self.alone: int | None = None
        self.told: Position | None = None
        self.guarded = True
        self.start = progress.base
        self.version = 0
        self.told_version = 0

    def is_finished(self, offset: int) -> bool:
        """Whether nothing is left to do for an offset."""
        place = offset - self.low
        return place < 0 or (place < len(self.flags) and self.flags[place] == 1)

    def fits(self, end: int) -> bool:
        """Whether everything below ``end`` can be told beside the watermark."""
        if end - self.low <= WINDOW:
            return True
        self.advance()
        return self.low >= self.seen or end - self.low <= WINDOW

    def close_gap(self, offset: int) -> None:
        """Note that no record will come between those that were seen and ``offset``."""
        if offset <= self.seen:
            return
        start, self.seen = max(self.seen, self.low), offset
        if offset <= start:
            return
        self.version += 1
        self.advance()
        if self.low >= start:
            # Nothing below is unfinished: however wide the gap, the watermark passes it.
            del self.flags[: offset - self.low]
            self.low = offset
            return
        length = offset - self.low
        self.flags.extend(bytes(max(0, length - len(self.flags))))
        self.flags[start - self.low : length] = b"\1" * (offset - start)

    def begin(self, offset: int, size: int) -> None:
        """Note a record in flight."""
        if offset > self.seen:
            self.close_gap(offset)
        self.seen = offset + 1
        self.version += 1
        self.sizes[offset] = size
        if self.caution:
            self.caution -= 1
        missing = offset - self.low - len(self.flags)
        if missing == 0:
            self.flags.append(0)
        elif missing > 0:
            self.flags.extend(bytes(missing + 1))

    def finish(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        """Note what became of a record in flight."""
        self.ready[ticket] = outputs
        self.flags[ticket.offset - self.low] = 1
        self.version += 1
        if self.crashes:
            self.crashes.pop(ticket.offset, None)
        if self.alone == ticket.offset:
            self.alone = None

    def tell(self, position: Position) -> None:
        """Note what was committed."""
        self.told = position
        self.told_version = position.version
        self.guarded = position.seen is None or bool(self.crashes) or self.caution > 0

    def advance(self) -> None:
        """Move ``low`` to the first offset that is not finished."""
        ahead = self.flags.find(0)
        ahead = len(self.flags) if ahead < 0 else ahead
        if ahead:
            del self.flags[:ahead]
            self.low += ahead

    def position(self, *, final: bool) -> Position:
        """What to commit once everything ready is published; a final one leaves in good order."""
        self.advance()
        seen = None if final else max(self.seen, self.intended, self.low)
        alone = None if final else self.alone
        finished = bytes(self.flags.rstrip(b"\0"))
        if self.crashes:
            # Offsets that turned out to be gaps are suspects no more.
            self.crashes = {o: n for o, n in self.crashes.items() if not self.is_finished(o)}
        runs = runs_of(self.crashes, finished, self.low) if self.crashes else ()
        text = encode(Progress(self.low, finished, seen, alone, runs))
        return Position(self.low, text, seen, alone, self.epoch, self.version)

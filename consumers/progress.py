"""How far the work on a partition is, as the text beside a committed offset.

The offset itself is the watermark: everything below is done. The text holds what the offset cannot say,
so that another process goes on exactly there:

- which offsets above the watermark are finished already: they are not done again;
- ``seen``: work may have begun on every offset below it. A process that leaves in good order writes none.
  Where there is one, the process died, and what it had begun and not finished is *suspect*;
- how many processes died with each suspect, and ``alone``: the one that was being worked on by itself.

``c1:`` and base85 of a CRC-32 and the fields. The checksum covers the offset too: a text that somebody
copied to another offset, or that was never ours, is refused as a whole. Then nothing is known beyond the
offset, records are done again, and none is skipped.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from consumers.bitmap import BitmapError, pack, read_varints, unpack, varints

MAX_CHARS = 4096
"""``offset.metadata.max.bytes`` of a broker, unless somebody changed it."""
MAX_RUNS = 32
MAX_CRASHES = 127  # one byte each
PREFIX = "c1:"
HAS_SEEN, HAS_ALONE = 1, 2


class MetadataError(ValueError):
    """A text beside a committed offset that this version did not write for that offset."""


@dataclass(frozen=True, slots=True)
class Run:
    """Suspects from ``start`` up to ``stop``, without those that finished; so many processes died each."""

    start: int
    stop: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """``finished`` has a byte, 0 or 1, for each offset from ``base`` up, without zeros at the end."""

    base: int
    finished: bytes = b""
    seen: int | None = None
    alone: int | None = None
    suspects: tuple[Run, ...] = ()

    def clamped(self, low: int, high: int) -> Progress:
        """The same within what the log holds, from ``low`` up to ``high``.

        A base beyond the end means that the log began again: nothing said about it is true any more.
        """
        if self.base > high:
            return Progress(low)
        base = max(self.base, low)
        return replace(
            self,
            base=base,
            finished=self.finished[base - self.base : high - self.base].rstrip(b"\0"),
            seen=None if self.seen is None else min(self.seen, high),
        )

    def left_alive(self) -> Progress:
        """The same, known to come from a process that did not die of what it had begun."""
        return replace(self, seen=None, alone=None)

    def crash_counts(self, limit: int) -> dict[int, int]:
        """Suspects and how many processes died with each, if this was read on taking a partition over.

        Who was alone is counted up. Otherwise everything in flight is, but only to below ``limit``:
        a record is not condemned for what its neighbours may have done.
        """
        counts = {
            offset: run.crashes
            for run in self.suspects
            for offset in self._undone(max(run.start, self.base), run.stop)
        }
        if self.alone is not None:
            if self.alone >= self.base:
                counts[self.alone] = counts.get(self.alone, 0) + 1
        elif self.seen is not None:
            for offset in self._undone(self.base, self.seen):
                count = counts.get(offset, 0)
                counts[offset] = max(count, min(count + 1, limit - 1))
        return counts

    def _undone(self, start: int, stop: int) -> list[int]:
        known = self.base + len(self.finished)
        inside = [o for o in range(start, min(stop, known)) if not self.finished[o - self.base]]
        return [*inside, *range(max(start, known), stop)]


def runs_of(counts: Mapping[int, int], finished: bytes | bytearray, base: int) -> tuple[Run, ...]:
    """Crash counts as few runs; offsets that finished do not interrupt one.

    Beyond ``MAX_RUNS`` the lowest counts are forgotten: that costs a bad record some more processes, and
    a good one nothing.
    """
    runs: list[Run] = []
    start = stop = base
    crashes = -1
    for offset in sorted(counts):
        count = min(counts[offset], MAX_CRASHES)
        if count != crashes or (offset != stop and not _all_finished(finished, stop - base, offset - base)):
            if stop > start:
                runs.append(Run(start, stop, crashes))
            start, crashes = offset, count
        stop = offset + 1
    if stop > start:
        runs.append(Run(start, stop, crashes))
    worst = sorted(runs, key=lambda run: run.crashes, reverse=True)[:MAX_RUNS]
    return tuple(sorted(worst, key=lambda run: run.start))


def _all_finished(finished: bytes | bytearray, start: int, stop: int) -> bool:
    between = finished[start:stop]
    return len(between) == stop - start and 0 not in between


def encode(progress: Progress) -> str:
    """The text, at most ``MAX_CHARS``; empty where the offset says it all."""
    if progress == Progress(progress.base):
        return ""
    places = [place for place in (progress.seen, progress.alone) if place is not None]
    fields = [max(0, place - progress.base) for place in places]
    fields.append(len(progress.suspects))
    at = progress.base
    for run in progress.suspects:
        fields += (run.start - at, run.stop - run.start, run.crashes)
        at = run.stop
    head = varints(fields)
    present = HAS_SEEN * (progress.seen is not None) | HAS_ALONE * (progress.alone is not None)
    body = bytes((present,)) + varints([len(head)]) + head + pack(progress.finished)
    return PREFIX + base64.b85encode(_checksum(progress.base, body) + body).decode()


def decode(base: int, text: str | None) -> Progress:
    """Read the text beside the committed offset ``base``; ``MetadataError`` if it is not ours."""
    if not text:
        return Progress(base)
    if not text.startswith(PREFIX):
        raise MetadataError(f"it starts with {text[:8]!r}, not with {PREFIX!r}")
    try:
        data = base64.b85decode(text.removeprefix(PREFIX))
        if PREFIX + base64.b85encode(data).decode() != text:
            raise MetadataError("its base85 is not as it is written")
        if data[:4] != _checksum(base, data[4:]):
            raise MetadataError(f"its checksum is not that of offset {base}")
        return _fields(base, data[4:])
    except (BitmapError, IndexError, ValueError) as error:
        raise MetadataError(str(error)) from error


def _fields(base: int, body: bytes) -> Progress:
    present, rest = body[0], body[1:]
    ends = next(index for index, byte in enumerate(rest) if not byte & 0x80) + 1
    (size,) = read_varints(rest[:ends])
    fields = read_varints(rest[ends : ends + size])
    seen = base + fields.pop(0) if present & HAS_SEEN else None
    alone = base + fields.pop(0) if present & HAS_ALONE else None
    runs = []
    at = base
    for index in range(fields.pop(0)):
        gap, length, crashes = fields[3 * index : 3 * index + 3]
        runs.append(Run(at + gap, at + gap + length, crashes))
        at += gap + length
    return Progress(base, unpack(rest[ends + size :]), seen, alone, tuple(runs))


def _checksum(base: int, body: bytes) -> bytes:
    return zlib.crc32(base.to_bytes(8) + body).to_bytes(4)

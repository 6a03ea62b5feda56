"""Dead letters as values: what they say, which are chosen, and the request that each becomes again.

A replayed request has the key, the value and the foreign headers of the original. Of our own headers it
keeps two, its name and the time it was first seen, and gets two: the place of the letter that it was
replayed from, and how often it was replayed. Attempts, origin and reasons are gone: for the consumer it is
a new record, with an offset and an ending of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from consumers.ledger import Partition
from consumers.origins import Place, place_from
from consumers.records import (
    CONNECT,
    FIRST_SEEN,
    ID,
    OWN,
    REPLAYED_FROM,
    VALUE_OMITTED,
    Headers,
    InputRecord,
    OutputRecord,
)

REPLAYS = OWN + "replays"
PLACE = ("topic", "partition", "offset")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, read. ``origin`` is where the request stood, ``None`` if the headers do not say.

    ``omitted_bytes`` is the request's size where the letter had no room for its value.
    """

    place: Place
    timestamp_ms: int
    id: str
    stage: str
    error_class: str
    message: str
    attempts: int
    origin: Place | None
    omitted_bytes: int | None
    record: InputRecord

    @property
    def replays(self) -> int:
        """How often the request had been replayed before it ended here."""
        return _number(_texts(self.record), REPLAYS) or 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters; what is not said is not asked for. ``ids`` are request ids or places of letters."""

    error_class: str | None = None
    stage: str | None = None
    since_ms: int | None = None
    ids: frozenset[str] = frozenset()

    def takes(self, letter: Letter) -> bool:
        """Whether every condition holds."""
        return (
            self.error_class in (None, letter.error_class)
            and self.stage in (None, letter.stage)
            and (self.since_ms is None or letter.timestamp_ms >= self.since_ms)
            and (not self.ids or letter.id in self.ids or str(letter.place) in self.ids)
        )


def letter_of(record: InputRecord) -> Letter:
    """Read a record of the dead letter topic; headers that are missing or damaged read as empty."""
    texts = _texts(record)
    return Letter(
        place=_place_of(record),
        timestamp_ms=record.timestamp_ms if record.timestamp_ms is not None else -1,
        id=texts.get(ID, ""),
        stage=texts.get(CONNECT + "stage", ""),
        error_class=texts.get(CONNECT + "exception.class.name", ""),
        message=texts.get(CONNECT + "exception.message", ""),
        attempts=_number(texts, OWN + "attempts") or 0,
        origin=place_from(*(dict(record.headers).get(CONNECT + name) for name in PLACE)),
        omitted_bytes=_number(texts, VALUE_OMITTED),
        record=record,
    )


def is_value_of(found: InputRecord | None, letter: Letter) -> bool:
    """Whether this record, found at the letter's origin, is the request that the letter had no room for."""
    return found is not None and found.key == letter.record.key and found.size == letter.omitted_bytes


def request_again(letter: Letter, source: InputRecord, topic: str) -> OutputRecord:
    """The request to be produced; ``source`` has its value: the letter's own record, or the original."""
    texts = _texts(source)
    replays = (_number(texts, REPLAYS) or 0) + 1
    foreign = tuple((name, value) for name, value in source.headers if not name.startswith((OWN, CONNECT)))
    kept = tuple((name, value) for name, value in letter.record.headers if name in (ID, FIRST_SEEN))
    added: Headers = ((REPLAYED_FROM, str(letter.place).encode()), (REPLAYS, str(replays).encode()))
    return OutputRecord(topic, source.key, source.value, foreign + kept + added)


def _place_of(record: InputRecord) -> Place:
    return Place(Partition(record.topic, record.partition), record.offset)


def _texts(record: InputRecord) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def _number(texts: dict[str, str], name: str) -> int | None:
    text = texts.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None

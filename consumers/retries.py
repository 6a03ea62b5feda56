"""Records that are tried again later: where they go, when they are due, and where they came from.

A transient failure becomes a record on the topic of the next delay, ``<requests>.retry.<delay>``: key,
value and headers as they came, and headers of ours that say what was tried, when it is due and where the
request stood at first. Read back, it is that first request again, so ids and results do not change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from consumers.attempts import Failures, from_text, to_text
from consumers.records import FIRST_SEEN, OWN, REPLAYED_FROM, Headers, InputRecord, OutputRecord
from serve_app.errors import Failure

ORIGIN = OWN + "origin."
LAST_ERROR = OWN + "last_error."
MAX_MESSAGE_CHARS = 300


@dataclass(frozen=True, slots=True)
class RetryTopic:
    """A topic whose records wait for ``delay_ms``."""

    name: str
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record as the work on it sees it: where the request stood at first, and what was tried so far."""

    record: InputRecord
    attempts: int = 0
    failures: Failures = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retries:
    """The retry topics in the order of their delays."""

    topics: tuple[RetryTopic, ...] = ()

    def next_after(self, topic: str) -> RetryTopic | None:
        """Where a record of this topic goes next; after the last one there again, ``None`` without any."""
        names = [retry.name for retry in self.topics]
        following = names.index(topic) + 1 if topic in names else 0
        return self.topics[min(following, len(names) - 1)] if names else None

    def arrival(self, record: InputRecord) -> Arrival:
        """Read a record of the requests topic or of a retry topic.

        Our headers count on our own topics only: a request cannot say that it came from elsewhere. A
        record that somebody else put on a retry topic is a request like any other.
        """
        if all(record.topic != retry.name for retry in self.topics):
            return Arrival(record)
        own = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
        try:
            timestamp_ms = int(own[ORIGIN + "timestamp_ms"])
            first = InputRecord(
                topic=own[ORIGIN + "topic"],
                partition=int(own[ORIGIN + "partition"]),
                offset=int(own[ORIGIN + "offset"]),
                key=record.key,
                value=record.value,
                headers=_foreign(record.headers) + _replays(record.headers),
                timestamp_ms=timestamp_ms if timestamp_ms >= 0 else None,
            )
            return Arrival(first, int(own[OWN + "attempt"]), from_text(own[OWN + "failures"]))
        except (KeyError, ValueError):
            return Arrival(record)


def retry_record(arrival: Arrival, failure: Failure, topic: RetryTopic, now_ms: int) -> OutputRecord:
    """Make the record that is due ``topic.delay_ms`` from now; ``arrival.attempts`` were made in all."""
    first = arrival.record
    timestamp_ms = first.timestamp_ms if first.timestamp_ms is not None else -1
    told = {
        OWN + "attempt": arrival.attempts,
        OWN + "failures": to_text(arrival.failures),
        OWN + "due_ms": now_ms + topic.delay_ms,
        OWN + "first_seen_ms": first.first_seen_ms,
        ORIGIN + "topic": first.topic,
        ORIGIN + "partition": first.partition,
        ORIGIN + "offset": first.offset,
        ORIGIN + "timestamp_ms": timestamp_ms,
        LAST_ERROR + "stage": failure.stage,
        LAST_ERROR + "class": failure.error_class,
        LAST_ERROR + "message": failure.message[:MAX_MESSAGE_CHARS],
    }
    headers = tuple((name, str(value).encode()) for name, value in told.items())
    return OutputRecord(topic.name, first.key, first.value, _foreign(first.headers) + headers)


def due_ms(record: InputRecord) -> int:
    """When a retry record is due, in ms since the epoch; 0 where nobody said it."""
    for name, value in record.headers:
        if name == OWN + "due_ms":
            try:
                return int(value or b"0")
            except ValueError:
                return 0
    return 0


def _replays(headers: Headers) -> Headers:
    """What a replayed request brought along of ours: when it was seen first, before any replay."""
    replayed = any(name == REPLAYED_FROM for name, _ in headers)
    return tuple((name, value) for name, value in headers if replayed and name == FIRST_SEEN)


def _foreign(headers: Headers) -> Headers:
    ours = (ORIGIN, LAST_ERROR, OWN + "attempt", OWN + "failures", OWN + "due_ms", OWN + "first_seen_ms")
    return tuple((name, value) for name, value in headers if not name.startswith(ours))

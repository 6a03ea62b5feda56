"""What a Kafka record means, and what becomes of it: values in, values out, no I/O.

A request's value is a JSON object (``capstream.request/v1``), a bare URL, a JSON string that holds a
URL, or a JSON list of chat messages. Each ends as one caption record or one dead letter.

A dead letter keeps key, value and headers of the request byte for byte; what happened is told in
added headers: the names of Kafka Connect's error handler (``__connect.errors.*``, text values) and
``capstream.*``. Headers that an earlier failure left are replaced, not repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from serve_app.errors import Failure, ResultTooLargeError
from serve_app.schema import (
    Captioned,
    CaptionRecord,
    CaptionRequest,
    Origin,
)

CONNECT = "__connect.errors."
OWN = "capstream."
ID = OWN + "id"
ORIGIN = OWN + "origin"
REPLAYED_FROM = OWN + "replayed_from"
FIRST_SEEN = OWN + "first_seen_ms"
VALUE_OMITTED = OWN + "value_omitted_bytes"
MAX_MESSAGE_CHARS = 1000

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A record as it was read. ``timestamp_ms`` is since the epoch, ``None`` if the record has none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")

    @property
    def place(self) -> str:
        """Where it stands: topic-partition-offset."""
        return _place(self)

    @property
    def id(self) -> str:
        """Name of the record where its request gives none: its place, or the name it had before a replay."""
        return self._kept(ID) or self.place

    @property
    def first_seen_ms(self) -> int:
        """Time of the request's first record since the epoch, before any replay; -1 if it has none."""
        kept = self._kept(FIRST_SEEN)
        if kept.isascii() and kept.isdigit():
            return int(kept)
        return self.timestamp_ms if self.timestamp_ms is not None else -1

    def _kept(self, name: str) -> str:
        # Our own names count on a replayed record only: anybody may have written them on another.
        headers = dict(self.headers)
        value = headers.get(name) if REPLAYED_FROM in headers else None
        return (value or b"").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A record to be produced."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    if_too_large: Callable[[], OutputRecord] | None = field(default=None, compare=False, repr=False)
    """What to produce instead where the broker finds this one too large."""


@dataclass(frozen=True, slots=True)
class Names:
    """The topics that results go to."""

    captions: str
    dead_letters: str
    windows: str | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands on every result: the settings and the consumer replica that made it."""

    config_hash: str
    consumer: str
    engine: str = ""
    """The engine's kind, and its model where it has one: ``vllm/Qwen/Qwen2.5-VL-7B-Instruct``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a record that failed is told about."""

    failure: Failure
    attempts: int
    request_id: str
    marks: Marks


def caption_record(
    record: InputRecord, request: CaptionRequest, captioned: Captioned, attempts: int, marks: Marks
) -> CaptionRecord:
    """Tie a caption to the record that asked for it."""
    return CaptionRecord(
        id=request.id or record.id,
        request=origin_of(record),
        attempts=attempts,
        config_hash=marks.config_hash,
        metadata=request.metadata,
        **{name: getattr(captioned, name) for name in Captioned.model_fields},
    )


def origin_of(record: InputRecord) -> Origin:
    """The request's place."""
    return Origin(
        topic=record.topic, partition=record.partition, offset=record.offset, timestamp_ms=record.timestamp_ms
    )


def caption_output(record: InputRecord, caption: CaptionRecord, names: Names, marks: Marks) -> OutputRecord:
    """Make the record for the captions topic: the request's key, JSON, and headers to filter by."""
    headers = tuple(
        (OWN + name, text.encode())
        for name, text in (
            ("id", caption.id),
            ("schema", caption.schema_),
            ("consumer", marks.consumer),
            ("origin", _place(caption.request) if caption.request else record.place),
        )
    )
    value = caption.model_dump_json(by_alias=True).encode()
    failure = Failure.of(
        ResultTooLargeError(f"the caption record has {len(value)} bytes, too many for the topic")
    )
    verdict = Verdict(failure, caption.attempts, caption.id, marks)
    return OutputRecord(
        names.captions, record.key, value, headers, partial(dead_letter, record, verdict, names)
    )


def _place(at: InputRecord | Origin) -> str:
    return f"{at.topic}-{at.partition}-{at.offset}"


def dead_letter(record: InputRecord, verdict: Verdict, names: Names) -> OutputRecord:
    """Make the record for the dead letter topic: the request as it came, and why it ended there."""
    told = _told(record, verdict)
    kept = tuple((name, value) for name, value in record.headers if name not in dict(told))
    return OutputRecord(
        names.dead_letters,
        record.key,
        record.value,
        kept + told,
        partial(_bare_letter, record, verdict, names),
    )


def _bare_letter(record: InputRecord, verdict: Verdict, names: Names) -> OutputRecord:
    # The request as it came, with what is told about it, exceeds the topic's record size. It still
    # stands on its own topic, at the place that the headers name.
    note = ((VALUE_OMITTED, str(record.size).encode()),)
    return OutputRecord(names.dead_letters, record.key, None, _told(record, verdict) + note)


def _told(record: InputRecord, verdict: Verdict) -> Headers:
    failure = verdict.failure
    message = failure.message[:MAX_MESSAGE_CHARS]
    told = {
        CONNECT + "topic": record.topic,
        CONNECT + "partition": str(record.partition),
        CONNECT + "offset": str(record.offset),
        CONNECT + "stage": failure.stage,
        CONNECT + "class.name": f"serve_app.{failure.stage}",
        CONNECT + "exception.class.name": failure.error_class,
        CONNECT + "exception.message": message,
        CONNECT + "exception.stacktrace": f"{failure.error_class}: {message}",
        ID: verdict.request_id,
        OWN + "family": failure.family,
        OWN + "attempts": str(verdict.attempts),
        OWN + "config_hash": verdict.marks.config_hash,
        OWN + "consumer": verdict.marks.consumer,
        OWN + "engine": verdict.marks.engine,
        FIRST_SEEN: str(record.first_seen_ms),
    }
    return tuple((name, text.encode(errors="replace")) for name, text in told.items())

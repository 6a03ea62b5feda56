"""From librdkafka's messages to what the loop understands."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, Message

from consumers.records import Headers, InputRecord
from consumers.settlement import Partition
from consumers.transport import PartitionEnd
from serve_app.errors import CapstreamError

log = logging.getLogger(__name__)

REFUSED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)


class KafkaFatalError(CapstreamError):
    """The clients cannot go on: the process must end, and Kafka delivers the work again."""


def read(message: Message) -> InputRecord | PartitionEnd | None:
    """The event of a message, ``None`` for one that is only worth a log line.

    Raises ``KafkaFatalError`` where the client said that it cannot go on.
    """
    error = message.error()
    if error is None:
        return record_of(message)
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the name is public
        return PartitionEnd(_place(message), message.offset() or 0)
    if error.fatal() or error.code() in REFUSED:
        raise KafkaFatalError(f"the consumer cannot go on: {error.str()}")
    log.warning("Kafka: %s", error.str())
    return None


def record_of(message: Message) -> InputRecord:
    """The record of a message without error."""
    place = _place(message)
    kind, timestamp = message.timestamp()
    return InputRecord(
        topic=place.topic,
        partition=place.number,
        offset=message.offset() or 0,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=_headers(message),
        timestamp_ms=timestamp if kind else None,
    )


def _place(message: Message) -> Partition:
    topic, number = message.topic(), message.partition()
    if topic is None or number is None:
        raise KafkaFatalError(f"a message without a place: {message.error()}")
    return Partition(topic, number)


def _headers(message: Message) -> Headers:
    found = message.headers() or ()
    pairs = found.items() if isinstance(found, dict) else found
    return tuple((name, _bytes(value)) for name, value in pairs)


def _bytes(value: str | bytes | None) -> bytes | None:
    # The client's types allow for text, which only its serialising variants return.
    return value.encode() if isinstance(value, str) else value

"""Sends requests to the input topic."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumers.clients import producer_config
from consumers.properties import refused
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)

QUIET = {"log_level": 0}  # librdkafka would tell each failed connection; what goes wrong is raised
SPARE_S = 1.0  # a record's own time-out comes first, and says why


@dataclass(frozen=True, slots=True)
class Submission:
    """Values to send, all with the same key; without one they spread over the partitions."""

    values: tuple[bytes, ...]
    key: bytes | None = None


def submit_all(settings: Settings, submission: Submission) -> Iterator[tuple[int, str]]:
    """Send everything; give the index and the place (topic-partition-offset) of each once the broker has it.

    Raises ``BrokerError`` for the first record that the broker does not take within the time-out, and
    sends no more; ``SettingsError`` for client properties that librdkafka refuses.
    """
    try:
        producer = Producer({**producer_config(settings), **QUIET}, logger=log)
    except KafkaException as error:
        raise refused(error, settings) from error
    within_s = settings.consumer.settle_timeout_s + SPARE_S
    delivered: list[tuple[int, str]] = []
    errors: list[KafkaError] = []

    def on_delivery(index: int, error: KafkaError | None, message: Message) -> None:
        if error is None:
            delivered.append((index, f"{message.topic()}-{message.partition()}-{message.offset()}"))
        else:
            errors.append(error)

    for index, value in enumerate(submission.values):
        told = partial(on_delivery, index)
        try:
            producer.produce(settings.topics.requests, value, submission.key, on_delivery=told)
        except BufferError:
            producer.flush(within_s)
            producer.produce(settings.topics.requests, value, submission.key, on_delivery=told)
        except KafkaException as error:
            errors.append(error.args[0])
        producer.poll(0)
        yield from _drained(delivered)
        if errors:
            break
    left = producer.flush(within_s)
    yield from _drained(delivered)
    if errors or left:
        reason = errors[0].str() if errors else f"{left} records are without an answer"
        raise BrokerError(f"{settings.broker.bootstrap_servers}: not taken by the broker: {reason}")


def _drained(delivered: list[tuple[int, str]]) -> list[tuple[int, str]]:
    taken = delivered.copy()
    delivered.clear()
    return taken

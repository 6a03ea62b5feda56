"""Sends requests to the input topic."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumers.clients import producer_config
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """Values to send, all with the same key; without one they spread over the partitions."""

    values: tuple[bytes, ...]
    key: bytes | None = None


def submit_all(settings: Settings, submission: Submission) -> Iterator[str]:
    """Send everything and give the id (topic-partition-offset) of each once the broker has it.

    Raises ``BrokerError`` for the first record that the broker does not take within the time-out.
    """
    producer = Producer(producer_config(settings), logger=log)
    delivered: list[str] = []
    errors: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is None:
            delivered.append(f"{message.topic()}-{message.partition()}-{message.offset()}")
        else:
            errors.append(error)

    for value in submission.values:
        try:
            producer.produce(settings.topics.requests, value, submission.key, on_delivery=on_delivery)
        except BufferError:
            producer.flush(settings.consumer.settle_timeout_s)
            producer.produce(settings.topics.requests, value, submission.key, on_delivery=on_delivery)
        except KafkaException as error:
            errors.append(error.args[0])
        producer.poll(0)
        yield from _drained(delivered)
    producer.flush(settings.consumer.settle_timeout_s)
    yield from _drained(delivered)
    if errors:
        raise BrokerError(f"{settings.broker.bootstrap_servers}: not taken by the broker: {errors[0].str()}")


def _drained(delivered: list[str]) -> list[str]:
    taken = delivered.copy()
    delivered.clear()
    return taken

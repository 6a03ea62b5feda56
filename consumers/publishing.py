"""Gives records to a librdkafka producer and waits for the broker's word on each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException

from consumers.records import OutputRecord
from consumers.settlement import Ticket

Report = Callable[[KafkaError | None, object], None]


class RecordProducer(Protocol):
    """What is used of ``confluent_kafka.Producer`` here."""

    def produce(
        self,
        topic: str,
        *,
        value: bytes | None,
        key: bytes | None,
        headers: list[tuple[str, str | bytes | None]],
        on_delivery: Report,
    ) -> None:
        """Queue a record."""

    def poll(self, timeout: float, /) -> int:
        """Serve delivery reports."""

    def flush(self, timeout: float, /) -> int:
        """Wait for all reports; how many are left."""


@dataclass(slots=True)
class Delivery:
    """What the broker said about the records of one settlement; ``left`` were not answered in time."""

    too_large: dict[Ticket, None] = field(default_factory=dict)
    error: KafkaError | None = None
    left: int = 0

    def of(self, ticket: Ticket) -> Report:
        """The callback for a record of this ticket."""

        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is None:
                return
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self.too_large[ticket] = None
            else:
                self.error = error

        return delivered


def publish(
    producer: RecordProducer, outputs: Mapping[Ticket, tuple[OutputRecord, ...]], timeout_s: float
) -> Delivery:
    """Produce everything and wait until it is acknowledged, or the time is over."""
    delivery = Delivery()
    for ticket, made in outputs.items():
        for output in made:
            _produce(producer, output, delivery.of(ticket), timeout_s)
            if delivery.error is not None:
                return delivery
    delivery.left = producer.flush(timeout_s)
    return delivery


def _produce(producer: RecordProducer, output: OutputRecord, report: Report, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            producer.produce(
                output.topic,
                value=output.value,
                key=output.key,
                headers=list(output.headers),
                on_delivery=report,
            )
        except BufferError:
            # The local queue is full. Its records leave, or fail by their delivery time-out.
            if time.monotonic() > deadline:
                report(KafkaError(KafkaError._QUEUE_FULL), None)  # noqa: SLF001  the name is public
                return
            producer.poll(0.1)
        except KafkaException as error:
            report(error.args[0], None)
            return
        else:
            return

"""The Kafka clients behind the consumer's loop: confluent-kafka, at-least-once.

All calls come from one thread (the client's own lock starves a second one). Rebalance callbacks run
inside ``poll`` and do their work at once. Partitions are assigned with explicit offsets and resumed,
since a pause would survive the reassignment and stall the partition silently.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from consumers.clients import consumer_config, producer_config
from consumers.ledger import Partition, Settlement, Ticket
from consumers.messages import KafkaFatalError, read
from consumers.records import InputRecord, OutputRecord
from consumers.transport import (
    NotSettled,
    PartitionEnd,
    Published,
    Rebalances,
    Settled,
    SettleOutcome,
    TooLarge,
)
from serve_app.settings import Settings

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 10.0
ASK_FOR_S = 60.0  # a group transaction that is pending hides the committed offset until its time-out


@dataclass(slots=True)
class _Delivery:
    """What the broker said about the records of one settlement."""

    too_large: dict[Ticket, None]
    error: KafkaError | None = None

    def of(self, ticket: Ticket) -> Callable[[KafkaError | None, object], None]:
        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is None:
                return
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self.too_large[ticket] = None
            else:
                self.error = error

        return delivered


class AtLeastOnce:
    """Publishes, waits for the broker's word, then commits: a crash between the two repeats results."""

    def __init__(self, consumer: Consumer, producer: Producer, timeout_s: float) -> None:
        self._consumer = consumer
        self._producer = producer
        self._timeout_s = timeout_s

    def settle(self, settlement: Settlement) -> SettleOutcome:
        """Publish and commit; ``KafkaFatalError`` where the producer cannot go on."""
        delivery = _Delivery({})
        for ticket, outputs in settlement.outputs.items():
            for output in outputs:
                self._produce(output, delivery, ticket)
        left = self._producer.flush(self._timeout_s)
        if delivery.error is not None and delivery.error.fatal():
            raise KafkaFatalError(f"the producer cannot go on: {delivery.error.str()}")
        if delivery.error is not None:
            return NotSettled(delivery.error.str())
        if left:
            return NotSettled(f"{left} records not acknowledged within {self._timeout_s} s")
        if delivery.too_large:
            return TooLarge(tuple(delivery.too_large))
        return self._commit(settlement.positions)

    def _produce(self, output: OutputRecord, delivery: _Delivery, ticket: Ticket) -> None:
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer.produce(
                    output.topic,
                    value=output.value,
                    key=output.key,
                    headers=list(output.headers),
                    on_delivery=delivery.of(ticket),
                )
            except BufferError:
                # The local queue is full. Its records leave, or fail by their delivery time-out.
                if time.monotonic() > deadline:
                    delivery.error = KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001  the name is public
                    return
                self._producer.poll(0.1)
            except KafkaException as error:
                delivery.of(ticket)(error.args[0], None)
                return
            else:
                return

    def _commit(self, positions: Mapping[Partition, int]) -> SettleOutcome:
        if not positions:
            return Settled()
        offsets = [TopicPartition(p.topic, p.number, offset) for p, offset in positions.items()]
        try:
            done = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            return Published(error.args[0].str())
        errors = [tp.error.str() for tp in done or [] if tp.error is not None]
        return Published(errors[0]) if errors else Settled()


class KafkaTransport:
    """Consumer group member and settling, as :class:`consumers.runner.Transport` wants them."""

    def __init__(self, topics: list[str], consumer: Consumer, settler: AtLeastOnce) -> None:
        self._topics = topics
        self._consumer = consumer
        self._settler = settler

    def subscribe(self, rebalances: Rebalances) -> None:
        """Join the group; the callbacks run inside :meth:`poll`."""

        def on_assign(_: Consumer, partitions: list[TopicPartition]) -> None:
            bases = {Partition(tp.topic, tp.partition): tp.offset for tp in self._bases(partitions)}
            self._consumer.incremental_assign(_offsets(bases))
            self._consumer.resume(partitions)
            log.info("assigned: %s", bases)
            rebalances.assigned(bases)

        def on_revoke(_: Consumer, partitions: list[TopicPartition]) -> None:
            rebalances.revoked(_places(partitions))
            self._consumer.incremental_unassign(partitions)

        def on_lost(_: Consumer, partitions: list[TopicPartition]) -> None:
            rebalances.lost(_places(partitions))
            self._consumer.incremental_unassign(partitions)

        self._consumer.subscribe(self._topics, on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

    def poll(self, limit: int, timeout_s: float) -> list[InputRecord | PartitionEnd]:
        """Serve callbacks and take up to ``limit`` records; ``KafkaFatalError`` if the client is done for."""
        # `consume` alone would wait for the whole number, or the whole time-out.
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        more = self._consumer.consume(limit - 1, 0) if limit > 1 else []
        return [event for message in [first, *more] if (event := read(message)) is not None]

    def pause(self, partitions: Collection[Partition]) -> None:
        """Fetch no more from these."""
        self._consumer.pause([TopicPartition(p.topic, p.number) for p in partitions])

    def resume(self, partitions: Collection[Partition]) -> None:
        """Fetch from these again."""
        self._consumer.resume([TopicPartition(p.topic, p.number) for p in partitions])

    def settle(self, settlement: Settlement) -> SettleOutcome:
        """Publish and commit."""
        return self._settler.settle(settlement)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _bases(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        again = Retrying(
            retry=retry_if_exception_type(KafkaException),
            stop=stop_after_delay(ASK_FOR_S),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        try:
            return again(self._ask_bases, partitions)
        except KafkaException as error:
            raise KafkaFatalError(f"no committed offsets within {ASK_FOR_S} s: {error}") from error

    def _ask_bases(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        committed = self._consumer.committed(partitions, timeout=ASK_TIMEOUT_S)
        return [TopicPartition(tp.topic, tp.partition, self._base(tp)) for tp in committed]

    def _base(self, committed: TopicPartition) -> int:
        if committed.error is not None:
            raise KafkaException(committed.error)
        low, high = self._consumer.get_watermark_offsets(committed, timeout=ASK_TIMEOUT_S)
        if committed.offset < 0:
            return int(low)
        if not low <= committed.offset <= high:
            log.error("%s: committed offset %d is outside %d-%d", committed, committed.offset, low, high)
            return int(low)
        return int(committed.offset)


def _places(partitions: list[TopicPartition]) -> list[Partition]:
    return [Partition(tp.topic, tp.partition) for tp in partitions]


def _offsets(bases: Mapping[Partition, int]) -> list[TopicPartition]:
    return [TopicPartition(p.topic, p.number, offset) for p, offset in bases.items()]


def connect(settings: Settings) -> KafkaTransport:
    """Open the clients of one consumer replica."""
    consumer = Consumer(consumer_config(settings), logger=log)
    producer = Producer(producer_config(settings), logger=log)
    return KafkaTransport(
        [settings.topics.requests],
        consumer,
        AtLeastOnce(consumer, producer, settings.consumer.settle_timeout_s),
    )

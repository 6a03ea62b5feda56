"""Settling without transactions: publish, wait for the broker's word, then commit."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from consumers.messages import KafkaFatalError
from consumers.publishing import publish
from consumers.settlement import Partition, Position, Settlement
from consumers.transport import NotSettled, Published, Settled, SettleOutcome, TooLarge


class AtLeastOnce:
    """A crash between publishing and committing repeats results; nothing else does."""

    def __init__(self, consumer: Consumer, producer: Producer, timeout_s: float) -> None:
        self._consumer = consumer
        self._producer = producer
        self._timeout_s = timeout_s

    def settle(self, settlement: Settlement) -> SettleOutcome:
        """Publish and commit; ``KafkaFatalError`` where the producer cannot go on."""
        delivery = publish(self._producer, settlement.outputs, self._timeout_s)
        if delivery.error is not None and delivery.error.fatal():
            raise KafkaFatalError(f"the producer cannot go on: {delivery.error.str()}")
        if delivery.error is not None:
            return NotSettled(delivery.error.str())
        if delivery.left:
            return NotSettled(f"{delivery.left} records not acknowledged within {self._timeout_s} s")
        if delivery.too_large:
            return TooLarge(tuple(delivery.too_large))
        return self._commit(settlement.positions)

    def close(self) -> None:
        """Nothing is left open."""

    def _commit(self, positions: Mapping[Partition, Position]) -> SettleOutcome:
        if not positions:
            return Settled()
        try:
            done = self._consumer.commit(offsets=offsets_of(positions), asynchronous=False)
        except KafkaException as error:
            return Published(error.args[0].str())
        errors = [tp.error.str() for tp in done or [] if tp.error is not None]
        return Published(errors[0]) if errors else Settled()


def offsets_of(positions: Mapping[Partition, Position]) -> list[TopicPartition]:
    """The same in the client's terms."""
    return [TopicPartition(p.topic, p.number, at.offset, at.metadata) for p, at in positions.items()]

"""The Kafka clients behind the consumer's loop.

All calls come from one thread (the client's own lock starves a second one). Rebalance callbacks run
inside ``poll`` and do their work at once. Partitions are assigned with explicit offsets and resumed,
since a pause would survive the reassignment and stall the partition silently.

A consumer that leaves while its group rebalances is still handed partitions, inside ``close``: they are not
looked at, since no request of this client is answered any more.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import ExitStack
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from consumers.at_least_once import AtLeastOnce
from consumers.clients import consumer_config, producer_config, transactional_config
from consumers.committed import Committed
from consumers.deadline import Deadline
from consumers.identity import Slot, claim
from consumers.messages import read
from consumers.records import InputRecord
from consumers.settlement import Partition, Settlement
from consumers.startup import no_transactions, refuse_mock
from consumers.transactions import ExactlyOnce
from consumers.transport import PartitionEnd, Rebalances, SettleOutcome
from serve_app.settings import Settings

log = logging.getLogger(__name__)

LEAVE_TIMEOUT_S = 5.0
"""For leaving the group; then its other members wait for the session to end."""


class Settler(Protocol):
    """How results and positions reach the broker."""

    def settle(self, settlement: Settlement) -> SettleOutcome:
        """Publish and commit, within a bounded time."""

    def close(self) -> None:
        """Let go of the clients."""


class KafkaTransport:
    """Consumer group member and settling, as :class:`consumers.transport.Transport` wants them."""

    def __init__(
        self,
        topics: list[str],
        consumer: Consumer,
        settler: Settler,
        committed: Committed,
        slot: Slot,
        *,
        leave_timeout_s: float = LEAVE_TIMEOUT_S,
    ) -> None:
        self._topics = topics
        self._consumer = consumer
        self._settler = settler
        self._committed = committed
        self._slot = slot
        self._leave_timeout_s = leave_timeout_s
        self._leaving = False

    def subscribe(self, rebalances: Rebalances) -> None:
        """Join the group; the callbacks run inside :meth:`poll`."""

        def on_assign(_: Consumer, partitions: list[TopicPartition]) -> None:
            if self._leaving:
                return  # The client assigns by itself then, and takes it back.
            found = self._committed.progress(_places(partitions))
            self._consumer.incremental_assign(
                [TopicPartition(p.topic, p.number, progress.base) for p, progress in found.items()]
            )
            self._consumer.resume(partitions)
            log.info("assigned: %s", {place: progress.base for place, progress in found.items()})
            rebalances.assigned(found)

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
        """Leave the group; one that cannot be left in time is left behind with its client."""
        self._leaving = True
        try:
            Deadline(self._leave_timeout_s).call(self._consumer.close)
        except TimeoutError as error:
            log.warning("the group was not left in good order: %s", error)
        self._settler.close()
        self._slot.release()


def _places(partitions: list[TopicPartition]) -> list[Partition]:
    return [Partition(tp.topic, tp.partition) for tp in partitions]


def connect(settings: Settings) -> KafkaTransport:
    """Open the clients of one consumer replica; ``SettingsError`` where the broker has no transactions."""
    slot = claim(settings.consumer.group_id)
    with ExitStack() as opened:
        opened.callback(slot.release)
        consumer = _consumer(settings, slot)
        opened.callback(consumer.close)
        committed = Committed(consumer, settings.consumer.committed_timeout_s)
        settler = _settler(settings, consumer, committed, slot)
        opened.pop_all()
    topics = [settings.topics.requests, *settings.retry_topics]
    return KafkaTransport(topics, consumer, settler, committed, slot)


def _consumer(settings: Settings, slot: Slot) -> Consumer:
    static = settings.consumer.static_membership
    return Consumer(consumer_config(settings, slot.name if static else None), logger=log)


def _settler(settings: Settings, consumer: Consumer, committed: Committed, slot: Slot) -> Settler:
    timeout_s = settings.consumer.settle_timeout_s
    if settings.consumer.delivery == "at_least_once":
        return AtLeastOnce(consumer, Producer(producer_config(settings), logger=log), timeout_s)

    config = transactional_config(settings, slot.name)

    def opened(within_s: float) -> Producer:
        producer = Producer(config, logger=log)
        producer.init_transactions(within_s)
        return producer

    settler = ExactlyOnce(consumer, opened, committed.places, timeout_s)
    servers = settings.broker.bootstrap_servers
    try:
        refuse_mock(consumer.list_topics(timeout=timeout_s).cluster_id, servers)
        settler.open()
    except KafkaException as error:
        raise no_transactions(servers, error) from error
    return settler

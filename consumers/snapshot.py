"""Reads topics as they stand, from the first record to the end as it is now, without a group.

A reader of committed records is not shown what lies behind an open transaction. Who must see everything
that was written before now therefore waits, by :meth:`Topics.decided`, until each transaction below the
end is committed or aborted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from consumers.clients import MIB, ClientConfig, client_config
from consumers.cluster import QUIET, Cluster
from consumers.ledger import Partition
from consumers.messages import read, record_of
from consumers.records import InputRecord
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 10.0
SILENCE_S = 30.0
POLL_S = 0.5
DECIDED_POLL_S = 0.05
BATCH = 2000


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets ``start`` up to, not including, ``end`` of a partition."""

    partition: Partition
    start: int
    end: int


def reader_config(settings: Settings) -> ClientConfig:
    """Properties of a consumer that reads committed records and commits nothing."""
    most = settings.topics.max_message_mib * MIB + MIB
    return {
        **client_config(settings.broker),
        **QUIET,
        "group.id": f"{settings.consumer.group_id}-tail",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",  # where retention removed what we were about to read
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 20,  # the end of a partition is told only after this wait
        "fetch.queue.backoff.ms": 5,  # after its queue was full, the client would rest for a second
        "message.max.bytes": most,
        "max.partition.fetch.bytes": most,
    }


class Topics:
    """What the topics hold now. Methods raise ``BrokerError`` where the broker does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._config = reader_config(settings)
        self._cluster = Cluster(client_config(settings.broker), ASK_TIMEOUT_S)

    def names(self) -> frozenset[str]:
        """All topics of the cluster."""
        return self._cluster.names()

    def partitions(self, topics: Iterable[str]) -> list[Partition]:
        """All partitions of these topics; ``BrokerError`` for a topic that does not exist."""
        return self._cluster.partitions(list(topics))

    def spans(self, partitions: Iterable[Partition], *, since_ms: int | None = None) -> list[Span]:
        """From the first offset, or the first record of that time (epoch), to the last that is committed."""
        places = list(partitions)
        ends = self._cluster.ends(places, committed=True)
        return self._spans(places, ends, since_ms)

    def decided(
        self, partitions: Iterable[Partition], *, since_ms: int | None = None, timeout_s: float = 90
    ) -> list[Span]:
        """As :meth:`spans`, up to the last offset that is written now, once its transaction is over."""
        places = list(partitions)
        ends = self._cluster.ends(places, committed=False)
        deadline = time.monotonic() + timeout_s
        while undecided := self._undecided(ends):
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"a transaction on {undecided.topic}-{undecided.number} is open for more than "
                    f"{timeout_s:g} s: end its producer, or find it with kafka-transactions.sh find-hanging"
                )
            time.sleep(DECIDED_POLL_S)
        return self._spans(places, ends, since_ms)

    def _undecided(self, ends: dict[Partition, int]) -> Partition | None:
        stable = self._cluster.ends(ends, committed=True)
        return next((place for place, end in ends.items() if stable[place] < end), None)

    def _spans(self, places: list[Partition], ends: dict[Partition, int], since_ms: int | None) -> list[Span]:
        starts = self._cluster.starts(places)
        if since_ms is not None:
            found = self._cluster.first_since(places, since_ms)
            later = {place: ends[place] if first is None else first for place, first in found.items()}
            starts = {place: max(start, later[place]) for place, start in starts.items()}
        return [Span(place, min(starts[place], ends[place]), ends[place]) for place in places]

    def messages(self, spans: Iterable[Span]) -> Iterator[list[Message]]:
        """The committed records of the spans in batches, in order within each partition.

        Raises ``BrokerError`` when nothing more comes.
        """
        left = {span.partition: span for span in spans if span.start < span.end}
        consumer = Consumer(self._config, logger=log)
        try:
            consumer.assign(
                [TopicPartition(s.partition.topic, s.partition.number, s.start) for s in left.values()]
            )
            while left:
                yield self._batch(consumer, left)
        finally:
            consumer.close()

    def records(self, spans: Iterable[Span]) -> Iterator[InputRecord]:
        """The committed records of the spans."""
        for batch in self.messages(spans):
            for message in batch:
                yield record_of(message)

    def at(self, partition: Partition, offset: int) -> InputRecord | None:
        """The committed record at this very offset; ``None`` if it is gone."""
        if partition.topic not in self.names():
            return None
        spans = [s for s in self.spans(self.partitions([partition.topic])) if s.partition == partition]
        if not spans or not spans[0].start <= offset < spans[0].end:
            return None
        return next(self.records([Span(partition, offset, offset + 1)]), None)

    def _batch(self, consumer: Consumer, left: dict[Partition, Span]) -> list[Message]:
        deadline = time.monotonic() + SILENCE_S
        while (first := consumer.poll(POLL_S)) is None:
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"no broker sent anything for {SILENCE_S:g} s: {', '.join(_names(left))} unread"
                )
        wanted = []
        for message in [first, *consumer.consume(BATCH, 0)]:
            place = Partition(message.topic() or "", _number(message.partition()))
            span = left.get(place)
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  the name is public
                read(message)
            elif span is not None:
                at = _number(message.offset())
                if error is None and at < span.end:
                    wanted.append(message)
                if at >= span.end - (error is None):
                    del left[place]
                    consumer.incremental_unassign([TopicPartition(place.topic, place.number)])
        return wanted


def _number(found: int | None) -> int:
    return -1 if found is None else found


def _names(places: Iterable[Partition]) -> list[str]:
    return [f"{place.topic}-{place.number}" for place in places]

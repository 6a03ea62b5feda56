"""How many partitions there are and where they end, asked by a client of its own: the consumer's is busy."""

from __future__ import annotations

import logging
from collections.abc import Collection

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from consumers.clients import ClientConfig
from consumers.settlement import Partition

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 5.0


class Ends:
    """Reads end offsets."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._admin: AdminClient | None = None

    def of(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The offset after the last committed record of each; one that does not answer is left out."""
        found = self._ask(partitions)
        if found.keys() < set(partitions):
            # After a leader moved, the client asks with the old leader's epoch for ever.
            self._admin = None
            found |= self._ask(set(partitions) - found.keys())
        return found

    def count(self, topics: Collection[str]) -> int | None:
        """The partitions of these topics together; ``None`` if the broker does not say it of all."""
        asked = self._client().describe_topics(TopicCollection(sorted(topics)), request_timeout=ASK_TIMEOUT_S)
        try:
            return sum(len(future.result(ASK_TIMEOUT_S).partitions) for future in asked.values())
        except (KafkaException, TimeoutError) as error:
            log.warning("partitions unknown: %s", error)
            return None

    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(dict(self._config), logger=log)
        return self._admin

    def _ask(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        ask = {TopicPartition(p.topic, p.number): OffsetSpec.latest() for p in partitions}
        if not ask:
            return {}
        futures = self._client().list_offsets(
            ask, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ASK_TIMEOUT_S
        )
        found = {}
        for tp, future in futures.items():
            try:
                found[Partition(tp.topic, tp.partition)] = int(future.result(ASK_TIMEOUT_S).offset)
            except (KafkaException, TimeoutError) as error:
                log.warning("no end of %s-%d: %s", tp.topic, tp.partition, error)
        return found

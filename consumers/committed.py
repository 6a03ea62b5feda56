"""Reads what the group has committed, with the text beside it.

While a transaction of the group is open, the broker does not say: ``committed()`` times out until the
transaction ends, or the broker ends one whose owner died. That is waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Protocol

from confluent_kafka import KafkaException, TopicPartition
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from consumers.messages import KafkaFatalError
from consumers.progress import MetadataError, Progress, decode
from consumers.settlement import Partition

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 10.0
PAUSE_S = 0.2


class OffsetReader(Protocol):
    """What is used of ``confluent_kafka.Consumer`` here."""

    def committed(self, partitions: list[TopicPartition], /, timeout: float) -> list[TopicPartition]:
        """The committed offsets, each with its own error."""

    def get_watermark_offsets(self, partition: TopicPartition, /, timeout: float) -> tuple[int, int]:
        """The first offset of the log and the one after its last."""


class Committed:
    """``wait_s``: longer than an abandoned transaction stays open."""

    def __init__(self, reader: OffsetReader, wait_s: float) -> None:
        self._reader = reader
        self._wait_s = wait_s

    def places(self, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, str]]:
        """Offset and text of each; -1001 where nothing is committed. Raises ``KafkaException``."""
        asked = [TopicPartition(p.topic, p.number) for p in partitions]
        found = self._reader.committed(asked, timeout=ASK_TIMEOUT_S)
        for tp in found:
            # An errored answer has an offset as well, which says nothing.
            if tp.error is not None:
                raise KafkaException(tp.error)
        return {Partition(tp.topic, tp.partition): (tp.offset, tp.metadata or "") for tp in found}

    def progress(self, partitions: Collection[Partition]) -> dict[Partition, Progress]:
        """Where to go on with each; ``KafkaFatalError`` if the broker does not say in time."""
        again = Retrying(
            retry=retry_if_exception_type(KafkaException),
            stop=stop_after_delay(self._wait_s),
            wait=wait_fixed(PAUSE_S),
            reraise=True,
        )
        try:
            return again(self._progress, partitions)
        except KafkaException as error:
            raise KafkaFatalError(f"no committed offsets within {self._wait_s:g} s: {error}") from error

    def _progress(self, partitions: Collection[Partition]) -> dict[Partition, Progress]:
        places = self.places(partitions)
        return {partition: self._one(partition, *place) for partition, place in places.items()}

    def _one(self, partition: Partition, offset: int, text: str) -> Progress:
        low, high = self._reader.get_watermark_offsets(TopicPartition(*partition), timeout=ASK_TIMEOUT_S)
        if offset < 0:
            return Progress(low)
        if not low <= offset <= high:
            log.error("%s: committed offset %d is outside %d-%d", partition, offset, low, high)
        return _read(partition, offset, text).clamped(low, high)


def _read(partition: Partition, offset: int, text: str) -> Progress:
    try:
        return decode(offset, text)
    except MetadataError as error:
        log.warning(
            "%s: the text beside offset %d is not ours, so all from there is done again: %s",
            partition,
            offset,
            error,
        )
        return Progress(offset)

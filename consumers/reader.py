"""Reads result topics without a group: nothing is committed, nobody is disturbed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from consumers.clients import client_config
from consumers.messages import read
from consumers.records import InputRecord
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 5.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Until:
    """When to stop: after so many records, after so many seconds, or never."""

    count: int | None = None
    timeout_s: float | None = None


def records_of(
    settings: Settings, topics: list[str], *, from_beginning: bool, until: Until
) -> Iterator[InputRecord]:
    """Committed records of these topics as they come; waits for topics that do not exist yet."""
    deadline = time.monotonic() + until.timeout_s if until.timeout_s is not None else float("inf")
    consumer = Consumer(
        {
            **client_config(settings.broker),
            "group.id": f"{settings.consumer.group_id}-tail",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        },
        logger=log,
    )
    left = until.count if until.count is not None else -1
    try:
        where = OFFSET_BEGINNING if from_beginning else OFFSET_END
        _assign(consumer, topics, where, lambda: time.monotonic() < deadline)
        while left != 0 and (now := time.monotonic()) < deadline:
            message = consumer.poll(min(POLL_S, deadline - now))
            event = read(message) if message is not None else None
            if isinstance(event, InputRecord):
                left -= 1
                yield event
    finally:
        consumer.close()


def _assign(consumer: Consumer, topics: list[str], where: int, due: Callable[[], bool]) -> None:
    first_try = True
    while due():
        try:
            found = consumer.list_topics(timeout=ASK_TIMEOUT_S).topics
        except KafkaException as error:
            raise BrokerError(
                f"no Kafka broker answered within {ASK_TIMEOUT_S:g} s: {error.args[0].str()}"
            ) from error
        if all(name in found for name in topics):
            # Topics that came after the first look are read whole: they were empty when we started.
            start = where if first_try else OFFSET_BEGINNING
            places = [
                TopicPartition(name, number, start) for name in topics for number in found[name].partitions
            ]
            consumer.assign(places)
            return
        first_try = False
        time.sleep(POLL_S)

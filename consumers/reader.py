"""Reads result topics without a group: nothing is committed, nobody is disturbed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from consumers.clients import ClientConfig, client_config
from consumers.messages import read
from consumers.properties import refused
from consumers.records import InputRecord
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 5.0
MIN_ASK_S = 1.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Until:
    """When to stop: after so many records, after so many seconds, or never."""

    count: int | None = None
    timeout_s: float | None = None


def records_of(
    settings: Settings, topics: list[str], *, from_beginning: bool, until: Until
) -> Iterator[InputRecord]:
    """Committed records of these topics as they come; waits for topics that do not exist yet.

    A topic that comes later is read whole. Raises ``BrokerError`` where no broker answers, and
    ``SettingsError`` for client properties that librdkafka refuses.
    """
    deadline = time.monotonic() + until.timeout_s if until.timeout_s is not None else float("inf")
    consumer = _opened(settings)
    left = until.count if until.count is not None else -1
    try:
        _assign(consumer, topics, OFFSET_BEGINNING if from_beginning else OFFSET_END, deadline)
        while left != 0 and (now := time.monotonic()) < deadline:
            message = consumer.poll(min(POLL_S, deadline - now))
            event = read(message) if message is not None else None
            if isinstance(event, InputRecord):
                left -= 1
                yield event
    except KafkaException as error:
        servers = settings.broker.bootstrap_servers
        raise BrokerError(f"no Kafka broker answered at {servers}: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _opened(settings: Settings) -> Consumer:
    config: ClientConfig = {
        **client_config(settings.broker),
        "group.id": f"{settings.consumer.group_id}-tail",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "log_level": 0,  # librdkafka would tell each failed connection; what goes wrong is raised
    }
    try:
        return Consumer(config, logger=log)
    except KafkaException as error:
        raise refused(error, settings) from error


def _assign(consumer: Consumer, topics: list[str], where: int, deadline: float) -> None:
    at_first: frozenset[str] | None = None
    while (left := deadline - time.monotonic()) > 0:
        found = consumer.list_topics(timeout=min(ASK_TIMEOUT_S, max(left, MIN_ASK_S))).topics
        there = frozenset(name for name in topics if name in found and found[name].partitions)
        at_first = there if at_first is None else at_first
        if there.issuperset(topics):
            # Topics that came after the first look were empty when we started.
            consumer.assign(
                [
                    TopicPartition(name, number, where if name in at_first else OFFSET_BEGINNING)
                    for name in topics
                    for number in found[name].partitions
                ]
            )
            return
        time.sleep(POLL_S)

"""Consumer group members for tests: the real loop and clients, with the tiers left to the test."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from consumers.backlog import Work as Begun
from consumers.clients import client_config
from consumers.kafka import connect
from consumers.parts import parts_of, system_clocks
from consumers.reader import Until, records_of
from consumers.records import InputRecord, OutputRecord
from consumers.runner import Pace, Runner
from consumers.settlement import Ticket
from consumers.topics import ensure_topics
from serve_app.settings import ClusterBroker, ConsumerSettings, Settings, TopicSettings
from tests.brokers import KAFKA_LOG, Kafka, unique

GIVE_UP_S = 60.0
Work = tuple[Ticket, InputRecord]


def settings_for(
    kafka: Kafka, *, partitions: int = 2, max_message_mib: int = 1, **consumer: object
) -> Settings:
    """Settings with topics and a group of their own; the topics are made."""
    name = unique("video")
    settings = Settings(
        broker=ClusterBroker(bootstrap_servers=kafka.bootstrap_servers),
        topics=TopicSettings(
            requests=f"{name}.requests",
            captions=f"{name}.captions",
            dead_letters=f"{name}.requests.dlq",
            partitions=partitions,
            replication_factor=kafka.replicas,
            max_message_mib=max_message_mib,
        ),
        consumer=ConsumerSettings.model_validate(
            {
                "group_id": name,
                "session_timeout_s": 6,
                "settle_interval_ms": 20,
                "max_in_flight": 100,
                "resume_share": 0.5,
                "retry_delays_s": (),
                "breaker": {"in_a_row": 0, "share": 1},
                **consumer,
            }
        ),
    )
    ensure_topics(client_config(settings.broker), settings.topics, settings.retry_topics)
    return settings


def send(settings: Settings, *values: bytes | None, partition: int = 0) -> None:
    """Produce requests to one partition, in order."""
    producer = Producer(
        {"bootstrap.servers": settings.broker.bootstrap_servers, "message.max.bytes": 2**22}, logger=KAFKA_LOG
    )
    for value in values:
        producer.produce(settings.topics.requests, value, b"k", partition=partition)
    assert producer.flush(GIVE_UP_S) == 0


class Member:
    """A running consumer; ``work`` holds what it has taken, ``give`` hands in what became of it."""

    def __init__(self, settings: Settings) -> None:
        self.work: queue.Queue[Work] = queue.Queue()
        self._settings = settings
        transport, parts = connect(settings), parts_of(settings)
        self.runner = Runner(transport, parts, self._take, Pace(0.02), system_clocks())
        self.thread = threading.Thread(target=self.runner.run, daemon=True)

    def _take(self, work: Begun) -> None:
        for item in work:
            self.work.put(item)

    def take(self, count: int) -> list[Work]:
        """Wait for so many records."""
        return [self.work.get(timeout=GIVE_UP_S) for _ in range(count)]

    def give(self, *work: Work) -> None:
        """Every one of these becomes a caption that repeats its value."""
        for ticket, record in work:
            output = OutputRecord(self._settings.topics.captions, record.key, record.value)
            self.runner.finish(ticket, (output,))


@contextmanager
def member(settings: Settings) -> Iterator[Member]:
    """Run a consumer, and stop it in good order."""
    one = Member(settings)
    one.thread.start()
    try:
        yield one
    finally:
        one.runner.stop()
        one.thread.join(GIVE_UP_S)
        assert not one.thread.is_alive()


def captions(settings: Settings, count: int) -> list[InputRecord]:
    """The first so many records of the captions topic."""
    return list(
        records_of(settings, [settings.topics.captions], from_beginning=True, until=Until(count, GIVE_UP_S))
    )

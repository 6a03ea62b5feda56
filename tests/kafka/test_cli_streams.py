"""The two ends of the pipeline on a real broker: requests go in, results are read without a group."""

from __future__ import annotations

import threading

import pytest
from confluent_kafka import Producer

from consumers.clients import client_config
from consumers.producer import Submission, submit_all
from consumers.reader import Until, records_of
from consumers.records import (
    InputRecord,
)
from consumers.topics import ensure_topics
from serve_app.errors import BrokerError
from serve_app.settings import Settings, TopicSettings
from tests.brokers import KAFKA_LOG, Kafka, unique
from tests.kafka.members import GIVE_UP_S, send, settings_for

# Kafka's own test vectors of murmur2, and the partitions of seven that Java gives them.
JAVA = {b"21": -973932308, b"foobar": -790332482, b"abc": 479470107, b"a-little-bit-long-string": -985981536}


def read(settings: Settings, count: int, timeout_s: float = GIVE_UP_S) -> list[InputRecord]:
    """The first records of the request topic."""
    until = Until(count, timeout_s)
    return list(records_of(settings, [settings.topics.requests], from_beginning=True, until=until))


def test_ids_are_the_places_of_the_records(kafka: Kafka) -> None:
    """Each names the topic, partition and offset at which just that value stands; none is left out."""
    settings = settings_for(kafka, partitions=3)
    values = tuple(f"file:///{n}.mp4".encode() for n in range(500))
    taken = list(submit_all(settings, Submission(values)))
    records = read(settings, 500)
    assert {place: values[index] for index, place in taken} == {r.id: r.value for r in records}
    assert len(taken) == 500
    assert {record.key for record in records} == {None}


@pytest.mark.parametrize("key", JAVA)
def test_keys_partition_as_in_java(kafka: Kafka, key: bytes) -> None:
    """Requests with equal keys share the partition that a Java producer would choose."""
    settings = settings_for(kafka, partitions=7)
    taken = list(submit_all(settings, Submission((b"x:1", b"x:2"), key)))
    partition = (JAVA[key] & 0x7FFFFFFF) % 7
    assert taken == [(offset, f"{settings.topics.requests}-{partition}-{offset}") for offset in (0, 1)]
    assert [record.key for record in read(settings, 2)] == [key, key]


def test_a_record_that_the_broker_does_not_take_is_told(kafka: Kafka) -> None:
    """The error comes after the ids of what was taken before it, and nothing behind it is sent."""
    settings = settings_for(kafka, partitions=1)
    sent = submit_all(settings, Submission((b"x:1", bytes(3 * 2**20), b"x:2")))
    taken: list[tuple[int, str]] = []
    with pytest.raises(BrokerError, match=r"not taken by the broker: .*Message size too large"):
        taken.extend(sent)
    assert taken == [(0, f"{settings.topics.requests}-0-0")]
    send(settings, b"next")
    assert [record.value for record in read(settings, 2)] == [b"x:1", b"next"]


def test_a_record_above_the_limit_of_its_topic_is_told(kafka: Kafka) -> None:
    """What only the broker can know to be too large is told by its answer."""
    settings = settings_for(kafka, partitions=1)
    with pytest.raises(BrokerError, match="not taken by the broker: Broker: Message size too large"):
        list(submit_all(settings, Submission((bytes(3 * 2**19),))))
    send(settings, b"next")
    assert [record.value for record in read(settings, 1)] == [b"next"]


def test_nothing_is_sent_to_a_topic_that_does_not_exist(kafka: Kafka) -> None:
    """The broker makes no topic on the way; the error names its address."""
    settings = settings_for(kafka)
    topics = settings.topics.model_copy(update={"requests": unique("missing")})
    consumer = settings.consumer.model_copy(update={"settle_timeout_s": 1})
    missing = settings.model_copy(update={"topics": topics, "consumer": consumer})
    with pytest.raises(BrokerError, match=rf"{settings.broker.bootstrap_servers}: not taken"):
        list(submit_all(missing, Submission((b"x:1",))))
    assert topics.requests not in kafka.admin().list_topics(timeout=20).topics


def feed(settings: Settings, stop: threading.Event) -> None:
    """Send new records until somebody has seen one."""
    number = 0
    while not stop.wait(0.05):
        send(settings, f"new {number}".encode())
        number += 1


def test_tail_shows_only_what_is_new(kafka: Kafka) -> None:
    """From the end on, nothing that stood on the topic before is shown."""
    settings = settings_for(kafka)
    send(settings, *[f"old {n}".encode() for n in range(100)])
    seen = threading.Event()
    feeder = threading.Thread(target=feed, args=(settings, seen))
    feeder.start()
    try:
        until = Until(5, GIVE_UP_S)
        found = list(records_of(settings, [settings.topics.requests], from_beginning=False, until=until))
    finally:
        seen.set()
        feeder.join()
    numbers = [int((record.value or b"").removeprefix(b"new ")) for record in found]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_reading_ends_at_the_count(kafka: Kafka) -> None:
    """So many and no more, all partitions together; what is behind them is left alone."""
    settings = settings_for(kafka)
    send(settings, *[b"x"] * 10)
    send(settings, *[b"y"] * 10, partition=1)
    assert len(read(settings, 15)) == 15


def test_reading_ends_with_the_time(kafka: Kafka) -> None:
    """Without enough records the time ends it, and what there was is given."""
    settings = settings_for(kafka)
    send(settings, b"only")
    assert [record.value for record in read(settings, 2, 3)] == [b"only"]


def test_reading_leaves_no_trace(kafka: Kafka) -> None:
    """The broker knows of no group afterwards, neither the consumers' nor one of the reader's own."""
    settings = settings_for(kafka)
    send(settings, b"x")
    assert len(read(settings, 1)) == 1
    admin = kafka.admin()
    groups = {group.group_id for group in admin.list_consumer_groups(request_timeout=20).result().valid}
    assert not {group for group in groups if group.startswith(settings.consumer.group_id)}


def test_aborted_records_are_not_shown(kafka: Kafka) -> None:
    """What a transaction took back was never there."""
    settings = settings_for(kafka, partitions=1)
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "transactional.id": settings.consumer.group_id,
    }
    producer = Producer(config, logger=KAFKA_LOG)
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(settings.topics.requests, b"aborted")
    assert producer.flush(20) == 0
    producer.abort_transaction(30)
    send(settings, b"kept")
    assert [record.value for record in read(settings, 1)] == [b"kept"]


def test_topics_that_come_later_are_waited_for(kafka: Kafka) -> None:
    """Reading may begin before its topics exist."""
    first = settings_for(kafka)
    send(first, b"old")
    name = unique("later")
    topics = TopicSettings(requests=name, captions=f"{name}.captions", dead_letters=f"{name}.dlq")
    later = first.model_copy(update={"topics": topics})
    found: list[bytes | None] = []

    def follow() -> None:
        both = [first.topics.requests, later.topics.requests]
        records = records_of(first, both, from_beginning=True, until=Until(3, GIVE_UP_S))
        found.extend(record.value for record in records)

    reader = threading.Thread(target=follow)
    reader.start()
    ensure_topics(client_config(later.broker), later.topics)
    send(later, b"late 1", b"late 2")
    reader.join(GIVE_UP_S)
    assert sorted(value or b"" for value in found) == [b"late 1", b"late 2", b"old"]

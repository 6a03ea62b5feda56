"""The audit finds what is missing or double, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined] # a public name

from consumers.audit import audit
from consumers.letters import Selection
from consumers.records import InputRecord, OutputRecord
from consumers.replay import Replay
from consumers.snapshot import Topics
from consumers.tally import total
from serve_app.errors import BrokerError
from serve_app.settings import Settings
from tests.brokers import KAFKA_LOG, Kafka
from tests.kafka.members import member, settings_for
from tests.kafka.results import (
    URL,
    capstream,
    caption_for,
    commit,
    letter_for,
    produce,
    read,
    request,
)


def requests(settings: Settings, count: int, partition: int = 0) -> list[InputRecord]:
    """Write so many requests to a partition; returns them as the consumer reads them."""
    produce(settings, *(request(settings, URL + b"?%d" % n) for n in range(count)), partition=partition)
    return [r for r in read(settings, settings.topics.requests) if r.partition == partition]


def sums(settings: Settings, since_ms: int | None = None) -> dict[str, int]:
    """The totals that are not 0."""
    return {name: n for name, n in total(audit(settings, since_ms=since_ms)).items() if n}


def retry_topic(kafka: Kafka, settings: Settings, delay: str = "5s") -> str:
    name = f"{settings.topics.requests}.retry.{delay}"
    admin = kafka.admin()
    admin.create_topics([NewTopic(name, 1, kafka.replicas)], operation_timeout=20)[name].result()
    return name


def retry_of(record: InputRecord, topic: str, attempt: int) -> OutputRecord:
    """A retry record with the headers that name its origin."""
    origin = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
    headers = {f"capstream.origin.{name}": text for name, text in origin.items()}
    headers["capstream.attempt"] = str(attempt)
    return OutputRecord(topic, record.key, record.value, tuple((n, t.encode()) for n, t in headers.items()))


def test_every_input_of_a_sound_history_is_accounted_for(kafka: Kafka, tmp_path: Path) -> None:
    """Captions, dead letters and what is not done yet add up to the inputs, over all partitions."""
    settings = settings_for(kafka)
    first, second = requests(settings, 4), requests(settings, 2, partition=1)
    produce(settings, *(caption_for(settings, record) for record in (first[0], first[2], *second)))
    produce(settings, letter_for(settings, first[1]), partition=1)
    commit(settings, 3)
    commit(settings, 2, partition=1)
    assert sums(settings) == {"inputs": 6, "captions": 4, "dead_letters": 1, "undone": 1}
    assert capstream(settings, tmp_path, "audit").exit_code == 0


def test_planted_faults_are_named(kafka: Kafka, tmp_path: Path) -> None:
    """An input without an ending, one with two captions, one with both kinds, an ending without an input."""
    settings = settings_for(kafka, partitions=1)
    made = requests(settings, 5)
    producer = transactional(kafka, settings)
    producer.begin_transaction()
    producer.produce(settings.topics.requests, URL, partition=0)
    producer.flush()
    producer.abort_transaction(30)
    aborted = InputRecord(settings.topics.requests, 0, 5, b"key", URL)
    captioned = [caption_for(settings, record) for record in made]
    produce(settings, captioned[0], captioned[2], captioned[2], captioned[3], captioned[4])
    produce(settings, letter_for(settings, made[3]), caption_for(settings, aborted))
    commit(settings, 7)
    found = capstream(settings, tmp_path, "audit", "--json")
    assert found.exit_code == 1
    name = settings.topics.requests
    assert json.loads(found.stdout) == {
        "sound": False,
        "totals": {
            "inputs": 5,
            "captions": 2,
            "dead_letters": 0,
            "open_retries": 0,
            "undone": 0,
            "missing": 1,
            "double": 2,
            "stray": 1,
        },
        "missing": [f"{name}-0-1"],
        "double": [f"{name}-0-2", f"{name}-0-3"],
        "stray": [f"{name}-0-5"],
    }
    table = capstream(settings, tmp_path, "audit")
    assert table.exit_code == 1
    assert f"missing: {name}-0-1 is done, and there is no caption" in table.stdout
    assert f"double: {name}-0-2 ended more than once, again at {settings.topics.captions}-0-2" in table.stdout


def test_above_the_watermark_nothing_is_missing(kafka: Kafka) -> None:
    """Without a committed offset, and above it, what has no ending is not done yet."""
    settings = settings_for(kafka, partitions=1)
    made = requests(settings, 3)
    assert sums(settings) == {"inputs": 3, "undone": 3}
    produce(settings, caption_for(settings, made[2]))
    commit(settings, 1)
    assert sums(settings) == {"inputs": 3, "captions": 1, "undone": 1, "missing": 1}


def test_retries_are_open_until_they_are_done(kafka: Kafka) -> None:
    """An open retry record is an ending; one that is done needs a caption, a letter or a further retry."""
    settings = settings_for(kafka, partitions=1)
    made = requests(settings, 4)
    early, late = retry_topic(kafka, settings), retry_topic(kafka, settings, "60s")
    produce(settings, *(retry_of(record, early, 1) for record in made))
    commit(settings, 4)
    assert sums(settings) == {"inputs": 4, "open_retries": 4}
    produce(settings, caption_for(settings, made[0]), retry_of(made[1], late, 2))
    commit(settings, 3, topic=early)
    assert sums(settings) == {"inputs": 4, "captions": 1, "open_retries": 2, "missing": 1}
    produce(settings, retry_of(made[3], early, 1))
    assert sums(settings) == {"inputs": 4, "captions": 1, "open_retries": 1, "missing": 1, "double": 1}


def test_a_letter_that_came_by_way_of_a_retry_names_its_input(kafka: Kafka) -> None:
    """Its Connect headers may name the retry record: the origin counts."""
    settings = settings_for(kafka, partitions=1)
    (made,) = requests(settings, 1)
    topic = retry_topic(kafka, settings)
    produce(settings, retry_of(made, topic, 1))
    (retried,) = read(settings, topic)
    produce(settings, letter_for(settings, retried))
    commit(settings, 1)
    commit(settings, 1, topic=topic)
    assert sums(settings) == {"inputs": 1, "dead_letters": 1}


def test_a_replayed_request_is_an_input_of_its_own(kafka: Kafka) -> None:
    """Its letter stays its first ending; the new record has another."""
    settings = settings_for(kafka, partitions=1)
    (made,) = requests(settings, 1)
    produce(settings, letter_for(settings, made))
    commit(settings, 1)
    list(Replay(settings, Selection(), lambda: 1).steps())
    assert sums(settings) == {"inputs": 2, "dead_letters": 1, "undone": 1}
    produce(settings, caption_for(settings, read(settings, settings.topics.requests)[-1]))
    commit(settings, 3)
    assert sums(settings) == {"inputs": 2, "captions": 1, "dead_letters": 1}


def test_aborted_records_and_markers_are_no_inputs(kafka: Kafka) -> None:
    """Offsets that no reader is shown are neither missing nor counted."""
    settings = settings_for(kafka, partitions=1)
    producer = transactional(kafka, settings)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(settings.topics.requests, URL, partition=0)
        producer.flush()
        end(30)
    (made,) = read(settings, settings.topics.requests)
    produce(settings, caption_for(settings, made))
    commit(settings, 4)
    assert sums(settings) == {"inputs": 1, "captions": 1}


def test_results_behind_an_open_transaction_are_waited_for(kafka: Kafka) -> None:
    """Until it is decided nothing can be proved; one that stays open is told by its partition."""
    settings = settings_for(kafka, partitions=1)
    producer = transactional(kafka, settings)
    producer.begin_transaction()
    producer.produce(settings.topics.captions, b"{}", partition=0)
    producer.flush()
    topics = Topics(settings)
    places = topics.partitions([settings.topics.captions])
    with pytest.raises(BrokerError, match=rf"a transaction on {settings.topics.captions}-0 is open for"):
        topics.decided(places, timeout_s=0.2)
    producer.abort_transaction(30)
    assert list(topics.records(topics.decided(places))) == []


def transactional(kafka: Kafka, settings: Settings) -> Producer:
    config = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "transactional.id": settings.consumer.group_id,
    }
    producer = Producer(config, logger=KAFKA_LOG)
    producer.init_transactions(30)
    return producer


def test_since_leaves_out_what_is_older(kafka: Kafka) -> None:
    """Inputs before the time are not looked at, nor are their endings."""
    settings = settings_for(kafka, partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers}, logger=KAFKA_LOG)
    for at in (1_000_000, 2_000_000, 3_000_000):
        producer.produce(settings.topics.requests, URL, partition=0, timestamp=at)
    assert producer.flush(30) == 0
    made = read(settings, settings.topics.requests)
    produce(settings, caption_for(settings, made[0]), caption_for(settings, made[2]))
    commit(settings, 3)
    assert sums(settings) == {"inputs": 3, "captions": 2, "missing": 1}
    assert sums(settings, since_ms=2_000_000) == {"inputs": 2, "captions": 1, "missing": 1}
    assert sums(settings, since_ms=2_000_001) == {"inputs": 1, "captions": 1}


def test_a_running_consumer_is_never_found_at_fault(kafka: Kafka) -> None:
    """Audits in the middle of the work call the rest undone, and nothing missing or double."""
    settings = settings_for(kafka)
    for partition in (0, 1):
        requests(settings, 100, partition)
    with member(settings) as one:
        for _ in range(10):
            for ticket, record in one.take(20):
                one.runner.finish(ticket, (caption_for(settings, record),))
            found = sums(settings)
            assert found.get("captions", 0) + found.get("undone", 0) == found["inputs"] == 200
    assert sums(settings) == {"inputs": 200, "captions": 200}

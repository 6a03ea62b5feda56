"""Transactions on a real broker, and what it does to consumers that were away, late or lied to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from consumers.clients import transactional_config
from consumers.committed import Committed
from consumers.kafka import connect
from consumers.progress import Progress, encode
from consumers.reader import Until, records_of
from consumers.runtime import JavaRuntime
from consumers.settlement import Partition, Position, Settlement
from consumers.transactions import ExactlyOnce
from consumers.transport import NotSettled
from serve_app.errors import SettingsError
from serve_app.settings import ClusterBroker, Settings
from tests.brokers import KAFKA_LOG, Kafka
from tests.kafka.members import captions, member, send, settings_for
from tests.kafka.test_delivery import values_until, wait_committed


def group_client(settings: Settings) -> Consumer:
    return Consumer(
        {"bootstrap.servers": settings.broker.bootstrap_servers, "group.id": settings.consumer.group_id},
        logger=KAFKA_LOG,
    )


def commit_text(settings: Settings, offset: int, text: str) -> None:
    """As another tool, or another version, would."""
    client = group_client(settings)
    client.commit(offsets=[TopicPartition(settings.topics.requests, 0, offset, text)], asynchronous=False)
    client.close()


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_what_was_finished_out_of_order_is_not_done_again(kafka: Kafka, delivery: str) -> None:
    """A consumer that goes on knows which records beyond the watermark are finished."""
    settings = settings_for(kafka, partitions=1, delivery=delivery)
    send(settings, b"a", b"b", b"c")
    with member(settings) as one:
        _slow, second, third = one.take(3)
        one.give(second, third)
        assert len(captions(settings, 2)) == 2
    with member(settings) as two:
        rest = two.take(1)
        assert [record.value for _, record in rest] == [b"a"]
        two.give(*rest)
        assert wait_committed(settings, 3)
        assert two.work.empty()
    assert sorted(record.value or b"" for record in captions(settings, 3)) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("text", ["of another tool", "c1:garbage!", encode(Progress(5, b"\0\1\1"))])
def test_a_bad_text_beside_the_offset_skips_nothing(kafka: Kafka, text: str) -> None:
    """Every record from the committed offset on is worked on."""
    settings = settings_for(kafka, partitions=1)
    send(settings, b"a", b"b", b"c")
    commit_text(settings, 0, text)
    with member(settings) as one:
        assert [record.value for _, record in one.take(3)] == [b"a", b"b", b"c"]


def test_progress_beyond_the_end_of_the_log_is_clamped(kafka: Kafka) -> None:
    """Offsets that the log does not hold yet are not finished, whoever says so."""
    settings = settings_for(kafka, partitions=1)
    send(settings, b"a")
    commit_text(settings, 0, encode(Progress(0, b"\0\1\1")))
    with member(settings) as one:
        one.take(1)
        send(settings, b"b")
        assert [record.value for _, record in one.take(1)] == [b"b"]


def test_a_pending_transaction_of_the_group_is_waited_for(kafka: Kafka) -> None:
    """Whoever takes over from a process that died inside a transaction waits until the broker ends it."""
    settings = settings_for(kafka, partitions=1, transaction_timeout_s=1, settle_timeout_s=1)
    send(settings, b"a")
    client = group_client(settings)
    abandoned = Producer(transactional_config(settings, "abandoned-" + settings.consumer.group_id))
    abandoned.init_transactions(30)
    abandoned.begin_transaction()
    place = TopicPartition(settings.topics.requests, 0, 1)
    abandoned.send_offsets_to_transaction([place], client.consumer_group_metadata(), 10)
    found = Committed(client, 30).progress([Partition(settings.topics.requests, 0)])
    assert list(found.values()) == [Progress(0)]
    client.close()


def test_aborted_results_are_not_read(kafka: Kafka) -> None:
    """A second process with the same id ends what the first had open, and readers see nothing of it."""
    settings = settings_for(kafka, partitions=1)
    config = transactional_config(settings, settings.consumer.group_id)
    dead = Producer(config, logger=KAFKA_LOG)
    dead.init_transactions(30)
    dead.begin_transaction()
    dead.produce(settings.topics.captions, b"never")
    dead.flush(10)
    heir = Producer(config, logger=KAFKA_LOG)
    heir.init_transactions(30)
    heir.begin_transaction()
    heir.produce(settings.topics.captions, b"read")
    heir.commit_transaction(30)
    assert [record.value for record in captions(settings, 1)] == [b"read"]
    with pytest.raises(KafkaException):
        dead.commit_transaction(10)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_both_group_protocols_rebalance(kafka: Kafka, protocol: str) -> None:
    """A second member takes partitions over in good order, and every record is captioned once."""
    settings = settings_for(kafka, partitions=2, group_protocol=protocol)
    for partition in (0, 1):
        send(settings, *[f"{partition}-{n}".encode() for n in range(5)], partition=partition)
    with member(settings) as one:
        held = one.take(10)
        one.give(*held[::2])
        with member(settings) as two:
            two.give(*two.take(1))
            one.give(*held[1::2])
            assert len(values_until(settings, 10, two)) == 10
    topics = [settings.topics.captions]
    found = list(records_of(settings, topics, from_beginning=True, until=Until(None, 2)))
    assert len(found) == 10


def test_an_unjoined_member_settles_nothing(kafka: Kafka) -> None:
    """The broker would take offsets from a client that never joined; we do not send them."""
    settings = settings_for(kafka, partitions=1)
    client = group_client(settings)
    place = Partition(settings.topics.requests, 0)

    def opened(within_s: float) -> Producer:
        producer = Producer(transactional_config(settings, settings.consumer.group_id), logger=KAFKA_LOG)
        producer.init_transactions(within_s)
        return producer

    settler = ExactlyOnce(client, opened, Committed(client, 30).places, 10)
    assert isinstance(settler.settle(Settlement({}, {place: Position(1)})), NotSettled)
    assert Committed(client, 30).places([place]) == {place: (-1001, "")}
    client.close()


@pytest.fixture
def forgetful(java_runtime: JavaRuntime, tmp_path: Path) -> Iterator[Kafka]:
    """A broker that forgets the ids of producers after a second."""
    port, controller_port = free_ports(2)
    properties = {
        "transactional.id.expiration.ms": "1000",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
        "producer.id.expiration.ms": "1000",
        "producer.id.expiration.check.interval.ms": "200",
    }
    node = BrokerNode(
        data_dir=tmp_path,
        port=port,
        controller_port=controller_port,
        properties=properties,
    )
    with BrokerProcess(node, java_runtime) as broker:
        yield Kafka(broker.bootstrap_servers, "embedded")


def test_an_id_that_expired_while_idle_is_taken_anew(forgetful: Kafka) -> None:
    """After a long pause the next results are committed all the same."""
    settings = settings_for(forgetful, partitions=1)
    send(settings, b"a")
    with member(settings) as one:
        one.give(*one.take(1))
        assert wait_committed(settings, 1)
        one.thread.join(4)  # idle, longer than the broker remembers
        send(settings, b"b")
        one.give(*one.take(1))
        assert wait_committed(settings, 2)
    assert [record.value for record in captions(settings, 2)] == [b"a", b"b"]


def test_the_mock_cluster_is_refused() -> None:
    """Its transactions are none, and the sentence says what to set."""
    mock = Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1}, logger=KAFKA_LOG)
    broker = next(iter(mock.list_topics(timeout=5).brokers.values()))
    settings = Settings(broker=ClusterBroker(bootstrap_servers=f"{broker.host}:{broker.port}"))
    with pytest.raises(SettingsError, match=r"mock cluster.*set consumer.delivery: at_least_once"):
        connect(settings)


def test_a_broker_without_an_answer_is_refused_in_a_sentence() -> None:
    """Where no transaction can be had, the consumer does not start."""
    (port,) = free_ports(1)
    settings = Settings.model_validate(
        {
            "broker": {"kind": "cluster", "bootstrap_servers": f"127.0.0.1:{port}"},
            "consumer": {"settle_timeout_s": 0.5},
        }
    )
    with pytest.raises(
        SettingsError, match=f"exactly_once is not possible at 127.0.0.1:{port}: .*at_least_once"
    ):
        connect(settings)

"""One node of the embedded broker: starting, stopping, and what is told when it cannot start."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from serve_app.errors import BrokerError
from tests.brokers import KAFKA_LOG, Kafka, unique

if TYPE_CHECKING:
    from pathlib import Path

    from consumers.runtime import JavaRuntime


def node_in(directory: Path, **properties: str) -> BrokerNode:
    port, controller_port = free_ports(2)
    return BrokerNode(data_dir=directory, port=port, controller_port=controller_port, properties=properties)


def produce(servers: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": servers}, logger=KAFKA_LOG)
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def read_all(servers: str, topic: str) -> list[bytes]:
    """Everything in partition 0 that a reader of committed records sees."""
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": servers,
        "group.id": unique("reader"),
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    consumer = Consumer(config, logger=KAFKA_LOG)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    values: list[bytes] = []
    try:
        while (message := consumer.poll(20)) is not None:
            if (error := message.error()) is None:
                values.append(message.value() or b"")
            elif error.code() == KafkaError._PARTITION_EOF:
                return values
    finally:
        consumer.close()
    raise AssertionError(f"{topic} had no end after {values}")


def test_records_survive_a_restart(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """What was produced before a stop is read after the next start on the same directory."""
    first = node_in(tmp_path)
    with BrokerProcess(first, java_runtime) as broker:
        topic = Kafka(broker.bootstrap_servers, "embedded").topic()
        produce(broker.bootstrap_servers, topic, b"one", b"two")
    with BrokerProcess(node_in(tmp_path), java_runtime) as broker:
        assert broker.bootstrap_servers != first.bootstrap_servers
        assert read_all(broker.bootstrap_servers, topic) == [b"one", b"two"]


def test_stop_leaves_no_process_and_can_be_repeated(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """After stop() neither supervisor nor Java exists, and the same object starts again."""
    broker = BrokerProcess(node_in(tmp_path), java_runtime)
    broker.start()
    former = broker.pids
    assert broker.poll() is None
    broker.stop()
    broker.stop()
    assert not any(psutil.pid_exists(pid) for pid in former)
    broker.start()
    try:
        assert set(broker.pids).isdisjoint(former)
    finally:
        broker.stop()


def test_it_listens_on_the_loopback_address_only(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """No other machine can reach the broker, and it opens its two ports and no more."""
    node = node_in(tmp_path)
    with BrokerProcess(node, java_runtime) as broker:
        sockets = psutil.Process(broker.pids[1]).net_connections("inet")
        listening = {
            (s.laddr.ip.removeprefix("::ffff:"), s.laddr.port) for s in sockets if s.status == "LISTEN"
        }
    assert listening == {("127.0.0.1", node.port), ("127.0.0.1", node.controller_port)}


def test_transactions_are_real(kafka: Kafka) -> None:
    """A reader of committed records sees a committed transaction and nothing of an aborted one."""
    topic = kafka.topic()
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "transactional.id": unique("writer"),
    }
    producer = Producer(config, logger=KAFKA_LOG)
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"aborted")
    assert producer.flush(20) == 0
    producer.abort_transaction(30)
    producer.begin_transaction()
    producer.produce(topic, b"committed")
    producer.commit_transaction(30)
    assert read_all(kafka.bootstrap_servers, topic) == [b"committed"]


def test_a_large_record_fits(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """A record as large as the topic allows passes through the smallest heap."""
    port, controller_port = free_ports(2)
    node = BrokerNode(data_dir=tmp_path, port=port, controller_port=controller_port, heap_mib=128)
    size = 8 * 1024 * 1024 - 1024
    with BrokerProcess(node, java_runtime) as broker:
        topic = Kafka(broker.bootstrap_servers, "embedded").topic(max_message_mib=8)
        config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": broker.bootstrap_servers,
            "message.max.bytes": 8 * 1024 * 1024,
        }
        producer = Producer(config, logger=KAFKA_LOG)
        producer.produce(topic, bytes(size))
        assert producer.flush(20) == 0
        assert [len(value) for value in read_all(broker.bootstrap_servers, topic)] == [size]


@pytest.mark.parametrize("which", ["port", "controller_port"])
def test_a_taken_port_is_named(java_runtime: JavaRuntime, tmp_path: Path, which: str) -> None:
    """A taken port is refused before Java starts, with its number and the way out."""
    node = node_in(tmp_path)
    with socket.create_server(("127.0.0.1", getattr(node, which))):
        with pytest.raises(BrokerError, match=rf"port {getattr(node, which)} .*CAPSTREAM_KAFKA_PORT="):
            BrokerProcess(node, java_runtime).start()
        assert not node.log_path.exists()


def test_a_directory_in_use_is_refused(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """Two brokers never share a directory; the error names it and the process that has it."""
    with BrokerProcess(node_in(tmp_path), java_runtime) as broker:
        second = BrokerProcess(node_in(tmp_path), java_runtime, lock_timeout_s=0.1)
        with pytest.raises(BrokerError, match=rf"{tmp_path} is in use .*\(pid {broker.pids[0]}\)"):
            second.start()
        assert broker.poll() is None


def test_a_second_start_is_refused(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """Starting a running broker again is an error and leaves it running."""
    with BrokerProcess(node_in(tmp_path), java_runtime) as broker:
        with pytest.raises(BrokerError, match="running already"):
            broker.start()
        assert broker.poll() is None


def test_a_failed_start_shows_the_log(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """When Java gives up, its reason is in the error and nothing keeps running."""
    broker = BrokerProcess(node_in(tmp_path, **{"num.io.threads": "many"}), java_runtime)
    with pytest.raises(BrokerError, match=r"(?s)ended with exit code 1.*Invalid value many"):
        broker.start()
    assert not any(psutil.pid_exists(pid) for pid in broker.pids)


def test_the_log_of_the_start_before_is_kept(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """Each start has a log of its own, and the one before is still there."""
    bad = node_in(tmp_path, **{"num.io.threads": "many"})
    with pytest.raises(BrokerError):
        BrokerProcess(bad, java_runtime).start()
    with BrokerProcess(node_in(tmp_path), java_runtime) as broker:
        assert "many" in broker.node.log_path.with_name("broker.log.1").read_text()
        assert "many" not in broker.node.log_path.read_text()

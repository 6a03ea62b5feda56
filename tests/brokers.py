"""Kafka brokers for tests: ``pytest --kafka auto|embedded|docker|HOST:PORT``.

``auto`` takes the embedded broker, then Docker, and skips with both reasons where neither can be had.
With ``CI=true`` a missing broker fails instead: a skipped check must not look like a passed one.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # public, but not marked

from consumers.aot import ensure_runtime
from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, cluster_nodes, free_ports
from consumers.jars import KAFKA_VERSION
from consumers.topics import await_broker
from serve_app.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from consumers.runtime import JavaRuntime

# One per process: librdkafka prints to stderr where it is given none.
KAFKA_LOG = logging.getLogger("tests.kafka")
DOCKER_START_S = 60
CLUSTER_TIMEOUT_S = 20
KINDS = ("auto", "embedded", "docker")
SERVERS = re.compile(r"[^\s,]+:\d+(,[^\s,]+:\d+)*")


@dataclass(frozen=True, slots=True)
class Kafka:
    """A broker or cluster that a test may use; ``replicas`` is for the topics made here."""

    bootstrap_servers: str
    kind: Literal["embedded", "docker", "cluster"]
    replicas: int = 1

    def topic(self, *, partitions: int = 1, max_message_mib: int = 8) -> str:
        """Create a topic with a name of its own."""
        name = unique("test")
        config = {"max.message.bytes": str(max_message_mib * 1024 * 1024)}
        topic = NewTopic(name, partitions, self.replicas, config=config)
        admin = self.admin()
        admin.create_topics([topic], operation_timeout=20)[name].result()
        return name

    def admin(self) -> AdminClient:
        """An admin client; keep a reference, what it is doing ends with it."""
        return AdminClient({"bootstrap.servers": self.bootstrap_servers}, logger=KAFKA_LOG)


@dataclass(frozen=True, slots=True)
class EmbeddedCluster:
    """Nodes of one cluster, each to be killed and started by itself."""

    nodes: tuple[BrokerProcess, ...]

    @property
    def kafka(self) -> Kafka:
        """The whole cluster as clients see it."""
        servers = ",".join(node.bootstrap_servers for node in self.nodes)
        return Kafka(servers, "embedded", replicas=len(self.nodes))


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--kafka``."""
    text = "auto, embedded, docker, or HOST:PORT of a running cluster"
    parser.addoption("--kafka", default="auto", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt ``--kafka`` before a test waits for it."""
    chosen = config.getoption("--kafka")
    if chosen not in KINDS and SERVERS.fullmatch(chosen) is None:
        raise pytest.UsageError(f"--kafka {chosen} is refused; allowed: {', '.join(KINDS)} or HOST:PORT")


@pytest.fixture(scope="session")
def java_runtime(request: pytest.FixtureRequest) -> JavaRuntime:
    """The embedded broker's runtime, for tests of that broker itself."""
    chosen = request.config.getoption("--kafka")
    if chosen not in ("auto", "embedded"):
        pytest.skip(f"a test of the embedded broker, and --kafka is {chosen}")
    try:
        return ensure_runtime()
    except BrokerError as error:
        _unavailable(str(error))


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker for the whole session."""
    chosen = request.config.getoption("--kafka")
    reasons: list[str] = []
    if chosen in ("auto", "embedded"):
        try:
            runtime = ensure_runtime()
        except BrokerError as error:
            reasons.append(str(error))
        else:
            port, controller_port = free_ports(2)
            data_dir = tmp_path_factory.mktemp("kafka")
            node = BrokerNode(data_dir=data_dir, port=port, controller_port=controller_port)
            with BrokerProcess(node, runtime) as broker:
                yield Kafka(broker.bootstrap_servers, "embedded")
            return
    if chosen in ("auto", "docker"):
        if (reason := _docker_missing()) is None:
            with _docker() as servers:
                yield Kafka(servers, "docker")
            return
        reasons.append(reason)
    if reasons:
        _unavailable("; ".join(reasons))
    given = Kafka(chosen, "cluster")
    try:
        given.admin().list_topics(timeout=CLUSTER_TIMEOUT_S)
    except KafkaException as error:
        pytest.fail(f"--kafka {chosen}: no broker answers there: {error.args[0].str()}", pytrace=False)
    yield given


@pytest.fixture(scope="session")
def kafka_cluster(
    java_runtime: JavaRuntime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], EmbeddedCluster]]:
    """A function that gives three embedded nodes, started by its first call."""
    started: list[EmbeddedCluster] = []

    def cluster() -> EmbeddedCluster:
        if not started:
            ports = free_ports(6)
            pairs = list(zip(ports[::2], ports[1::2], strict=True))
            nodes = cluster_nodes(tmp_path_factory.mktemp("kafka-cluster"), pairs)
            started.append(
                EmbeddedCluster(tuple(BrokerProcess(node, java_runtime, grace_s=2) for node in nodes))
            )
            for node in started[0].nodes:
                node.launch()
        for node in started[0].nodes:
            if node.poll() is not None:
                node.launch()
            node.await_ready()
        return started[0]

    yield cluster
    with ThreadPoolExecutor() as pool:
        # At once: without a quorum the last ones would wait for their grace to end.
        list(pool.map(BrokerProcess.stop, [node for one in started for node in one.nodes]))


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"no Kafka broker for this test: {reason}", pytrace=False)
    pytest.skip(f"no Kafka broker for this test: {reason}")


def _docker_missing() -> str | None:
    # Its client leaves a socket open when nobody answers; it is collected here, not in some test.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        answers = _docker_answers()
        gc.collect()
    return None if answers else "no Docker engine answers"


def _docker_answers() -> bool:
    from docker import from_env  # type: ignore[import-untyped] # noqa: PLC0415 - only for Docker
    from docker.errors import DockerException  # type: ignore[import-untyped] # noqa: PLC0415 - only for Docker

    try:
        client = from_env()
        client.close()
    except DockerException:
        return False
    return True


@contextmanager
def _docker() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only needed without the embedded broker

    (port,) = free_ports(1)
    # A container's address must be known to Kafka before it starts, hence a chosen port of the host.
    container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_bind_ports(9092, port)
    for key, value in _docker_environment(port).items():
        container = container.with_env(key, value)
    with container:
        address = (container.get_container_host_ip(), port)
        if not await_broker(address, 1, timeout_s=DOCKER_START_S, alive=lambda: True):
            pytest.fail(f"Kafka in Docker was not ready after {DOCKER_START_S} s")
        yield f"{address[0]}:{port}"


def _docker_environment(port: int) -> dict[str, str]:
    # The image takes every property from the environment as soon as one is set, so all are needed.
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "500",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }

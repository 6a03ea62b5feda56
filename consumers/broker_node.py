"""One node of the embedded broker as a value: where it lives and its ``server.properties``."""

from __future__ import annotations

import base64
import random
import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from serve_app.settings import EmbeddedBroker

HOST = "127.0.0.1"
MIB = 1024 * 1024


def new_cluster_id() -> str:
    """Sixteen random bytes in URL-safe base64, as Kafka writes them."""
    # Kafka's command line would take a leading dash for an option.
    return base64.urlsafe_b64encode(b"\x00" + secrets.token_bytes(15)).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerNode:
    """A broker and controller in one process, on the loopback address only.

    ``voters`` maps each node's id to its controller port; empty means this node alone.
    ``max_message_bytes`` is the largest record batch. ``properties`` override any of ours.
    """

    data_dir: Path
    port: int
    controller_port: int
    node_id: int = 1
    voters: Mapping[int, int] = field(default_factory=dict)
    cluster_id: str = field(default_factory=new_cluster_id)
    heap_mib: int = 256
    max_message_bytes: int = 8 * MIB
    start_timeout_s: float = 60
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"{HOST}:{self.port}"

    @property
    def log_dir(self) -> Path:
        """Kafka's own files."""
        return self.data_dir / "log"

    @property
    def properties_path(self) -> Path:
        """The file that Kafka is started with."""
        return self.data_dir / "server.properties"

    @property
    def log_path(self) -> Path:
        """What the Java process prints; the start before is in ``broker.log.1``."""
        return self.data_dir / "broker.log"

    @property
    def lock_path(self) -> Path:
        """Locked while a process uses the directory; holds the ids of supervisor and Java process."""
        return self.data_dir / "broker.lock"

    @property
    def formatted(self) -> bool:
        """Whether the directory holds a cluster id already; Kafka writes this file last."""
        return (self.log_dir / "meta.properties").exists()

    def server_properties(self) -> str:
        """The text of ``server.properties``."""
        lines = (
            self._listeners() | self._replication() | self._limits() | QUICK | SMALL | dict(self.properties)
        )
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def _listeners(self) -> dict[str, str]:
        voters = self.voters or {self.node_id: self.controller_port}
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.node_id),
            "controller.quorum.voters": ",".join(f"{node}@{HOST}:{port}" for node, port in voters.items()),
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            # A properties file takes a backslash as an escape.
            "log.dirs": str(self.log_dir).replace("\\", "\\\\"),
            "auto.create.topics.enable": "false",
        }

    def _replication(self) -> dict[str, str]:
        replicas = max(1, len(self.voters))
        in_sync = max(1, replicas - 1)
        return {
            "default.replication.factor": str(replicas),
            "min.insync.replicas": str(in_sync),
            "offsets.topic.replication.factor": str(replicas),
            "transaction.state.log.replication.factor": str(replicas),
            "transaction.state.log.min.isr": str(in_sync),
            "share.coordinator.state.topic.replication.factor": str(replicas),
            "share.coordinator.state.topic.min.isr": str(in_sync),
        }

    def _limits(self) -> dict[str, str]:
        return {
            "message.max.bytes": str(self.max_message_bytes),
            "replica.fetch.max.bytes": str(self.max_message_bytes),
            # A produce request is a batch and its frame; below the default nothing is gained.
            "socket.request.max.bytes": str(max(100 * MIB, self.max_message_bytes + MIB)),
        }


# A laptop waits for each of these; a cluster's defaults suit thousands of clients.
QUICK = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "10000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # A node that was killed may join again only after its former session; 9 s by default.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
}
# The cleaner's buffer is 128 MiB by default, which alone is more than the smallest heap.
SMALL = {
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.num.partitions": "8",
    "log.cleaner.dedupe.buffer.size": str(4 * MIB),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
}


def embedded_node(broker: EmbeddedBroker, *, max_message_bytes: int = 8 * MIB) -> BrokerNode:
    """The single node of the settings."""
    return BrokerNode(
        data_dir=broker.data_dir.absolute(),
        port=broker.port,
        controller_port=broker.port + 1,
        heap_mib=broker.heap_mib,
        max_message_bytes=max_message_bytes,
        start_timeout_s=broker.start_timeout_s,
    )


def cluster_nodes(data_dir: Path, ports: Sequence[tuple[int, int]], **properties: str) -> list[BrokerNode]:
    """Nodes 1 … N of one cluster from pairs of client and controller port; all topics have N replicas.

    With three nodes, two must be in sync, so that any one may be killed. Dots of property names are
    written as ``__``.
    """
    voters = {index: controller for index, (_, controller) in enumerate(ports, start=1)}
    cluster_id = new_cluster_id()
    return [
        BrokerNode(
            data_dir=data_dir / f"node-{index}",
            port=port,
            controller_port=controller,
            node_id=index,
            voters=voters,
            cluster_id=cluster_id,
            properties={key.replace("__", "."): value for key, value in properties.items()},
        )
        for index, (port, controller) in enumerate(ports, start=1)
    ]


def free_ports(count: int) -> list[int]:
    """Ports on the loopback address that nobody listens on now, below those that clients are given."""
    chosen: list[int] = []
    with ExitStack() as held:
        while len(chosen) < count:
            probe = held.enter_context(socket.socket())
            port = random.randrange(20_000, 30_000)  # noqa: S311 - no secret
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            chosen.append(port)
    return chosen

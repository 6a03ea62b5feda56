"""Waits for brokers and creates the topics that are missing."""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # public, but not marked as exported
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from consumers.clients import ClientConfig
from serve_app.errors import BrokerError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from serve_app.settings import TopicSettings

logger = logging.getLogger("capstream.kafka")
MIB = 1024 * 1024
RETRY_S = 0.02
# What goes wrong is raised; librdkafka's own lines, one per attempt, would only repeat it.
QUIET = {"log_level": 0}
QUICK_RECONNECT = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100}


def await_broker(
    address: tuple[str, int], node_id: int, *, timeout_s: float, alive: Callable[[], bool]
) -> bool:
    """Whether the broker at this address lists itself within the time and while it is alive.

    Its port opens before it joins its cluster, so an open port alone is not enough.
    """
    due = _until(timeout_s, alive)
    while due() and not _accepts(address):
        time.sleep(RETRY_S)
    admin = _local_admin(address)
    while due():
        if node_id in _broker_ids(admin):
            return True
        time.sleep(RETRY_S)
    return False


def await_groups(address: tuple[str, int], *, timeout_s: float, alive: Callable[[], bool]) -> bool:
    """Whether the broker serves consumer groups within the time and while it is alive.

    The first question makes Kafka create the topic behind groups. Asked here it takes 0.1 s; a consumer
    that is first to ask backs off for 3 s.
    """
    due = _until(timeout_s, alive)
    admin = _local_admin(address)
    while due():
        if _describes_groups(admin):
            return True
        time.sleep(RETRY_S)
    return False


def _until(timeout_s: float, alive: Callable[[], bool]) -> Callable[[], bool]:
    deadline = time.monotonic() + timeout_s
    return lambda: alive() and time.monotonic() < deadline


def _local_admin(address: tuple[str, int]) -> AdminClient:
    host, port = address
    return AdminClient({"bootstrap.servers": f"{host}:{port}", **QUIET, **QUICK_RECONNECT}, logger=logger)


def _describes_groups(admin: AdminClient) -> bool:
    try:
        admin.describe_consumer_groups(["none"], request_timeout=2)["none"].result()
    except KafkaException as error:
        return bool(error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND)
    return True


def _accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _broker_ids(admin: AdminClient) -> set[int]:
    try:
        return set(admin.list_topics(timeout=1).brokers)
    except KafkaException:
        return set()


def ensure_topics(
    client: ClientConfig, topics: TopicSettings, retries: Collection[str] = (), *, timeout_s: float = 30
) -> list[str]:
    """Create the topics that are missing; one sentence per existing topic that differs where it matters.

    ``retries`` are the names of the retry topics.

    Existing topics are never changed. Raises ``SettingsError`` when a topic is missing and
    ``topics.create`` is off, ``BrokerError`` when the cluster cannot be reached or refuses.
    """
    cluster = _Cluster(client, timeout_s)
    names = [topics.requests, topics.captions, topics.dead_letters, *retries]
    partitions = cluster.partitions(names)
    missing = [name for name in names if name not in partitions]
    if missing and not topics.create:
        raise SettingsError(f"topic {missing[0]} does not exist: create it, or set topics.create: true")
    if missing:
        cluster.create([_new_topic(name, topics) for name in missing])
    return [
        warning
        for name, config in cluster.configs(list(partitions)).items()
        for warning in _differences(name, partitions[name], config, topics)
    ]


def _new_topic(name: str, topics: TopicSettings) -> NewTopic:
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(topics.retention_hours * 3_600_000),
        "max.message.bytes": str(topics.max_message_mib * MIB),
    }
    return NewTopic(name, topics.partitions, topics.replication_factor, config=config)


def _differences(
    name: str, partitions: int, config: Mapping[str, str] | str, topics: TopicSettings
) -> list[str]:
    found = []
    if partitions < topics.partitions:
        found.append(
            f"topic {name} has {partitions} partitions, topics.partitions asks for {topics.partitions}"
        )
    if isinstance(config, str):
        return [*found, f"topic {name} cannot be checked: {config}"]
    if "compact" in config["cleanup.policy"]:
        found.append(f"topic {name} is compacted: records with equal keys will vanish")
    if int(config["max.message.bytes"]) < topics.max_message_mib * MIB:
        found.append(
            f"topic {name} takes records up to {config['max.message.bytes']} bytes, "
            f"topics.max_message_mib asks for {topics.max_message_mib}"
        )
    return found


class _Cluster:
    """An admin client whose errors are sentences."""

    def __init__(self, client: ClientConfig, timeout_s: float) -> None:
        self._servers = client["bootstrap.servers"]
        self._timeout_s = timeout_s
        self._last_error = ""
        self._admin = AdminClient({**client, **QUIET}, logger=logger, error_cb=self._note)

    def _note(self, error: KafkaError) -> None:
        # The first cause is told here only; what the call itself raises is a plain time-out.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's own codes are named so
            self._last_error = f": {error.str()}"

    def partitions(self, names: list[str]) -> dict[str, int]:
        """The existing ones among the names, with their number of partitions."""
        try:
            found = self._admin.list_topics(timeout=self._timeout_s).topics
        except KafkaException as error:
            raise self._sentence(error) from error
        return {name: len(found[name].partitions) for name in names if name in found}

    def create(self, topics: list[NewTopic]) -> None:
        """Create topics; one that another process created meanwhile is fine."""
        futures = self._admin.create_topics(topics, operation_timeout=self._timeout_s)
        for name, future in futures.items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise self._sentence(error, f"topic {name} cannot be created") from error

    def configs(self, names: list[str]) -> dict[str, dict[str, str] | str]:
        """The configuration of each topic, or why it may not be read."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._admin.describe_configs(resources, request_timeout=self._timeout_s) if names else {}
        found: dict[str, dict[str, str] | str] = {}
        for resource, future in futures.items():
            try:
                found[resource.name] = {key: entry.value for key, entry in future.result().items()}
            except KafkaException as error:
                found[resource.name] = error.args[0].str()
        return found

    def _sentence(self, error: KafkaException, what: str = "Kafka refused") -> BrokerError:
        cause: KafkaError = error.args[0]
        unreached = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001 - librdkafka's own codes are named so
        if cause.code() in unreached:
            self._admin.poll(0)
            return BrokerError(
                f"no Kafka broker answered at {self._servers} within {self._timeout_s:g} s{self._last_error}"
            )
        return BrokerError(f"{what}: {cause.str()} ({cause.name()})")


def existing(client: ClientConfig, *, timeout_s: float = 1) -> frozenset[str]:
    """The names of the topics that exist now; none where no broker answers within the time."""
    admin = AdminClient({**client, **QUIET, **QUICK_RECONNECT}, logger=logger)
    try:
        return frozenset(admin.list_topics(timeout=timeout_s).topics)
    except KafkaException:
        return frozenset()

"""Waits for brokers, creates the topics that are missing and checks those that exist."""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consumers.clients import ClientConfig
from consumers.cluster import QUIET, Cluster
from consumers.plans import differences, plan_of, plans, topic_names
from serve_app.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from serve_app.settings import TopicSettings

logger = logging.getLogger("capstream.kafka")
RETRY_S = 0.02
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
    wanted = [plan_of(name, topics) for name in topic_names(topics, retries)]
    cluster = Cluster(client, timeout_s)
    found = cluster.shapes([plan.name for plan in wanted])
    missing = [plan for plan in wanted if plan.name not in found]
    if missing and not topics.create:
        raise SettingsError(f"topic {missing[0].name} does not exist: create it, or set topics.create: true")
    if existed := cluster.create(missing):
        found |= cluster.shapes(existed)
    return [line for plan in wanted if plan.name in found for line in differences(plan, found[plan.name])]


def create_topics(
    client: ClientConfig, topics: TopicSettings, retries: Collection[str] = (), *, timeout_s: float = 30
) -> list[str]:
    """Create all topics that are missing, whatever ``topics.create`` says; the names of the new ones.

    The topic of receipts is among them. Raises ``BrokerError``.
    """
    cluster = Cluster(client, timeout_s)
    wanted = plans(topics, retries)
    found = cluster.shapes([plan.name for plan in wanted])
    missing = [plan for plan in wanted if plan.name not in found]
    existed = cluster.create(missing)
    return [plan.name for plan in missing if plan.name not in existed]


def check_topics(
    client: ClientConfig, topics: TopicSettings, retries: Collection[str] = (), *, timeout_s: float = 30
) -> list[str]:
    """One sentence for each topic that is missing, and for each difference from the settings.

    The topic of receipts may be missing: the first replay makes it. Raises ``BrokerError``.
    """
    wanted = plans(topics, retries)
    found = Cluster(client, timeout_s).shapes([plan.name for plan in wanted])
    return [
        line
        for plan in wanted
        if plan.name in found or plan.name != topics.receipts
        for line in (
            differences(plan, found[plan.name])
            if plan.name in found
            else [f"topic {plan.name} does not exist: `capstream topics create` makes it"]
        )
    ]


def existing(client: ClientConfig, *, timeout_s: float = 1) -> frozenset[str]:
    """The names of the topics that exist now; none where no broker answers within the time."""
    admin = AdminClient({**client, **QUIET, **QUICK_RECONNECT}, logger=logger)
    try:
        return frozenset(admin.list_topics(timeout=timeout_s).topics)
    except KafkaException:
        return frozenset()

"""Properties of the librdkafka clients, from the settings."""

from __future__ import annotations

from serve_app.settings import ClusterBroker, ConsumerSettings, EmbeddedBroker, Settings

MIB = 1024 * 1024
RECONNECT_MAX_MS = 1_000  # librdkafka's 10 s leave a broker that is back alone for as long
HEADROOM_BYTES = MIB  # headers and framing beside the value

ClientConfig = dict[str, str | int | float | bool]


def client_config(broker: EmbeddedBroker | ClusterBroker) -> ClientConfig:
    """Properties that every client of this broker needs."""
    return {
        "bootstrap.servers": broker.bootstrap_servers,
        "client.id": "capstream",
        "topic.metadata.propagation.max.ms": 10_000,
        "reconnect.backoff.max.ms": RECONNECT_MAX_MS,
        **broker.client,
    }


def consumer_config(settings: Settings, instance_id: str | None = None) -> ClientConfig:
    """Properties of the group's members; a static member has an ``instance_id``."""
    own = settings.consumer
    static: ClientConfig = {"group.instance.id": instance_id} if instance_id is not None else {}
    return {
        **client_config(settings.broker),
        **_membership(own),
        **static,
        "group.id": own.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",  # the default would skip what came before the first commit
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "socket.timeout.ms": int(own.settle_timeout_s * 1000),
        "message.max.bytes": settings.topics.max_message_mib * MIB + HEADROOM_BYTES,
        "max.partition.fetch.bytes": settings.topics.max_message_mib * MIB + HEADROOM_BYTES,
    }


def _membership(own: ConsumerSettings) -> ClientConfig:
    if own.group_protocol == "consumer":
        # The broker assigns and times out by itself; librdkafka refuses the properties of the other.
        return {"group.protocol": "consumer"}
    return {
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": int(own.session_timeout_s * 1000),
        "heartbeat.interval.ms": int(own.session_timeout_s * 1000 / 3),
    }


def producer_config(settings: Settings) -> ClientConfig:
    """Properties of the producer of results; keys partition as in Java."""
    return {
        **client_config(settings.broker),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 2,
        "partitioner": "murmur2_random",
        "delivery.timeout.ms": int(settings.consumer.settle_timeout_s * 1000),
        "message.max.bytes": settings.topics.max_message_mib * MIB + HEADROOM_BYTES,
    }


def transactional_config(settings: Settings, transactional_id: str) -> ClientConfig:
    """The same for a producer of transactions; its requests may not outlast one."""
    own = settings.consumer
    lasting_s = min(own.settle_timeout_s, own.transaction_timeout_s)
    return {
        **producer_config(settings),
        "transactional.id": transactional_id,
        "transaction.timeout.ms": int(own.transaction_timeout_s * 1000),
        "delivery.timeout.ms": int(lasting_s * 1000),
        "socket.timeout.ms": int(lasting_s * 1000) - 100,  # librdkafka wants it below the transaction's
    }

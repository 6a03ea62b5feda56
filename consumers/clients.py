"""Properties of the librdkafka clients, from the settings."""

from __future__ import annotations

from serve_app.settings import ClusterBroker, EmbeddedBroker, Settings

MIB = 1024 * 1024
HEADROOM_BYTES = MIB  # headers and framing beside the value

ClientConfig = dict[str, str | int | float | bool]


def client_config(broker: EmbeddedBroker | ClusterBroker) -> ClientConfig:
    """Properties that every client of this broker needs."""
    return {
        "bootstrap.servers": broker.bootstrap_servers,
        "client.id": "capstream",
        "topic.metadata.propagation.max.ms": 10_000,
        **broker.client,
    }


def consumer_config(settings: Settings) -> ClientConfig:
    """Properties of the group's members."""
    own = settings.consumer
    return {
        **client_config(settings.broker),
        "group.id": own.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",  # the default would skip what came before the first commit
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": int(own.session_timeout_s * 1000),
        "heartbeat.interval.ms": int(own.session_timeout_s * 1000 / 3),
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "socket.timeout.ms": int(own.settle_timeout_s * 1000),
        "message.max.bytes": settings.topics.max_message_mib * MIB + HEADROOM_BYTES,
        "max.partition.fetch.bytes": settings.topics.max_message_mib * MIB + HEADROOM_BYTES,
    }


def producer_config(settings: Settings) -> ClientConfig:
    """Properties of the producer of captions and dead letters; keys partition as in Java."""
    return {
        **client_config(settings.broker),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 2,
        "partitioner": "murmur2_random",
        "delivery.timeout.ms": int(settings.consumer.settle_timeout_s * 1000),
        "message.max.bytes": settings.topics.max_message_mib * MIB + HEADROOM_BYTES,
    }

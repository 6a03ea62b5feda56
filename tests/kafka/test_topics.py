"""Topics that capstream creates, and what it says about those it finds."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined] # public names

from consumers.broker_node import free_ports
from consumers.clients import ClientConfig
from consumers.topics import ensure_topics
from serve_app.errors import BrokerError, SettingsError
from serve_app.settings import TopicSettings
from tests.brokers import Kafka, unique


def settings(**changes: object) -> TopicSettings:
    name = unique("topics")
    names = {"requests": name, "captions": f"{name}.captions", "dead_letters": f"{name}.dlq"}
    return TopicSettings.model_validate(names | changes)


def client(kafka: Kafka) -> ClientConfig:
    return {"bootstrap.servers": kafka.bootstrap_servers}


def test_missing_topics_are_created_as_the_settings_say(kafka: Kafka) -> None:
    """Partitions, retention, cleanup and the largest record are those of the settings."""
    wanted = settings(partitions=3, retention_hours=2, max_message_mib=5)
    assert ensure_topics(client(kafka), wanted) == []
    admin = kafka.admin()
    topics = admin.list_topics(timeout=20).topics
    names = [wanted.requests, wanted.captions, wanted.dead_letters]
    assert [len(topics[name].partitions) for name in names] == [3, 3, 3]
    for future in admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in names]
    ).values():
        config = future.result()
        assert config["retention.ms"].value == "7200000"
        assert config["cleanup.policy"].value == "delete"
        assert config["max.message.bytes"].value == str(5 * 1024 * 1024)


def test_existing_topics_are_left_alone(kafka: Kafka) -> None:
    """A second call with other wishes changes nothing and names each difference that matters."""
    first = settings(partitions=2, max_message_mib=5)
    ensure_topics(client(kafka), first)
    more = first.model_copy(update={"partitions": 4, "max_message_mib": 6})
    warnings = ensure_topics(client(kafka), more)
    assert f"topic {first.requests} has 2 partitions, topics.partitions asks for 4" in warnings
    assert any("takes records up to 5242880 bytes" in warning for warning in warnings)
    assert len(warnings) == 6
    assert len(kafka.admin().list_topics(timeout=20).topics[first.requests].partitions) == 2
    assert ensure_topics(client(kafka), first) == []


def test_a_compacted_topic_is_warned_about(kafka: Kafka) -> None:
    """Compaction drops results with equal keys, so it is told."""
    wanted = settings(partitions=1)
    topic = NewTopic(
        wanted.captions, 1, 1, config={"cleanup.policy": "compact", "max.message.bytes": "8388608"}
    )
    admin = kafka.admin()
    admin.create_topics([topic], operation_timeout=20)[wanted.captions].result()
    assert ensure_topics(client(kafka), wanted) == [
        f"topic {wanted.captions} is compacted: records with equal keys will vanish"
    ]


def test_create_false_creates_nothing(kafka: Kafka) -> None:
    """With ``create`` off a missing topic is an error that names it."""
    wanted = settings(create=False)
    with pytest.raises(SettingsError, match=f"topic {wanted.requests} does not exist"):
        ensure_topics(client(kafka), wanted)
    assert wanted.requests not in kafka.admin().list_topics(timeout=20).topics


def test_too_many_replicas_are_refused_in_a_sentence(kafka: Kafka) -> None:
    """The broker's refusal is translated and names the topic."""
    with pytest.raises(BrokerError, match=r"topic \S+ cannot be created: .*INVALID_REPLICATION_FACTOR"):
        ensure_topics(client(kafka), settings(replication_factor=9))


def test_an_unreachable_broker_is_named() -> None:
    """The error names address, time and cause."""
    (port,) = free_ports(1)
    with pytest.raises(
        BrokerError, match=f"no Kafka broker answered at 127.0.0.1:{port} within 1 s: .*refused"
    ):
        ensure_topics({"bootstrap.servers": f"127.0.0.1:{port}"}, settings(), timeout_s=1)

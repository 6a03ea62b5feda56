"""Receipts say which dead letters were replayed: one small record each, in a compacted topic.

A receipt is written in the transaction that sends the request again, so there is one exactly where the
request was sent. Its key names the letter by place and time: where the dead letter topic was deleted and
created anew, old receipts match none of its letters.
"""

from __future__ import annotations

import json

from confluent_kafka import Message

from consumers.clients import client_config
from consumers.cluster import Cluster
from consumers.letters import Letter
from consumers.plans import receipts_plan
from consumers.records import OutputRecord
from consumers.snapshot import ASK_TIMEOUT_S, Topics
from serve_app.errors import SettingsError
from serve_app.settings import Settings


def key_of(letter: Letter) -> bytes:
    """The key of a letter's receipt."""
    return f"{letter.place}@{letter.timestamp_ms}".encode()


def receipt(letter: Letter, topic: str, now_ms: int) -> OutputRecord:
    """The record that says that a letter was replayed; ``now_ms`` since the epoch."""
    value = json.dumps({"id": letter.id, "replayed_ms": now_ms}).encode()
    return OutputRecord(topic, key_of(letter), value)


def ensure_receipts(settings: Settings) -> None:
    """Create the topic if it is missing; ``SettingsError`` where ``topics.create`` is off."""
    plan = receipts_plan(settings.topics)
    cluster = Cluster(client_config(settings.broker), ASK_TIMEOUT_S)
    if plan.name in cluster.names():
        return
    if not settings.topics.create:
        raise SettingsError(
            f"topic {plan.name}, where replay keeps its receipts, does not exist: "
            "`capstream topics create` makes it"
        )
    cluster.create([plan])


def receipts(settings: Settings, topics: Topics) -> set[bytes]:
    """The keys of all receipts; none where the topic does not exist."""
    name = settings.topics.receipts
    if name not in topics.names():
        return set()
    spans = topics.decided(topics.partitions([name]))
    return {key for batch in topics.messages(spans) for message in batch if (key := _key(message))}


def _key(message: Message) -> bytes:
    key = message.key() or b""
    return key.encode() if isinstance(key, str) else key

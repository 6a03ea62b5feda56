"""Properties that pass through to librdkafka: which are secret, which are capstream's own."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

SECRET_WORDS = (
    "password",
    "passphrase",
    "secret",
    "token",
    "credential",
    "key.pem",
    "private.key",
    "ssl.key",
    "jaas",
    "oauthbearer.config",
)
CREDENTIALS = re.compile(r"://[^/\s]*@")
PLACES = ("_tokens", ".location", ".file", ".url")  # where a secret lies is none
OWNED: dict[str, str] = {
    "acks": "",
    "auto.offset.reset": "",
    "bootstrap.servers": "broker.bootstrap_servers",
    "delivery.timeout.ms": "consumer.settle_timeout_s",
    "enable.auto.commit": "",
    "enable.auto.offset.store": "",
    "enable.idempotence": "",
    "enable.partition.eof": "",
    "group.id": "consumer.group_id",
    "group.instance.id": "consumer.static_membership",
    "group.protocol": "consumer.group_protocol",
    "heartbeat.interval.ms": "consumer.session_timeout_s",
    "isolation.level": "",
    "linger.ms": "",
    "max.partition.fetch.bytes": "topics.max_message_mib",
    "message.max.bytes": "topics.max_message_mib",
    "partition.assignment.strategy": "",
    "partitioner": "",
    "session.timeout.ms": "consumer.session_timeout_s",
    "socket.timeout.ms": "consumer.settle_timeout_s",
    "transaction.timeout.ms": "consumer.transaction_timeout_s",
    "transactional.id": "",
}
ALIASES = {
    "auto.commit.enable": "enable.auto.commit",
    "fetch.message.max.bytes": "max.partition.fetch.bytes",
    "message.timeout.ms": "delivery.timeout.ms",
    "metadata.broker.list": "bootstrap.servers",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
}


def _text(value: object) -> object:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
    return value


ClientText = Annotated[str, BeforeValidator(_text)]


def is_secret(key: str) -> bool:
    """Whether a client property of this name holds a secret."""
    name = key.lower()
    return any(word in name for word in SECRET_WORDS) and not name.endswith(PLACES)


def holds_credentials(value: object) -> bool:
    """Whether a value is an address with a user in it."""
    return isinstance(value, str) and CREDENTIALS.search(value) is not None


def owned_by(key: str) -> str:
    """Why a client property may not be set, empty if it may."""
    name = ALIASES.get(key, key)
    if name not in OWNED:
        return ""
    alias = f"another name of {name}, " if name != key else ""
    instead = f"{OWNED[name]} decides it" if OWNED[name] else "leave it out"
    return f"{alias}set by capstream itself: {instead}"

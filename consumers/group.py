"""Whether anybody is left in a consumer group."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consumers.clients import ClientConfig

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 2.0


def is_empty(config: ClientConfig, group_id: str) -> bool:
    """Whether the group has no members; a broker that does not answer has nobody to wait for."""
    admin = AdminClient(dict(config), logger=log)
    try:
        future = admin.describe_consumer_groups([group_id], request_timeout=ASK_TIMEOUT_S)[group_id]
        return not future.result(ASK_TIMEOUT_S).members
    except (KafkaException, TimeoutError):
        return True
